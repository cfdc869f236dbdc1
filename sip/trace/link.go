package trace

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// Link types that the library does not name, from the registry of tcpdump.org.
const (
	linkRawBSD      = 12
	linkRawOpenBSD  = 14
	linkRFC1483     = 100 // ATM, after LLC
	linkFrameRelay  = 107
	linkJuniper     = 178
	linkPPPDir      = 204 // a byte of direction first
	linkCHDLCDir    = 205
	linkMPLS        = 219
	linkNFLOG       = 239
	linkNetAnalyzer = 240 // 4 bytes of the capturing card first
	linkExportedPDU = 252
	linkPKTAP       = 258
)

// link reads what a captured frame begins with. Headers whose byte order is the
// capturing machine's are read as little-endian, which all that write them are.
func (n *network) link(t layers.LinkType, b []byte, s *segment, depth int) bool {
	if depth > maxNesting {
		return false
	}
	switch t {
	case layers.LinkTypeEthernet:
		return n.ethernet(b, s, depth)
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		// The family's number and byte order are those of the capturing system;
		// what follows says more plainly what it is.
		return len(b) > 4 && n.ip(b[4:], s, depth)
	case layers.LinkTypeRaw, linkRawBSD, linkRawOpenBSD, layers.LinkTypeIPv4, layers.LinkTypeIPv6:
		return n.ip(b, s, depth)
	case layers.LinkTypeLinuxSLL:
		return len(b) > 16 && n.ether(binary.BigEndian.Uint16(b[14:]), b[16:], s, depth)
	case layers.LinkTypeLinuxSLL2:
		return len(b) > 20 && n.ether(binary.BigEndian.Uint16(b), b[20:], s, depth)
	case layers.LinkTypePPP, layers.LinkTypePPP_HDLC:
		return n.ppp(b, s, depth)
	case layers.LinkTypePPPEthernet:
		return len(b) > 6 && n.ppp(b[6:], s, depth)
	case linkPPPDir:
		return len(b) > 1 && n.ppp(b[1:], s, depth)
	case layers.LinkTypeC_HDLC:
		return len(b) > 4 && n.ether(binary.BigEndian.Uint16(b[2:]), b[4:], s, depth)
	case linkCHDLCDir:
		return len(b) > 5 && n.ether(binary.BigEndian.Uint16(b[3:]), b[5:], s, depth)
	case linkMPLS:
		return n.mpls(b, s, depth)
	case linkFrameRelay:
		return n.frameRelay(b, s, depth)
	case linkRFC1483:
		return n.llc(b, s, depth)
	case linkNetAnalyzer:
		return len(b) > 4 && n.ethernet(b[4:], s, depth)
	case linkJuniper:
		return n.juniper(b, s, depth)
	case linkERF:
		return n.erf(b, s, depth)
	case linkPKTAP:
		if len(b) < 12 || uint64(binary.LittleEndian.Uint32(b)) >= uint64(len(b)) {
			return false
		}
		return n.link(layers.LinkType(binary.LittleEndian.Uint32(b[8:])), b[binary.LittleEndian.Uint32(b):], s, depth+1)
	case linkNFLOG:
		return n.nflog(b, s, depth)
	case LinkHEP:
		return hepPacket(b, s)
	case linkExportedPDU:
		return exportedPDU(b, s)
	case layers.LinkTypeIEEE802_11, layers.LinkTypePrismHeader, layers.LinkTypeIEEE80211Radio, linkAVS, linkPPI:
		return n.radio(t, b, s, depth)
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
	case etherVLAN, etherQinQ, etherQinQ1, etherQinQ2, etherQinQ3:
		return len(b) > 4 && n.ether(binary.BigEndian.Uint16(b[2:]), b[4:], s, depth+1)
	case etherVNTag, etherMetaData: // Cisco's: 4 and 6 bytes
		size := 4
		if t == etherMetaData {
			size = 6
		}
		return len(b) > size+2 && n.ether(binary.BigEndian.Uint16(b[size:]), b[size+2:], s, depth+1)
	case etherPBB: // IEEE 802.1ah: a service tag, then the customer's frame
		return len(b) > 4 && n.ethernet(b[4:], s, depth+1)
	case etherMACsec: // IEEE 802.1AE; with E and C clear it only authenticates
		size := 6
		if len(b) > 0 && b[0]&0x20 != 0 { // a channel's identifier
			size = 14
		}
		return len(b) > size+2 && b[0]&0x0c == 0 && n.ether(binary.BigEndian.Uint16(b[size:]), b[size+2:], s, depth+1)
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
		size := 12
		if len(b) > size && b[11]&1 != 0 { // of the platform, behind it
			size = 20
		}
		return len(b) > size && n.ethernet(b[size:], s, depth+1)
	}
	// A length in place of a type. Linux has 4 for 802.2 in its cooked headers.
	return t < 1536 && n.llc(b, s, depth)
}

