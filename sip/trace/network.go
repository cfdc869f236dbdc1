package trace

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// segment is what one packet carried over UDP or TCP.
type segment struct {
	at       time.Time
	src, dst netip.AddrPort
	payload  []byte // valid until the next packet
	cut      bool   // the capture kept less than was sent

	tcp  bool
	seq  uint32
	syn  bool
	done bool // FIN or RST
}

// network finds the UDP or TCP payload of a packet through links, tunnels and
// IP fragments. The decoding is our own because the library's layers allocate
// per packet and refuse whole packets for one bad option.
type network struct {
	fragments fragments
	strange   map[layers.LinkType]int // packets of link types that are not read
}

// Numbers of IANA registries.
const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86dd
	etherVLAN  = 0x8100
	etherQinQ  = 0x88a8
	etherQinQ1 = 0x9100
	etherMPLS  = 0x8847
	etherMPLSM = 0x8848
	etherPPPoE = 0x8864
	etherTEB   = 0x6558 // transparent Ethernet bridging
	etherPPTP  = 0x880b // GRE version 1, RFC 2637
	etherSpan2 = 0x88be // ERSPAN
	etherSpan3 = 0x22eb

	pppIPv4 = 0x0021
	pppIPv6 = 0x0057

	protoIPv4  = 4
	protoTCP   = 6
	protoUDP   = 17
	protoIPv6  = 41
	protoGRE   = 47
	protoFrag6 = 44

	portVXLAN  = 4789
	portGTPU   = 2152
	portGeneve = 6081
)

// maxNesting bounds tunnels in tunnels.
const maxNesting = 8

// decode returns the UDP or TCP payload of a packet, if it holds one.
func (n *network) decode(p Packet) (segment, bool) {
	s := segment{at: p.At}
	ok := n.link(p.Link, p.Data, &s)
	return s, ok
}

func (n *network) link(t layers.LinkType, b []byte, s *segment) bool {
	switch t {
	case layers.LinkTypeEthernet:
		return n.ethernet(b, s, 0)
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		// The family's number and byte order are those of the capturing system;
		// what follows says more plainly what it is.
		return len(b) > 4 && n.ip(b[4:], s, 0)
	case layers.LinkTypeRaw, 12, 14, layers.LinkTypeIPv4, layers.LinkTypeIPv6: // 12 and 14 are DLT_RAW of BSDs
		return n.ip(b, s, 0)
	case layers.LinkTypeLinuxSLL:
		return len(b) > 16 && n.ether(binary.BigEndian.Uint16(b[14:]), b[16:], s, 0)
	case layers.LinkTypeLinuxSLL2:
		return len(b) > 20 && n.ether(binary.BigEndian.Uint16(b), b[20:], s, 0)
	case layers.LinkTypePPP, layers.LinkTypePPP_HDLC:
		return n.ppp(b, s, 0)
	case layers.LinkTypePPPEthernet:
		return len(b) > 6 && n.ppp(b[6:], s, 0)
	case layers.LinkTypeC_HDLC:
		return len(b) > 4 && n.ether(binary.BigEndian.Uint16(b[2:]), b[4:], s, 0)
	}
	if n.strange == nil {
		n.strange = map[layers.LinkType]int{}
	}
	if _, known := n.strange[t]; known || len(n.strange) < 64 {
		n.strange[t]++
	}
	return false
}

func (n *network) ethernet(b []byte, s *segment, depth int) bool {
	return len(b) > 14 && n.ether(binary.BigEndian.Uint16(b[12:]), b[14:], s, depth)
}

// ether reads what follows an EtherType.
func (n *network) ether(t uint16, b []byte, s *segment, depth int) bool {
	if depth > maxNesting {
		return false
	}
	switch t {
	case etherIPv4, etherIPv6:
		return n.ip(b, s, depth)
	case etherVLAN, etherQinQ, etherQinQ1:
		return len(b) > 4 && n.ether(binary.BigEndian.Uint16(b[2:]), b[4:], s, depth+1)
	case etherMPLS, etherMPLSM:
		return n.mpls(b, s, depth)
	case etherPPPoE:
		return len(b) > 6 && n.ppp(b[6:], s, depth)
	case etherPPTP:
		return n.ppp(b, s, depth)
	case etherTEB:
		return n.ethernet(b, s, depth+1)
	case etherSpan2: // type II has a header of 8 bytes, type I none
		return len(b) > 8 && n.ethernet(b[8:], s, depth+1)
	case etherSpan3:
		return len(b) > 12 && n.ethernet(b[12:], s, depth+1)
	}
	// A length in place of a type: LLC with SNAP (RFC 1042).
	if t < 1536 && len(b) > 8 && b[0] == 0xaa && b[1] == 0xaa && b[2] == 3 {
		return n.ether(binary.BigEndian.Uint16(b[6:]), b[8:], s, depth+1)
	}
	return false
}

