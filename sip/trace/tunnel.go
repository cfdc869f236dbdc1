package trace

import (
	"encoding/binary"
	"net/netip"
)

// Ports of what is carried over UDP, from the registry of IANA.
const (
	portL2TP       = 1701
	portGTPU       = 2152
	portTeredo     = 3544
	portLISP       = 4341
	portESP        = 4500
	portGRE        = 4754
	portVXLAN      = 4789
	portVXLANGPE   = 4790
	portCAPWAP     = 5247
	portGeneve     = 6081
	portMPLS       = 6635
	portVXLANLinux = 8472 // of Linux before the registry
	portTZSP       = 37008
)

// tunnel says whether a datagram may be of a tunnel: its port does, and its
// first bytes. Ports alone do not, since media use any of them; what the tunnel
// holds has to be IP besides.
func tunnel(port uint16, b []byte) bool {
	if len(b) < 16 {
		return false
	}
	switch port {
	case portVXLAN, portVXLANLinux: // RFC 7348
		return b[0] == 0x08 && b[1] == 0 && b[2] == 0 && b[3] == 0 && b[7] == 0
	case portVXLANGPE:
		return b[0]&0x0c == 0x0c && b[1] == 0 && b[2] == 0 && b[7] == 0
	case portGTPU: // 3GPP TS 29.281: version 1, protocol type GTP; G-PDU
		return b[0]>>4 == 3 && b[1] == 0xff
	case portGeneve: // RFC 8926
		return b[0]>>6 == 0
	case portL2TP: // RFC 2661: data, of version 2
		return b[0]&0x80 == 0 && b[1]&0x0f == 2
	case portTeredo: // RFC 4380
		return b[0]>>4 == 6 || b[0] == 0
	case portLISP: // RFC 9301; no bit of it is reserved
		return wholePayload(protoIPv4, netip.Addr{}, netip.Addr{}, b[8:]) || wholePayload(protoIPv6, netip.Addr{}, netip.Addr{}, b[8:])
	case portGRE: // RFC 8086; with a checksum it could be RTP, and UDP has one already
		return b[0]&0xcf == 0 && b[1]&7 == 0
	case portCAPWAP: // RFC 5415: no DTLS, no fragment
		return b[0] == 0 && b[3]&0x80 == 0
	case portMPLS: // RFC 7510; a label that could be RTP is not believed
		return b[0]>>6 != 2
	case portTZSP:
		return b[0] == 1 && b[1] <= 1
	case portESP: // RFC 3948: no IKE, no keep-alive
		return binary.BigEndian.Uint32(b) != 0
	}
	return false
}

// tunnelled reads what a tunnel over UDP holds. src and dst are the tunnel's ends.
func (n *network) tunnelled(port uint16, src, dst netip.Addr, b []byte, cut bool, s *segment, depth int) bool {
	switch port {
	case portVXLAN, portVXLANLinux:
		return n.ethernet(b[8:], s, depth)
	case portVXLANGPE:
		switch b[3] {
		case 1, 2:
			return n.ip(b[8:], s, depth)
		case 3:
			return n.ethernet(b[8:], s, depth)
		}
	case portGTPU:
		return n.gtp(b, s, depth)
	case portGeneve:
		options := int(b[0]&0x3f) * 4
		return len(b) > 8+options && n.ether(binary.BigEndian.Uint16(b[2:]), b[8+options:], s, depth)
	case portL2TP:
		return n.l2tp(b, s, depth)
	case portTeredo:
		if b[0] == 0 && b[1] == 1 { // authentication
			b = b[min(13+int(b[2])+int(b[3]), len(b)):]
		}
		if len(b) > 8 && b[0] == 0 && b[1] == 0 { // where it came from
			b = b[8:]
		}
		return n.ip(b, s, depth)
	case portLISP:
		return n.ip(b[8:], s, depth)
	case portGRE:
		return n.gre(b, s, depth)
	case portCAPWAP:
		size := int(b[1]>>3) * 4
		switch {
		case size < 8 || size >= len(b):
			return false
		case b[2]&1 == 0:
			return n.ethernet(b[size:], s, depth)
		}
		return n.wlan(b[size:], false, s, depth)
	case portMPLS:
		return n.mpls(b, s, depth)
	case portTZSP:
		return n.tzsp(b, s, depth)
	case portESP:
		return n.esp(src, dst, b, cut, s, depth)
	}
	return false
}

func (n *network) gtp(b []byte, s *segment, depth int) bool {
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
}

// l2tp reads the data messages of RFC 2661, which hold PPP.
func (n *network) l2tp(b []byte, s *segment, depth int) bool {
	flags, size := binary.BigEndian.Uint16(b), 6
	if flags&0x4000 != 0 { // a length
		size += 2
	}
	if flags&0x0800 != 0 { // sequence numbers
		size += 4
	}
	if flags&0x0200 != 0 { // padding, of a length that stands there
		if len(b) < size+2 {
			return false
		}
		size += 2 + int(binary.BigEndian.Uint16(b[size:]))
	}
	return len(b) > size && n.ppp(b[size:], s, depth)
}

// l2tp3 reads Ethernet and IP over L2TP version 3 (RFC 3931). The ends agreed on
// the length of a cookie and on a sublayer (RFC 4719), so what fits is taken.
func (n *network) l2tp3(b []byte, s *segment, depth int) bool {
	if len(b) < 4 || binary.BigEndian.Uint32(b) == 0 { // 0: control
		return false
	}
	for _, size := range [...]int{4, 8, 12, 16} {
		if len(b) < size+34 {
			break
		}
		in := b[size:]
		if t := binary.BigEndian.Uint16(in[12:]); (t == etherIPv4 || t == etherIPv6 || t == etherVLAN) && n.ethernet(in, s, depth) {
			return true
		}
	}
	return false
}

// tzsp reads what a sniffer sends on, such as MikroTik's: tags, then the frame.
func (n *network) tzsp(b []byte, s *segment, depth int) bool {
	kind := binary.BigEndian.Uint16(b[2:])
	for b = b[4:]; len(b) > 0; {
		switch {
		case b[0] == 0: // padding
			b = b[1:]
		case b[0] == 1: // the end
			switch kind {
			case 1:
				return n.ethernet(b[1:], s, depth)
			case 18:
				return n.wlan(b[1:], false, s, depth)
			}
			return false
		case len(b) < 2 || len(b) < 2+int(b[1]):
			return false
		default:
			b = b[2+int(b[1]):]
		}
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
	for _, f := range [...]uint16{0x8000, 0x2000, 0x1000} { // checksum, key, sequence
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