// llc reads IP and SNAP behind the header of IEEE 802.2 (RFC 1042).
func (n *network) llc(b []byte, s *segment, depth int) bool {
	switch {
	case len(b) > 8 && b[0] == 0xaa && b[1] == 0xaa && b[2] == 3:
		t := binary.BigEndian.Uint16(b[6:])
		if b[3] == 0 && b[4] == 0x80 && b[5] == 0xc2 { // bridged, RFC 2684
			return (t == 1 || t == 7) && len(b) > 10 && n.ethernet(b[10:], s, depth+1)
		}
		return n.ether(t, b[8:], s, depth+1)
	case len(b) > 4 && b[0] == 0xfe && b[1] == 0xfe && b[2] == 3 && b[3] == nlpidIPv4: // routed
		return n.ip(b[4:], s, depth)
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
	b = b[1:]
	switch proto {
	case pppIPv4, pppIPv6:
		return n.ip(b, s, depth)
	case pppMPLS:
		return n.mpls(b, s, depth)
	case pppMulti: // RFC 1990; a whole packet in one fragment
		return len(b) > 4 && b[0]&0xc0 == 0xc0 && depth < maxNesting && n.ppp(b[4:], s, depth+1)
	}
	return false
}

// Network layer protocol identifiers of ISO/IEC TR 9577.
const (
	nlpidSNAP = 0x80
	nlpidIPv6 = 0x8e
	nlpidIPv4 = 0xcc
)

// frameRelay reads RFC 2427 behind an address of 2 to 4 bytes, and Cisco's own
// EtherType in its place.
func (n *network) frameRelay(b []byte, s *segment, depth int) bool {
	i := 0
	for i < 4 && i < len(b) && b[i]&1 == 0 {
		i++
	}
	if i++; len(b) < i+4 {
		return false
	}
	b = b[i:]
	if b[0] != 3 {
		return n.ether(binary.BigEndian.Uint16(b), b[2:], s, depth)
	}
	b = b[1:]
	if b[0] == 0 { // padding
		b = b[1:]
	}
	switch b[0] {
	case nlpidIPv4, nlpidIPv6:
		return n.ip(b[1:], s, depth)
	case nlpidSNAP:
		return len(b) > 6 && n.ether(binary.BigEndian.Uint16(b[4:]), b[6:], s, depth)
	}
	return false
}

// juniper reads what a Juniper router writes of its Ethernet interfaces.
func (n *network) juniper(b []byte, s *segment, depth int) bool {
	if len(b) < 8 || string(b[:3]) != "MGC" {
		return false
	}
	flags, size := b[3], 4
	if flags&0x80 != 0 { // extensions
		size = 6 + int(binary.BigEndian.Uint16(b[4:]))
	}
	if flags&0x02 != 0 { // no link layer, but the number of a protocol
		size += 4
		return len(b) > size && n.ip(b[size:], s, depth)
	}
	return len(b) > size && n.ethernet(b[size:], s, depth)
}

// nflog reads what netfilter logged: attributes, of which one is the packet.
func (n *network) nflog(b []byte, s *segment, depth int) bool {
	if len(b) < 4 || b[1] != 0 {
		return false
	}
	for b = b[4:]; len(b) >= 4; {
		size, kind := int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return false
		}
		if kind == 9 {
			return n.ip(b[4:size], s, depth)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return false
}