func (n *network) mpls(b []byte, s *segment, depth int) bool {
	for len(b) > 4 {
		bottom := b[2]&1 != 0
		b = b[4:]
		if !bottom {
			continue
		}
		if v := b[0] >> 4; v == 4 || v == 6 {
			return n.ip(b, s, depth)
		}
		if b[0]>>4 == 0 && len(b) > 4 { // a pseudo-wire's control word, RFC 4385
			b = b[4:]
		}
		return n.ethernet(b, s, depth+1)
	}
	return false
}

func (n *network) ppp(b []byte, s *segment, depth int) bool {
	if len(b) > 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	if len(b) == 0 {
		return false
	}
	proto := uint16(b[0])
	if proto&1 == 0 { // the protocol field was not compressed (RFC 1661 section 6.5)
		if len(b) < 2 {
			return false
		}
		proto, b = binary.BigEndian.Uint16(b), b[1:]
	}
	if proto != pppIPv4 && proto != pppIPv6 {
		return false
	}
	return n.ip(b[1:], s, depth)
}

func (n *network) ip(b []byte, s *segment, depth int) bool {
	if len(b) == 0 || depth > maxNesting {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		return n.ipv4(b, s, depth)
	case 6:
		return n.ipv6(b, s, depth)
	}
	return false
}

