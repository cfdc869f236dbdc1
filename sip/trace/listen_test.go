package trace

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

// notes is who listens in these tests.
type notes struct {
	frames [2][]time.Time
	pcm    [2]int
	keys   string
	ended  int
}

func (n *notes) Frame(s Side, f *codec.Frame) {
	i := slices.Index([]Side{Caller, Far}, s)
	n.frames[i] = append(n.frames[i], f.At)
	n.pcm[i] += len(f.PCM)
}
func (n *notes) Key(s Side, d codec.Digit) { n.keys += fmt.Sprintf("%s %c;", s, d.Key) }
func (n *notes) Ended()                    { n.ended++ }

// Both sides of a call are heard, each as itself, whichever way its media takes.
func TestListen(t *testing.T) {
	type heard struct {
		caller, far int // frames
		keys        string
	}
	talk := func(f *film, pt uint8) {
		for i := range 50 {
			f.udp(aRTP, bRTP, string(rtpPacket(9, pt, uint16(i), uint32(160*i))))
			f.wait(5 * time.Millisecond)
			f.udp(bRTP, aRTP, string(rtpPacket(8, pt, uint16(i), uint32(160*i))))
			f.wait(15 * time.Millisecond)
		}
	}
	for name, c := range map[string]struct {
		film func(s *script)
		want heard
	}{
		"both": {func(s *script) {
			s.say("INVITE+sdp", "180", "200+sdp", "ACK")
			talk(s.film, 0)
			s.udp(aRTP, bRTP, string(key5(9, 60)))
			s.say("!BYE", "200")
		}, heard{50, 50, "caller 5;"}},
		"late offer, captured ahead of its answer": {func(s *script) {
			s.say("INVITE", "180")
			talk(s.film, 0)
			s.say("200+sdp", "ACK+sdp", "!BYE", "200")
		}, heard{50, 50, ""}},
		"behind address translation": {func(s *script) {
			s.aSDP = strings.ReplaceAll(s.aSDP, "192.0.2.1", "10.0.0.1")
			s.say("INVITE+sdp", "180", "200+sdp", "ACK")
			talk(s.film, 0)
			s.say("!BYE", "200")
		}, heard{50, 50, ""}},
		"G.722": {func(s *script) {
			s.aSDP, s.bSDP = sdpOf(aRTP, "9"), sdpOf(bRTP, "9")
			s.say("INVITE+sdp", "180", "200+sdp", "ACK")
			talk(s.film, 9)
			s.say("!BYE", "200")
		}, heard{50, 50, ""}},
		"encrypted": {func(s *script) {
			s.bSDP = strings.ReplaceAll(s.bSDP, "RTP/AVP", "RTP/SAVP")
			s.say("INVITE+sdp", "180", "200+sdp", "ACK")
			talk(s.film, 0)
			s.say("!BYE", "200")
		}, heard{0, 0, ""}},
		"not decoded": {func(s *script) {
			s.say("INVITE+sdp", "180", "200+sdp", "ACK")
			talk(s.film, 18)
			s.say("!BYE", "200")
		}, heard{0, 0, ""}},
		"begun in the talk": {func(s *script) {
			s.say("200+sdp", "ACK")
			talk(s.film, 0)
			s.say("!BYE", "200")
		}, heard{50, 50, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFilm(t)
			c.film(newScript(f, "l"))
			n := &notes{}
			_, err := Read(bytes.NewReader(f.buf.Bytes()), Options{Listen: func(id string) Listener {
				if id != "l" {
					t.Errorf("asked about %q", id)
				}
				return n
			}}, func(*Call) {
				if n.ended > 1 || n.ended == 0 && c.want.caller > 0 {
					t.Errorf("told with %d ends", n.ended)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := (heard{len(n.frames[0]), len(n.frames[1]), n.keys}); got != c.want {
				t.Errorf("heard %+v, want %+v", got, c.want)
			}
			for i := range n.frames {
				if !slices.IsSortedFunc(n.frames[i], time.Time.Compare) || n.pcm[i] != 160*len(n.frames[i]) {
					t.Errorf("side %d: %d samples at %v", i, n.pcm[i], n.frames[i])
				}
			}
			if len(n.frames[1]) > 1 {
				if gap := n.frames[1][1].Sub(n.frames[0][1]); gap != 5*time.Millisecond {
					t.Errorf("the far side is heard %v after the caller", gap)
				}
			}
		})
	}
}

// The INVITE that a proxy sends on tells the callee where the caller is, and not the
// caller: its media stays its own.
func TestSidesBeyondProxy(t *testing.T) {
	f := newFilm(t)
	proxy := netip.MustParseAddrPort("192.0.2.9:5060")
	send := func(src, dst netip.AddrPort, line, via string, body string) {
		f.udp(src, dst, fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK%s\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>\r\nCall-ID: l\r\nCSeq: 7 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
			line, via, len(body), body))
		f.wait(10 * time.Millisecond)
	}
	send(alice, proxy, "INVITE sip:b@x SIP/2.0", "1", sdpOf(aRTP, "0"))
	send(proxy, bob, "INVITE sip:b@x SIP/2.0", "2", sdpOf(aRTP, "0"))
	send(bob, proxy, "SIP/2.0 200 OK", "2", sdpOf(bRTP, "0"))
	send(proxy, alice, "SIP/2.0 200 OK", "1", sdpOf(bRTP, "0"))
	f.rtp(bRTP, aRTP, 8, 0, 1, 10)
	f.rtp(aRTP, bRTP, 9, 0, 1, 20)
	c := f.one()
	if s := c.CallerStream(); s == nil || s.Source != aRTP || s.Side != Caller {
		t.Errorf("the caller's stream is %+v", s)
	}
	if s := c.FarStream(); s == nil || s.Source != bRTP {
		t.Errorf("the far stream is %+v", s)
	}
}
