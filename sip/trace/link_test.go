package trace

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// wrapped is one packet of each encapsulation that is built by hand here, from
// its specification, around "hello" from alice to bob.
type wrapped struct {
	name string
	link layers.LinkType
	data []byte
	six  bool
}

var (
	alice6 = netip.MustParseAddrPort("[2001:db8::1]:5060")
	bob6   = netip.MustParseAddrPort("[2001:db8::2]:5060")
)

func cat(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			out = append(out, p...)
		case string:
			out = append(out, p...)
		case int: // that many zeros
			out = append(out, make([]byte, p)...)
		}
	}
	return out
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func le16(v int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(v)) }
func le32(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

const (
	mac1, mac2 = "\x02\x00\x00\x00\x00\x01", "\x02\x00\x00\x00\x00\x02"
	snap       = "\xaa\xaa\x03\x00\x00\x00\x08\x00"
)

func wrappings(t testing.TB) []wrapped {
	body := gopacket.Payload("hello")
	inner := serialize(t, ip(alice, bob, layers.IPProtocolUDP), udpLayer(alice, bob), body)
	inner6 := serialize(t, ip(alice6, bob6, layers.IPProtocolUDP), udpLayer(alice6, bob6), body)
	udp := serialize(t, udpLayer(alice, bob), body)
	frame := cat(mac1, mac2, "\x08\x00", inner)
	type l = layers.LinkType
	eth := l(layers.LinkTypeEthernet)
	raw := l(layers.LinkTypeRaw)
	ethernet := func(kind string, b ...any) []byte { return cat(mac1, mac2, kind, cat(b...)) }
	over := func(port int, b ...any) []byte { // UDP
		return serialize(t, ip(bRTP, aRTP, layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}, gopacket.Payload(cat(b...)))
	}
	in := func(proto int, b ...any) []byte { // IP
		return serialize(t, ip(alice, bob, layers.IPProtocol(proto)), gopacket.Payload(cat(b...)))
	}
	erf := func(kind byte, b ...any) []byte {
		body := cat(b...)
		return cat(8, []byte{kind, 4}, be16(16+len(body)), 2, be16(len(body)), body)
	}
	qos := cat("\x88\x01\x00\x00", mac1, mac2, mac1, "\x10\x00")
	tap := func(flags byte) []byte { // timestamp and flags
		return cat("\x00\x00", le16(17), le32(3), 8, []byte{flags})
	}
	subframe := cat(mac1, mac2, be16(8+len(inner)), snap, inner)
	subframe = append(subframe, make([]byte, (4-len(subframe)%4)%4)...)
	exported := func(a, b string, ports byte) []byte {
		tags := cat("\x00\x0c\x00\x04sip\x00", a, b, "\x00\x18\x00\x04\x00\x00\x00", []byte{ports}, "\x00\x19\x00\x04\x00\x00\x13\xc4", "\x00\x1a\x00\x04\x00\x00\x13\xc4", 4)
		return cat(tags, "hello")
	}
	a4, b4 := "\x00\x14\x00\x04\xc0\x00\x02\x01", "\x00\x15\x00\x04\xc0\x00\x02\x02"
	a16, b16 := cat("\x00\x16\x00\x10", alice6.Addr().AsSlice()), cat("\x00\x17\x00\x10", bob6.Addr().AsSlice())
	return []wrapped{
		{"vlan in vlan in vlan", eth, ethernet("\x91\x00", "\x00\x07\x92\x00\x00\x08\x81\x00\x00\x09\x08\x00", inner), false},
		{"provider backbone bridge", eth, ethernet("\x88\xe7", "\x00\x00\x00\x05", frame), false},
		{"VN-Tag", eth, ethernet("\x89\x26", "\x00\x00\x00\x05\x08\x00", inner), false},
		{"Cisco MetaData", eth, ethernet("\x89\x09", "\x01\x01\x00\x01\x00\x02\x08\x00", inner), false},
		{"MACsec without a channel", eth, ethernet("\x88\xe5", "\x00\x00\x00\x00\x00\x01\x08\x00", inner, 16), false},
		{"MACsec with a channel", eth, ethernet("\x88\xe5", "\x20\x00\x00\x00\x00\x01", 8, "\x08\x00", inner, 16), false},
		{"PPPoE", eth, ethernet("\x88\x64", "\x11\x00\x00\x01", be16(2+len(inner)), "\x00\x21", inner), false},
		{"multilink PPP", l(layers.LinkTypePPP), cat("\xff\x03\x00\x3d\xc0\x00\x00\x01\x21", inner), false},
		{"PPP with direction", linkPPPDir, cat("\x01\xff\x03\x00\x57", inner6), true},
		{"MPLS over PPP", l(layers.LinkTypePPP), cat("\x02\x81\x00\x01\x01\x40", inner), false},
		{"Cisco HDLC", l(layers.LinkTypeC_HDLC), cat("\x0f\x00\x08\x00", inner), false},
		{"Cisco HDLC with direction", linkCHDLCDir, cat("\x00\x0f\x00\x86\xdd", inner6), true},
		{"MPLS alone", linkMPLS, cat("\x00\x01\x01\x40", inner), false},
		{"MPLS pseudo-wire", linkMPLS, cat("\x00\x01\x01\x40", 4, frame), false},
		{"frame relay", linkFrameRelay, cat("\x18\x41\x03\xcc", inner), false},
		{"frame relay, SNAP", linkFrameRelay, cat("\x18\x41\x03\x00\x80\x00\x00\x00\x86\xdd", inner6), true},
		{"frame relay, Cisco's", linkFrameRelay, cat("\x18\x41\x08\x00", inner), false},
		{"ATM, SNAP", linkRFC1483, cat(snap, inner), false},
		{"ATM, routed", linkRFC1483, cat("\xfe\xfe\x03\xcc", inner), false},
		{"ATM, bridged", linkRFC1483, cat("\xaa\xaa\x03\x00\x80\xc2\x00\x07\x00\x00", frame), false},
		{"netANALYZER", linkNetAnalyzer, cat(4, frame), false},
		{"Juniper", linkJuniper, cat("MGC\x01", frame), false},
		{"Juniper with extensions", linkJuniper, cat("MGC\x81\x00\x04\x01\x02\x03\x04", frame), false},
		{"Juniper without link", linkJuniper, cat("MGC\x02\x02\x00\x00\x00", inner), false},
		{"PKTAP", linkPKTAP, cat(le32(20), le32(1), le32(1), 8, frame), false},
		{"NFLOG", linkNFLOG, cat("\x02\x00\x00\x01", le16(5), le16(10), "x\x00\x00\x00", le16(4+len(inner)), le16(9), inner), false},

		{"ERF Ethernet", linkERF, erf(2, 2, frame), false},
		{"ERF with extensions", linkERF, erf(2|0x80, "\x83", 7, "\x03", 7, 2, frame), false},
		{"ERF color Ethernet", linkERF, erf(11, 2, frame), false},
		{"ERF HDLC", linkERF, erf(1, "\x0f\x00\x08\x00", inner), false},
		{"ERF PPP", linkERF, erf(1, "\xff\x03\x00\x21", inner), false},
		{"ERF AAL5", linkERF, erf(4, 4, snap, inner), false},
		{"ERF IPv6", linkERF, erf(23, inner6), true},

		{"802.11", l(layers.LinkTypeIEEE802_11), cat("\x08\x02\x00\x00", mac1, mac2, mac1, "\x10\x00", snap, inner, 4), false},
		{"802.11 between stations of a bridge", l(layers.LinkTypeIEEE802_11), cat("\x08\x03\x00\x00", mac1, mac2, mac1, "\x10\x00", mac2, snap, inner), false},
		{"802.11 with quality of service", l(layers.LinkTypeIEEE802_11), cat(qos, 2, snap, inner), false},
		{"radiotap", l(layers.LinkTypeIEEE80211Radio), cat(tap(0x10), qos, 2, snap, inner, 4), false},
		{"radiotap with padding", l(layers.LinkTypeIEEE80211Radio), cat(tap(0x20), qos, 2, 2, snap, inner), false},
		{"802.11 aggregate", l(layers.LinkTypeIEEE802_11), cat(qos, "\x80\x00", subframe, subframe), false},
		{"PPI", linkPPI, cat("\x00\x00", le16(12), le32(105), 4, qos, 2, snap, inner), false},
		{"Prism", l(layers.LinkTypePrismHeader), cat(le32(0x44), le32(144), 136, qos, 2, snap, inner), false},
		{"AVS", linkAVS, cat("\x80\x21\x10\x01\x00\x00\x00\x40", 56, qos, 2, snap, inner), false},

		{"exported", linkExportedPDU, exported(a4, b4, 3), false},
		{"exported of IPv6", linkExportedPDU, exported(string(a16), string(b16), 2), true},

		{"authentication header", raw, in(protoAH, "\x11\x04\x00\x00", 8, 12, udp), false},
		{"ERSPAN I", raw, serialize(t, ip(bRTP, aRTP, layers.IPProtocolGRE), gopacket.Payload(cat("\x00\x00\x88\xbe", frame))), false},
		{"ERSPAN III", raw, serialize(t, ip(bRTP, aRTP, layers.IPProtocolGRE), gopacket.Payload(cat("\x10\x00\x22\xeb", 4, "\x20\x01\x00\x01", 8, frame))), false},
		{"ERSPAN III of a platform", raw, serialize(t, ip(bRTP, aRTP, layers.IPProtocolGRE), gopacket.Payload(cat("\x10\x00\x22\xeb", 4, "\x20\x01\x00\x01", 7, "\x01", 8, frame))), false},
		{"PPTP", raw, serialize(t, ip(bRTP, aRTP, layers.IPProtocolGRE), gopacket.Payload(cat("\x30\x81\x88\x0b", be16(4+len(inner)), be16(1), 4, 4, "\xff\x03\x00\x21", inner))), false},
		{"VXLAN on the port of Linux", raw, over(portVXLANLinux, "\x08\x00\x00\x00\x00\x00\x05\x00", frame), false},
		{"VXLAN-GPE", raw, over(portVXLANGPE, "\x0c\x00\x00\x01\x00\x00\x05\x00", inner), false},
		{"Geneve with options", raw, over(portGeneve, "\x02\x00\x65\x58\x00\x00\x05\x00", 8, frame), false},
		{"Geneve of IP", raw, over(portGeneve, "\x00\x00\x08\x00\x00\x00\x05\x00", inner), false},
		{"GTP-U with an extension", raw, over(portGTPU, "\x36\xff", be16(12+len(inner)), "\x00\x00\x00\x01\x00\x00\x00\x85\x01\x00\x00\x00", inner), false},
		{"L2TP", raw, over(portL2TP, "\x48\x02", be16(20+len(inner)), "\x00\x01\x00\x02\x00\x00\x00\x00\xff\x03\x00\x21", inner), false},
		{"L2TP version 3", raw, serialize(t, ip(bRTP, aRTP, protoL2TP), gopacket.Payload(cat("\x00\x00\x00\x07", 4, frame))), false},
		{"Teredo", raw, over(portTeredo, "\x00\x01\x00\x00", 9, "\x00\x00\x12\x34\x01\x02\x03\x04", inner6), true},
		{"LISP", raw, over(portLISP, "\xc0\x01\x02\x03\x00\x00\x00\x01", inner), false},
		{"GRE over UDP", raw, over(portGRE, "\x00\x00\x08\x00", inner), false},
		{"MPLS over UDP", raw, over(portMPLS, "\x00\x01\x01\x40", inner), false},
		{"CAPWAP of Ethernet", raw, over(portCAPWAP, "\x00\x10\x02\x00", 4, frame), false},
		{"CAPWAP of 802.11", raw, over(portCAPWAP, "\x00\x10\x03\x00", 4, qos, 2, snap, inner), false},
		{"TZSP", raw, over(portTZSP, "\x01\x00\x00\x01\x00\x0a\x01\x07\x01", frame), false},
	}
}

func TestEncapsulations(t *testing.T) {
	for _, c := range wrappings(t) {
		t.Run(c.name, func(t *testing.T) {
			var n network
			s, ok := n.decode(Packet{At: start, Link: c.link, Data: c.data})
			src, dst := alice, bob
			if c.six {
				src, dst = alice6, bob6
			}
			if !ok || s.src != src || s.dst != dst || string(s.payload) != "hello" {
				t.Errorf("got %v, %v > %v: %q", ok, s.src, s.dst, s.payload)
			}
			if c.name == "802.11 aggregate" && (len(n.more) != 1 || string(n.more[0].payload) != "hello") {
				t.Errorf("besides: %+v", n.more)
			}
			for i := range c.data {
				n.decode(Packet{At: start, Link: c.link, Data: bytes.Clone(c.data[:i])})
			}
		})
	}
}

// TestMediaOnPortsOfTunnels: RTP may use any port, and stays RTP.
func TestMediaOnPortsOfTunnels(t *testing.T) {
	for _, port := range []uint16{portL2TP, portGTPU, portTeredo, portLISP, portESP, portGRE, portVXLAN, portVXLANGPE, portCAPWAP, portGeneve, portMPLS, portVXLANLinux, portTZSP} {
		for _, ssrc := range []uint32{0x45000054, 0x60000000, 0x08000000} {
			for seq := range 4096 {
				b := rtpPacket(ssrc, uint8(seq)&0x68, uint16(seq), uint32(seq*160)<<8|0x4500)
				b[17], b[20] = 17, 0x45 // of an IP header, if the payload were one
				var n network
				var s segment
				if !n.udp(alice.Addr(), bob.Addr(), cat(be16(4000), be16(int(port)), be16(8+len(b)), 2, b), false, &s, 0) || s.dst.Port() != port {
					t.Fatalf("port %d: RTP is taken for a tunnel: % x", port, b[:24])
				}
			}
		}
	}
}

// TestNoEncapsulation: what must not be looked into, or cannot.
func TestNoEncapsulation(t *testing.T) {
	inner := serialize(t, ip(alice, bob, layers.IPProtocolUDP), udpLayer(alice, bob), gopacket.Payload("hello"))
	qos := func(control, fragment byte) []byte {
		return cat([]byte{0x88, control, 0, 0}, mac1, mac2, mac1, []byte{fragment, 0}, 2, snap, inner)
	}
	icmp := func(src, dst netip.AddrPort, proto layers.IPProtocol, head string) []byte {
		return serialize(t, ip(bob, alice, layers.IPProtocolIPv4), gopacket.Payload(serialize(t, ip(src, dst, proto), gopacket.Payload(cat(head, inner)))))
	}
	for _, c := range []wrapped{
		{"802.11, protected", layers.LinkTypeIEEE802_11, qos(0x41, 0x10), false},
		{"802.11, a fragment", layers.LinkTypeIEEE802_11, qos(0x05, 0x10), false},
		{"802.11, another fragment", layers.LinkTypeIEEE802_11, qos(0x01, 0x11), false},
		{"802.11, a beacon", layers.LinkTypeIEEE802_11, cat("\x80\x00", 22, snap, inner), false},
		{"MACsec, encrypted", layers.LinkTypeEthernet, cat(mac1, mac2, "\x88\xe5\x0c\x00\x00\x00\x00\x01\x08\x00", inner, 16), false},
		{"ICMP in a tunnel", layers.LinkTypeRaw, icmp(bob, alice, layers.IPProtocolICMPv4, "\x03\x03\x00\x00\x00\x00\x00\x00"), false},
		{"ICMPv6 in a tunnel", layers.LinkTypeRaw, icmp(bob6, alice6, layers.IPProtocolICMPv6, "\x01\x04\x00\x00\x00\x00\x00\x00"), false},
		{"PKTAP that refers to itself", linkPKTAP, bytes.Repeat(cat(le32(12), le32(1), le32(linkPKTAP)), 40), false},
		{"PPI that refers to itself", linkPPI, bytes.Repeat(cat("\x00\x00", le16(8), le32(linkPPI)), 40), false},
		{"multilink PPP in itself", layers.LinkTypePPP, bytes.Repeat([]byte("\x00\x3d\xc0\x00\x00\x01"), 40), false},
	} {
		var n network
		if s, ok := n.decode(Packet{At: start, Link: c.link, Data: c.data}); ok {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}
