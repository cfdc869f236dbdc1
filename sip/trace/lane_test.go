package trace

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// FuzzPlain: what the short way sees in a frame is what the long way sees.
func FuzzPlain(f *testing.F) {
	frame := serialize(f, ether(aRTP), ip(aRTP, bRTP, layers.IPProtocolUDP), udpLayer(aRTP, bRTP), gopacket.Payload(rtpPacket(7, 0, 1, 160)))
	f.Add(frame)
	tagged := append(bytes.Clone(frame[:12]), 0x81, 0, 0, 5)
	f.Add(append(tagged, frame[12:]...))
	f.Add(append(bytes.Clone(frame), 0, 0, 0)) // padded
	f.Add(frame[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		p := Packet{At: start, Link: layers.LinkTypeEthernet, Data: b}
		key, rtp, ok := plain(&p)
		if !ok {
			return
		}
		var n network
		s, ok := n.decode(p)
		if !ok || len(n.more) > 0 || s.src.Port() == portGTPU || s.tcp {
			return
		}
		if port := binary.BigEndian.Uint16(b[len(b)-len(rtp)-6:]); tunnel(port, rtp) || s.transport != "udp" {
			return
		}
		src := key.addresses >> 32
		if !bytes.Equal(rtp, s.payload) && len(rtp) == len(s.payload) || s.src.Addr().Is4() && uint64(binary.BigEndian.Uint32(s.src.Addr().AsSlice())) != src && len(rtp) == len(s.payload) {
			t.Errorf("the short way sees % x from %x, the long one % x from %v", rtp, src, s.payload, s.src)
		}
	})
}

// TestLane: calls on the same ports one after the other, a stream that goes on when
// its call is over, and one that is announced late, measured by the short way as by
// the long one.
func TestLane(t *testing.T) {
	f := newFilm(t)
	for i, id := range []string{"one", "two"} {
		s := newScript(f, id)
		s.say("INVITE+sdp", "200+sdp", "ACK")
		f.rtp(aRTP, bRTP, 5, 0, 1000*i, 100)
		s.say("!BYE", "200")
		f.rtp(aRTP, bRTP, 5, 0, 1000*i+100, 3) // still on its way
	}
	f.wait(5 * time.Minute)
	f.rtp(aRTP, bRTP, 5, 0, 2000, 50) // of no call
	late := newScript(f, "late")
	c, d := netip.MustParseAddrPort("192.0.2.1:4100"), netip.MustParseAddrPort("192.0.2.2:6100")
	late.aSDP, late.bSDP = sdpOf(c, "0"), sdpOf(d, "0")
	f.rtp(c, d, 6, 0, 1, 40)
	late.say("INVITE+sdp", "200+sdp", "ACK")
	f.rtp(c, d, 6, 0, 41, 60)
	calls, sum := f.read()
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	for i, c := range calls {
		want := []int{103, 103, 100}[i]
		if len(c.Streams) != 1 || c.Streams[0].Packets != want || c.Streams[0].Lost != 0 || c.Streams[0].Jitter > 1 {
			t.Errorf("%s: streams %+v, %d packets were sent", c.CallID, c.Streams, want)
		}
	}
	if len(sum.Strays) != 1 || sum.Strays[0].Packets != 50 {
		t.Errorf("strays %+v", sum.Strays)
	}
}