func (n *network) ipv4(b []byte, s *segment, depth int) bool {
	if len(b) < 20 {
		return false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || header > len(b) {
		return false
	}
	// A total length of 0 is written by cards that segment themselves.
	if total == 0 {
		total = len(b)
	}
	if total < header {
		return false
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	cut := total > len(b)
	payload := b[header:min(total, len(b))]
	offset := binary.BigEndian.Uint16(b[6:])
	if more, at := offset&0x2000 != 0, int(offset&0x1fff)*8; more || at > 0 {
		key := fragmentKey{src: src, dst: dst, id: uint32(binary.BigEndian.Uint16(b[4:])), proto: b[9]}
		return n.fragment(key, at, more, payload, cut, s, depth)
	}
	return n.transport(b[9], src, dst, payload, cut, s, depth)
}

func (n *network) ipv6(b []byte, s *segment, depth int) bool {
	if len(b) < 40 {
		return false
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	length, proto := int(binary.BigEndian.Uint16(b[4:])), b[6]
	b = b[40:]
	cut := length > len(b)
	if length > 0 && length < len(b) { // 0: a jumbogram, or a card that segments itself
		b = b[:length]
	}
	for range maxNesting {
		switch proto {
		case 0, 43, 60, 135, 139, 140: // hop-by-hop, routing, destination, mobility, HIP, shim6
			if len(b) < 8 || len(b) < 8+int(b[1])*8 {
				return false
			}
			proto, b = b[0], b[8+int(b[1])*8:]
		case 51: // authentication header: its length counts in 4 bytes, less 2
			if len(b) < 8 || len(b) < (int(b[1])+2)*4 {
				return false
			}
			proto, b = b[0], b[(int(b[1])+2)*4:]
		case protoFrag6:
			if len(b) < 8 {
				return false
			}
			key := fragmentKey{src: src, dst: dst, id: binary.BigEndian.Uint32(b[4:]), proto: b[0]}
			at, more := int(binary.BigEndian.Uint16(b[2:])&^7), b[3]&1 != 0
			if at == 0 && !more { // an atomic fragment, RFC 6946
				proto, b = b[0], b[8:]
				continue
			}
			return n.fragment(key, at, more, b[8:], cut, s, depth)
		default:
			return n.transport(proto, src, dst, b, cut, s, depth)
		}
	}
	return false
}

func (n *network) fragment(key fragmentKey, at int, more bool, b []byte, cut bool, s *segment, depth int) bool {
	whole, ok := n.fragments.add(key, at, more, b, cut, s.at)
	return ok && n.transport(key.proto, key.src, key.dst, whole, false, s, depth+1)
}

// transport reads what an IP packet carries. ICMP is not looked into: what it
// quotes was never delivered.
func (n *network) transport(proto uint8, src, dst netip.Addr, b []byte, cut bool, s *segment, depth int) bool {
	switch proto {
	case protoUDP:
		return n.udp(src, dst, b, cut, s, depth)
	case protoTCP:
		return tcpSegment(src, dst, b, cut, s)
	case protoIPv4, protoIPv6:
		return n.ip(b, s, depth+1)
	case protoGRE:
		return n.gre(b, s, depth+1)
	}
	return false
}

func (n *network) udp(src, dst netip.Addr, b []byte, cut bool, s *segment, depth int) bool {
	if len(b) < 8 {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	from, to := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	b = b[8:]
	if length >= 8 && length-8 < len(b) {
		b = b[:length-8]
	}
	if tunnel(to, b) {
		if inner := *s; n.tunnelled(to, b, &inner, depth+1) {
			*s = inner
			return true
		}
	}
	s.src, s.dst = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
	s.payload, s.cut = b, cut
	return len(b) > 0
}

// tunnel says whether a datagram looks like VXLAN (RFC 7348), GTP-U (3GPP
// TS 29.281) or Geneve (RFC 8926): ports alone do not, media use any of them.
func tunnel(port uint16, b []byte) bool {
	if len(b) < 16 {
		return false
	}
	switch port {
	case portVXLAN:
		return b[0] == 0x08 && b[1] == 0 && b[2] == 0 && b[3] == 0 && b[7] == 0
	case portGTPU:
		return b[0]>>4 == 3 && b[1] == 0xff // version 1, protocol type GTP; G-PDU
	case portGeneve:
		return b[0]>>6 == 0 && binary.BigEndian.Uint16(b[2:]) == etherTEB
	}
	return false
}

func (n *network) tunnelled(port uint16, b []byte, s *segment, depth int) bool {
	switch port {
	case portVXLAN:
		return n.ethernet(b[8:], s, depth)
	case portGTPU:
		if b[0]&7 == 0 {
			return n.ip(b[8:], s, depth)
		}
		// Optional fields, then extension headers of 4-byte units.
		next, b := b[11], b[12:]
		for next != 0 {
			if len(b) == 0 || b[0] == 0 || int(b[0])*4 > len(b) {
				return false
			}
			size := int(b[0]) * 4
			next, b = b[size-1], b[size:]
		}
		return n.ip(b, s, depth)
	case portGeneve:
		options := int(b[0]&0x3f) * 4
		return len(b) > 8+options && n.ethernet(b[8+options:], s, depth)
	}
	return false
}

// gre reads RFC 2784, 2890 and 2637 (PPTP).
func (n *network) gre(b []byte, s *segment, depth int) bool {
	if len(b) < 4 {
		return false
	}
	flags, t := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	header := 4
	for _, f := range []uint16{0x8000, 0x2000, 0x1000} { // checksum, key, sequence
		if flags&f != 0 {
			header += 4
		}
	}
	if flags&7 == 1 && flags&0x0080 != 0 { // PPTP's acknowledgement
		header += 4
	}
	if len(b) <= header {
		return false
	}
	if t == etherSpan2 && flags&0x1000 == 0 { // ERSPAN type I: no sequence, no header
		return n.ethernet(b[header:], s, depth)
	}
	return n.ether(t, b[header:], s, depth)
}

func tcpSegment(src, dst netip.Addr, b []byte, cut bool, s *segment) bool {
	if len(b) < 20 {
		return false
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return false
	}
	s.tcp = true
	s.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	s.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	s.seq = binary.BigEndian.Uint32(b[4:])
	s.syn = b[13]&2 != 0
	s.done = b[13]&5 != 0
	s.payload, s.cut = b[header:], cut
	return len(s.payload) > 0 || s.syn || s.done
}
