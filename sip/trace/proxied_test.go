package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

// proxied films a call through a proxy, with all that a ladder shows: an INVITE that
// is sent again, two hops, a re-INVITE, media of both sides in which first one and
// then the other speaks, and a key.
func proxied(t *testing.T) []byte {
	f := newFilm(t)
	proxy := netip.MustParseAddrPort("192.0.2.9:5060")
	var cseq int
	send := func(src, dst netip.AddrPort, line, method, branch, body string) {
		kind, tag := "", ""
		if body != "" {
			kind = "Content-Type: application/sdp\r\n"
		}
		if line[:3] == "SIP" || cseq > 1 || method == "ACK" {
			tag = ";tag=b1"
		}
		f.udp(src, dst, fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\nFrom: \"Alice\" <sip:+34911234567@example.com>;tag=a1\r\nTo: <sip:900123@example.com>%s\r\n"+
			"Call-ID: proxied@192.0.2.1\r\nCSeq: %d %s\r\nContact: <sip:alice@192.0.2.1>\r\nUser-Agent: Example Phone 1.0\r\n%sContent-Length: %d\r\n\r\n%s",
			line, src, branch, tag, cseq, method, kind, len(body), body))
	}
	// on sends a message on over the second hop, there or back.
	there := func(line, method, branch, body string) {
		send(alice, proxy, line, method, branch, body)
		f.wait(3 * time.Millisecond)
		send(proxy, bob, line, method, branch+"p", body)
		f.wait(5 * time.Millisecond)
	}
	back := func(line, method, branch, body string) {
		send(bob, proxy, line, method, branch+"p", body)
		f.wait(3 * time.Millisecond)
		send(proxy, alice, line, method, branch, body)
		f.wait(5 * time.Millisecond)
	}
	const invite = "INVITE sip:900123@example.com SIP/2.0"
	offer, answer := sdpOf(aRTP, "0 101"), sdpOf(bRTP, "0 101")
	cseq = 1
	send(alice, proxy, invite, "INVITE", "1", offer)
	f.wait(500 * time.Millisecond) // T1
	send(alice, proxy, invite, "INVITE", "1", offer)
	f.wait(2 * time.Millisecond)
	send(proxy, alice, "SIP/2.0 100 Trying", "INVITE", "1", "")
	f.wait(2 * time.Millisecond)
	send(proxy, bob, invite, "INVITE", "1p", offer)
	f.wait(20 * time.Millisecond)
	back("SIP/2.0 180 Ringing", "INVITE", "1", "")
	f.wait(900 * time.Millisecond)
	back("SIP/2.0 200 OK", "INVITE", "1", answer)
	there("ACK sip:bob@192.0.2.2 SIP/2.0", "ACK", "2", "")

	far, caller := promptOf(t, "recording.wav"), promptOf(t, "goodbye.wav")
	answered := f.now
	f.converse(caller, far, 900, 20, "")
	cseq = 2
	there("INVITE sip:bob@192.0.2.2 SIP/2.0", "INVITE", "3", offer)
	back("SIP/2.0 200 OK", "INVITE", "3", answer)
	there("ACK sip:bob@192.0.2.2 SIP/2.0", "ACK", "4", "")
	if late := f.now.Sub(answered) % (20 * time.Millisecond); late > 0 {
		f.wait(20*time.Millisecond - late)
	}
	f.converse(nil, nil, int(f.now.Sub(answered)/(20*time.Millisecond)), 40, "5")
	cseq = 3
	there("BYE sip:bob@192.0.2.2 SIP/2.0", "BYE", "5", "")
	back("SIP/2.0 200 OK", "BYE", "5", "")
	return f.buf.Bytes()
}

// converse films both sides' audio: the far side speaks at once, the caller when it
// has heard that. first numbers the first packet, tail is how many follow the words,
// and key is pressed in them.
func (f *film) converse(caller, far []byte, first, tail int, key string) {
	words := (len(caller) + len(far)) / 160
	if words > 0 {
		first = 0
	}
	pick := func(b []byte, i int) []byte {
		if i >= 0 && (i+1)*160 <= len(b) {
			return b[i*160 : (i+1)*160]
		}
		return bytes.Repeat([]byte{0xff}, 160)
	}
	for i := range words + tail {
		n := first + i
		send := func(src, dst netip.AddrPort, ssrc uint32, voice []byte) {
			b := rtpPacket(ssrc, 0, uint16(5000+n), uint32(70000+160*n))
			copy(b[12:], voice)
			f.udp(src, dst, string(b))
		}
		if key != "" && i >= 10 && i < 16 {
			b := rtpPacket(9, 101, uint16(5000+n), uint32(70000+160*(first+10)))[:16]
			end := byte(0x0a)
			if i >= 13 {
				end |= 0x80
			}
			copy(b[12:], []byte{key[0] - '0', end, 0, 0})
			binary.BigEndian.PutUint16(b[14:], uint16(160*min(i-9, 4)))
			f.udp(aRTP, bRTP, string(b))
		} else {
			send(aRTP, bRTP, 9, pick(caller, i-len(far)/160))
		}
		f.wait(4 * time.Millisecond)
		send(bRTP, aRTP, 8, pick(far, i))
		f.wait(16 * time.Millisecond)
	}
}

// promptOf is one of the built-in prompts in µ-law.
func promptOf(t *testing.T, name string) []byte {
	t.Helper()
	in, err := os.Open(filepath.Join("..", "..", "media", "prompt", "sounds", "en", name))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // only read
	a, err := codec.Read(in)
	if err != nil {
		t.Fatal(err)
	}
	return codec.MuLaw.Encode(nil, a.PCM())
}
