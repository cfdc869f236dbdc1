package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// sctpData is a data chunk (RFC 9260 section 3.3.1) with the flags B (2) and E (1).
func sctpData(tsn uint32, flags byte, data string) []byte {
	b := cat([]byte{0, flags}, be16(16+len(data)), 4, 8, data)
	binary.BigEndian.PutUint32(b[4:], tsn)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func TestSCTP(t *testing.T) {
	other := cat("\x03\x00\x00\x10", 12) // a selective acknowledgement
	interleaved := cat("\x40\x03", be16(20+4), "\x00\x00\x00\x63", 12, "idat")
	for _, c := range []struct {
		name    string
		packets [][]byte
		want    string
	}{
		{"one", [][]byte{sctpData(1, 3, "one")}, "one"},
		{"several in a packet, among others", [][]byte{cat(other, sctpData(1, 3, "one"), sctpData(2, 3, "two2"), other, sctpData(3, 3, "three"))}, "one two2 three"},
		{"repeated", [][]byte{sctpData(1, 3, "one"), sctpData(2, 3, "two"), sctpData(1, 3, "one")}, "one two"},
		{"in parts", [][]byte{sctpData(8, 2, "on"), sctpData(9, 0, "e a"), sctpData(10, 1, "nd")}, "one and"},
		{"in parts, out of order, around the end of numbers", [][]byte{sctpData(0, 1, "nd"), sctpData(^uint32(1), 2, "on"), sctpData(1, 3, "two"), sctpData(^uint32(0), 0, "e a")}, "two one and"},
		{"a part is missing", [][]byte{sctpData(8, 2, "on"), sctpData(10, 1, "nd"), sctpData(11, 3, "two")}, "two"},
		{"interleaved", [][]byte{interleaved}, "idat"},
		{"a length of zero", [][]byte{cat("\x00\x03\x00\x00", 12)}, ""},
		{"a length too long", [][]byte{sctpData(1, 3, "one more")[:18]}, "on"},
	} {
		var n network
		var got []string
		for _, p := range c.packets {
			b := serialize(t, ip(alice, bob, protoSCTP), gopacket.Payload(cat("\x13\xc4\x13\xc4", 8, p)))
			if s, ok := n.decode(Packet{At: start, Link: layers.LinkTypeRaw, Data: b}); ok {
				for _, s := range append([]segment{s}, n.more...) {
					got = append(got, string(s.payload))
					if s.src != alice || s.dst != bob || s.transport != "sctp" {
						t.Errorf("%s: %+v", c.name, s)
					}
				}
			}
			for i := range b {
				new(network).decode(Packet{At: start, Link: layers.LinkTypeRaw, Data: bytes.Clone(b[:i])})
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

func TestSCTPLimits(t *testing.T) {
	var a associations
	for i := range 2 * maxAssociations {
		a.add(flowPair{alice, netip.AddrPortFrom(bob.Addr(), uint16(i))}, sctpPart{tsn: 1, begin: true, b: []byte("x")}, start.Add(time.Duration(i)))
	}
	if len(a.open) > maxAssociations {
		t.Errorf("%d associations are held", len(a.open))
	}
	key := flowPair{alice, bob}
	for i := range 1000 {
		a.add(key, sctpPart{tsn: uint32(2 * i), b: []byte("x")}, start.Add(time.Hour))
	}
	if o := a.open[key]; len(o.parts) > maxSCTPParts || len(o.recent) > maxRecentTSNs {
		t.Errorf("%d parts and %d numbers are held", len(o.parts), len(o.recent))
	}
	// A packet of many chunks.
	var all []byte
	for i := range 2000 {
		all = append(all, sctpData(uint32(i), 3, fmt.Sprint("m", i))...)
	}
	var n network
	var s segment
	if n.sctp(alice.Addr(), bob.Addr(), cat(12, all), false, &s); len(n.more) > maxBundle {
		t.Errorf("%d payloads of one packet", len(n.more))
	}
}

// TestCallOverSCTP: a call whose messages come two in a packet.
func TestCallOverSCTP(t *testing.T) {
	f := newFilm(t)
	text := func(start, cseq string) string {
		return start + "\r\nCall-ID: s\r\nFrom: <sip:alice@h>;tag=1\r\nTo: <sip:bob@h>\r\nCSeq: " + cseq + "\r\nContent-Length: 0\r\n\r\n"
	}
	tsn := uint32(0)
	send := func(texts ...string) {
		var chunks []byte
		for _, text := range texts {
			tsn++
			chunks = append(chunks, sctpData(tsn, 3, text)...)
		}
		f.frame(serialize(t, ether(alice), ip(alice, bob, protoSCTP), gopacket.Payload(cat("\x13\xc4\x13\xc4", 8, chunks))))
	}
	send(text("INVITE sip:bob@h SIP/2.0", "1 INVITE"))
	send(text("SIP/2.0 180 Ringing", "1 INVITE"), text("SIP/2.0 200 OK", "1 INVITE"))
	send(text("ACK sip:bob@h SIP/2.0", "1 ACK"), text("BYE sip:bob@h SIP/2.0", "2 BYE"))
	if c := f.one(); c.Outcome != Answered || c.RingingAt == nil || c.Methods["BYE"] != 1 || c.FromUser != "alice" {
		t.Errorf("got %+v", c)
	}
}
