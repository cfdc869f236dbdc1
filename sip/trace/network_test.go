package trace

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func TestLinksAndTunnels(t *testing.T) {
	a6, b6 := netip.MustParseAddrPort("[2001:db8::1]:5060"), netip.MustParseAddrPort("[2001:db8::2]:5060")
	body := gopacket.Payload("hello")
	inner := serialize(t, ip(alice, bob, layers.IPProtocolUDP), udpLayer(alice, bob), body)
	inner6 := serialize(t, ip(a6, b6, layers.IPProtocolUDP), udpLayer(a6, b6), body)
	frame := serialize(t, ether(alice), gopacket.Payload(inner))
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	eth := func(next layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: next}
	}
	outer := func(proto layers.IPProtocol) gopacket.SerializableLayer { return ip(bRTP, aRTP, proto) }
	tunnelTo := func(port uint16) gopacket.SerializableLayer {
		return &layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}
	}
	join := func(head []byte, rest []byte) []byte { return append(head, rest...) }
	for _, c := range []struct {
		name string
		link layers.LinkType
		data []byte
		six  bool
	}{
		{"ethernet", layers.LinkTypeEthernet, frame, false},
		{"ethernet ipv6", layers.LinkTypeEthernet, serialize(t, ether(a6), gopacket.Payload(inner6)), true},
		{"vlan in vlan", layers.LinkTypeEthernet, serialize(t, eth(layers.EthernetTypeQinQ),
			&layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeDot1Q}, &layers.Dot1Q{VLANIdentifier: 8, Type: layers.EthernetTypeIPv4}, gopacket.Payload(inner)), false},
		{"mpls", layers.LinkTypeEthernet, serialize(t, eth(layers.EthernetTypeMPLSUnicast), &layers.MPLS{Label: 9}, &layers.MPLS{Label: 10, StackBottom: true}, gopacket.Payload(inner)), false},
		{"pppoe", layers.LinkTypeEthernet, serialize(t, eth(layers.EthernetTypePPPoESession),
			&layers.PPPoE{Version: 1, Type: 1, Code: layers.PPPoECodeSession}, &layers.PPP{PPPType: layers.PPPTypeIPv4}, gopacket.Payload(inner)), false},
		{"snap", layers.LinkTypeEthernet, join(append(append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, 0, byte(8+len(inner))), 0xaa, 0xaa, 3, 0, 0, 0, 8, 0), inner), false},
		{"padded frame", layers.LinkTypeEthernet, join(append([]byte(nil), frame...), make([]byte, 13)), false},
		{"null", layers.LinkTypeNull, join([]byte{2, 0, 0, 0}, inner), false},
		{"null ipv6 of macOS", layers.LinkTypeNull, join([]byte{30, 0, 0, 0}, inner6), true},
		{"loop", layers.LinkTypeLoop, join([]byte{0, 0, 0, 2}, inner), false},
		{"raw", layers.LinkTypeRaw, inner, false},
		{"raw of a BSD", 12, inner6, true},
		{"sll", layers.LinkTypeLinuxSLL, join(append(make([]byte, 14), 8, 0), inner), false},
		{"sll2", layers.LinkTypeLinuxSLL2, join(append([]byte{0x86, 0xdd}, make([]byte, 18)...), inner6), true},
		{"ppp", layers.LinkTypePPP, join([]byte{0xff, 3, 0, 0x21}, inner), false},
		{"ip in ip", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolIPv4), gopacket.Payload(inner)), false},
		{"ipv6 in ipv4", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolIPv6), gopacket.Payload(inner6)), true},
		{"gre with key and sequence", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolGRE),
			&layers.GRE{Protocol: layers.EthernetTypeIPv4, KeyPresent: true, Key: 1, SeqPresent: true, Seq: 2}, gopacket.Payload(inner)), false},
		{"gre bridging", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolGRE), &layers.GRE{Protocol: layers.EthernetTypeTransparentEthernetBridging}, gopacket.Payload(frame)), false},
		{"erspan II", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolGRE),
			&layers.GRE{Protocol: layers.EthernetTypeERSPAN, SeqPresent: true}, gopacket.Payload(make([]byte, 8)), gopacket.Payload(frame)), false},
		{"vxlan", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolUDP), tunnelTo(portVXLAN), &layers.VXLAN{ValidIDFlag: true, VNI: 5}, gopacket.Payload(frame)), false},
		{"geneve", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolUDP), tunnelTo(portGeneve), gopacket.Payload([]byte{0, 0, 0x65, 0x58, 0, 0, 1, 0}), gopacket.Payload(frame)), false},
		{"gtp-u", layers.LinkTypeRaw, serialize(t, outer(layers.IPProtocolUDP), tunnelTo(portGTPU), &layers.GTPv1U{Version: 1, ProtocolType: 1, MessageType: 255, TEID: 3}, gopacket.Payload(inner)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n network
			s, ok := n.decode(Packet{At: start, Link: c.link, Data: c.data})
			src, dst := alice, bob
			if c.six {
				src, dst = a6, b6
			}
			if !ok || s.src != src || s.dst != dst || string(s.payload) != "hello" {
				t.Errorf("got %v, %v > %v: %q", ok, s.src, s.dst, s.payload)
			}
			// Whatever is missing at the end, nothing may break.
			for i := range c.data {
				n.decode(Packet{At: start, Link: c.link, Data: c.data[:i]})
			}
		})
	}
}

