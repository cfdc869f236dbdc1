package trace

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// udptlPacket is one with a primary IFP packet and redundant copies of those before.
func udptlPacket(seq uint16, ifp string, redundant ...string) string {
	b := binary.BigEndian.AppendUint16(nil, seq)
	b = append(append(append(b, byte(len(ifp))), ifp...), 0, byte(len(redundant)))
	for _, r := range redundant {
		b = append(append(b, byte(len(r))), r...)
	}
	return string(b)
}

func TestUDPTL(t *testing.T) {
	data := "\xc0\x01\x80\x00\x01\xff\xff" // V.21 data with one field
	for name, c := range map[string]struct {
		packet string
		ok     bool
	}{
		"indicator":             {udptlPacket(1, "\x06"), true},
		"data":                  {udptlPacket(0x9000, data, "\x06"), true},
		"redundancy":            {udptlPacket(7, data, data, data, data), true},
		"forward correction":    {"\x00\x07\x01\x06\x80\x01\x03\x01\x01\xaa", true},
		"one byte too many":     {udptlPacket(7, data, data) + "x", false},
		"one byte too few":      {udptlPacket(7, data, data)[:15], false},
		"an IFP that is none":   {udptlPacket(7, "\x80\x80\x80"), false},
		"empty":                 {udptlPacket(7, ""), false},
		"RTP":                   {string(rtpPacket(1, 0, 5, 800)), false},
		"a question of the DNS": {"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01", false},
	} {
		if seq, ok := udptl([]byte(c.packet)); ok != c.ok || ok && seq != binary.BigEndian.Uint16([]byte(c.packet)) {
			t.Errorf("%s: %v, number %d", name, ok, seq)
		}
	}
}

// TestFaxCall: after a re-INVITE a call goes on in T.38, whose packets look like
// RTP from number 32768 on.
func TestFaxCall(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "fax")
	s.say("INVITE+sdp", "200+sdp", "ACK")
	f.rtp(aRTP, bRTP, 1, 0, 1, 50)
	image := func(port int, host string) string {
		return fmt.Sprintf("v=0\r\no=- 1 2 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=image %[2]d udptl t38\r\na=T38FaxVersion:0\r\n", host, port)
	}
	s.aSDP, s.bSDP = image(4000, "192.0.2.1"), image(6000, "192.0.2.2")
	s.say("!INVITE^+sdp", "200+sdp", "ACK")
	data := "\xc0\x01\x80\x00\x01\xff\xff"
	for i := range 40 {
		if i != 20 { // one is lost
			f.udp(aRTP, bRTP, udptlPacket(uint16(32750+i), data, data))
		}
		f.udp(bRTP, aRTP, udptlPacket(uint16(i), "\x00"))
		f.wait(40 * time.Millisecond)
	}
	s.say("!BYE", "200")
	c := f.one()
	if len(c.Streams) != 1 || c.Streams[0].Packets != 50 {
		t.Errorf("streams %+v", c.Streams)
	}
	if len(c.Faxes) != 2 || c.Faxes[0].Source != aRTP || c.Faxes[0].Packets != 39 || c.Faxes[0].Lost != 1 || c.Faxes[1].Packets != 40 || c.Faxes[1].Lost != 0 {
		t.Errorf("T.38 %+v", c.Faxes)
	}
	if got := strings.Join(c.Flags, " "); got != "reinvite t38" {
		t.Errorf("flags %s", got)
	}
}

// TestMediaAlone: without a word of SIP, RTP, T.38 and what else is there are told
// apart.
func TestMediaAlone(t *testing.T) {
	f := newFilm(t)
	fax := netip.MustParseAddrPort("192.0.2.1:5000")
	sip := netip.MustParseAddrPort("192.0.2.1:4500")
	for i := range 60 {
		f.udp(aRTP, bRTP, string(rtpPacket(7, 18, uint16(i), uint32(160*i))))
		f.udp(fax, bRTP, udptlPacket(uint16(0x7ff0+i), "\xc0\x01\x80\x00\x01\xff\xff", "\x06"))
		f.udp(bRTP, aRTP, "\x81\xc9\x00\x07"+strings.Repeat("\x00", 28))                                             // a receiver report
		f.udp(bRTP, aRTP, "\x00\x01\x00\x00\x21\x12\xa4\x42"+strings.Repeat("z", 12))                                // STUN
		f.udp(bRTP, aRTP, "\x17\xfe\xfd"+strings.Repeat("y", 30))                                                    // DTLS
		f.udp(sip, bRTP, "\x80\x00"+strings.Repeat(string([]byte{byte(i), byte(7 * i), byte(i * i), byte(i)}), 5))   // no RTP: no number stays
		f.udp(fax, aRTP, string([]byte{0x80, 0, 0x29, 0x10, 0, 0, 0, 1, 0, 0, 0, 0, byte(i)})+"NetBIOS to port 137") // none: the number stands still
		f.wait(20 * time.Millisecond)
	}
	calls, sum := f.read()
	if len(calls) != 0 || len(sum.Strays) != 1 || sum.Strays[0].Codec != "G729" || sum.Strays[0].Packets != 60 || sum.Strays[0].Jitter != 0 {
		t.Errorf("calls %v, streams %+v", calls, sum.Strays)
	}
	if len(sum.Faxes) != 1 || sum.Faxes[0].Source != fax || sum.Faxes[0].Packets != 60 || sum.Faxes[0].Lost != 0 {
		t.Errorf("T.38 %+v", sum.Faxes)
	}
	for kind, n := range map[string]int{"rtcp": 60, "stun": 60, "dtls": 60} {
		if sum.Kinds[kind] != n {
			t.Errorf("%d of %s, %d sent", sum.Kinds[kind], kind, n)
		}
	}
}

// TestClockByTimestamps: a dynamic payload type that nobody described has the clock
// that its timestamps show.
func TestClockByTimestamps(t *testing.T) {
	for _, c := range []struct {
		clock, ms int
		jitter    float64 // at most
	}{{48000, 20, 0.1}, {16000, 20, 0.1}, {8000, 30, 0.1}, {90000, 40, 0.1}} {
		f := newFilm(t)
		for i := range 100 {
			f.udp(aRTP, bRTP, string(rtpPacket(7, 96, uint16(i), uint32(c.clock/1000*c.ms*i))))
			f.wait(time.Duration(c.ms) * time.Millisecond)
		}
		_, sum := f.read()
		if len(sum.Strays) != 1 || sum.Strays[0].Jitter > c.jitter || sum.Strays[0].PayloadType != 96 {
			t.Errorf("%d Hz: %+v", c.clock, sum.Strays)
		}
	}
}
