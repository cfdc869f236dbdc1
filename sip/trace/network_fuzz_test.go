package trace

import (
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// FuzzNetwork takes anything apart as a packet of any link type: what comes out
// is never more than what went in, but for what was put together.
func FuzzNetwork(f *testing.F) {
	for _, w := range wrappings(f) {
		f.Add(uint16(w.link), w.data)
	}
	for _, check := range checkLengths {
		f.Add(uint16(layers.LinkTypeRaw), cat("\x45\x00", be16(20+68), 4, "\x40\x32\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x02", espPacket(protoUDP, cat("\x13\xc4\x13\xc4\x00\x0d\x00\x00hello"), check, false)))
	}
	f.Add(uint16(layers.LinkTypeRaw), cat("\x45\x00\x00\x48", 4, "\x40\x84\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x02", 12, sctpData(1, 2, "one"), sctpData(2, 1, "two")))
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		var n network
		for range 2 { // a second time with what the first left behind
			s, ok := n.decode(Packet{At: start, Link: layers.LinkType(link), Data: b})
			if !ok && len(n.more) > 0 {
				t.Errorf("%d payloads besides none", len(n.more))
			}
			if ok && len(s.payload) == 0 && !s.syn && !s.done {
				t.Errorf("nothing is told as %+v", s)
			}
			if len(s.payload) > len(b)+maxMessage || len(n.more) > maxBundle {
				t.Errorf("%d bytes and %d more from %d", len(s.payload), len(n.more), len(b))
			}
		}
	})
}