func TestStrangeLinkIsCounted(t *testing.T) {
	var n network
	for range 3 {
		if _, ok := n.decode(Packet{Link: 147, Data: []byte("anything")}); ok {
			t.Fatal("link type 147 was decoded")
		}
	}
	if n.strange[147] != 3 {
		t.Errorf("counted %v", n.strange)
	}
}

func TestQuotedInICMPIsNothing(t *testing.T) {
	quoted := serialize(t, ip(alice, bob, layers.IPProtocolUDP), udpLayer(alice, bob), gopacket.Payload("OPTIONS sip:x SIP/2.0\r\n\r\n"))
	b := serialize(t, ip(bob, alice, layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(quoted))
	var n network
	if s, ok := n.decode(Packet{Link: layers.LinkTypeRaw, Data: b}); ok {
		t.Errorf("decoded as %+v", s)
	}
}

// fragment4 cuts a UDP datagram into IPv4 fragments with the given payload sizes.
func fragment4(t testing.TB, src, dst netip.AddrPort, payload string, size int) [][]byte {
	whole := serialize(t, udpLayer(src, dst), gopacket.Payload(payload))
	binary.BigEndian.PutUint16(whole[4:], uint16(len(whole)))
	var out [][]byte
	for at := 0; at < len(whole); at += size {
		end := min(at+size, len(whole))
		l := ip(src, dst, layers.IPProtocolUDP).(*layers.IPv4)
		l.Id, l.FragOffset = 77, uint16(at/8)
		if end < len(whole) {
			l.Flags = layers.IPv4MoreFragments
		}
		out = append(out, serialize(t, l, gopacket.Payload(whole[at:end])))
	}
	return out
}

func TestFragments(t *testing.T) {
	text := ""
	for len(text) < 4000 {
		text += "abcdefghijklmnopqrstuvwxyz"
	}
	parts := fragment4(t, alice, bob, text, 1480)
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 1, 2, 2, 0}} {
		var n network
		done := false
		for _, i := range order {
			s, ok := n.decode(Packet{At: start, Link: layers.LinkTypeRaw, Data: parts[i]})
			if ok {
				done = true
				if s.src != alice || string(s.payload) != text {
					t.Errorf("order %v: %v with %d bytes", order, s.src, len(s.payload))
				}
			}
		}
		if !done || len(n.fragments.open) != 0 || len(n.fragments.order) != 0 {
			t.Errorf("order %v: done %v, %d left open", order, done, len(n.fragments.open))
		}
	}
}

func TestFragmentsOfIPv6(t *testing.T) {
	a6, b6 := netip.MustParseAddrPort("[2001:db8::1]:5060"), netip.MustParseAddrPort("[2001:db8::2]:5060")
	udp := serialize(t, udpLayer(a6, b6), gopacket.Payload("0123456789abcdef"))
	part := func(at, end int, more byte) []byte {
		head := []byte{protoUDP, 0, 0, 0, 0, 0, 0, 42}
		binary.BigEndian.PutUint16(head[2:], uint16(at))
		head[3] |= more
		return serialize(t, ip(a6, b6, layers.IPProtocolIPv6Fragment), gopacket.Payload(append(head, udp[at:end]...)))
	}
	var n network
	if _, ok := n.decode(Packet{Link: layers.LinkTypeIPv6, Data: part(16, 24, 0)}); ok {
		t.Error("half a datagram was taken for a whole")
	}
	s, ok := n.decode(Packet{Link: layers.LinkTypeIPv6, Data: part(0, 16, 1)})
	if !ok || string(s.payload) != "0123456789abcdef" || s.dst != b6 {
		t.Errorf("got %v %+v", ok, s)
	}
}

func TestFragmentLimits(t *testing.T) {
	var f fragments
	for i := range 3 * maxFragmented {
		f.add(fragmentKey{src: alice.Addr(), dst: bob.Addr(), id: uint32(i)}, 0, true, []byte("12345678"), false, start)
		f.expired(start, false)
	}
	if len(f.open) > maxFragmented || len(f.order) != len(f.open) {
		t.Errorf("%d datagrams are open, at most %d may be", len(f.open), maxFragmented)
	}
	if late := f.expired(start.Add(fragmentTimeout+1), false); len(late) != maxFragmented || len(f.open) != 0 {
		t.Errorf("%d expired, %d left", len(late), len(f.open))
	}
	// A fragment that would reach over the largest datagram is dropped.
	if _, ok := f.add(fragmentKey{}, maxDatagram-8, false, make([]byte, 16), false, start); ok || len(f.open) != 0 {
		t.Error("a fragment beyond 64 KiB was kept")
	}
}

// TestOnlyFirstFragment: filters on the SIP port keep only first fragments.
func TestOnlyFirstFragment(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "long")
	s.aSDP += "a=x:" + string(make([]byte, 2000)) + "\r\n"
	c := newScript(newFilm(t), "long")
	c.aSDP = s.aSDP
	c.say("INVITE+sdp")
	all, err := packets(t, c.buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var n network
	seg, _ := n.decode(all[0])
	first := fragment4(t, alice, bob, string(seg.payload), 1480)[0]
	f.frame(serialize(t, ether(alice), gopacket.Payload(first)))
	f.wait(5 * time.Second)
	s.say("180")
	call := f.one()
	if call.Methods["INVITE"] != 1 || call.InviteAt == nil || !call.InviteAt.Equal(start) {
		t.Errorf("the INVITE was not seen: %v at %v", call.Methods, call.InviteAt)
	}
}
