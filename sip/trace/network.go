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

	transport string // of SIP, as the Via header has it, in lower case

	tcp  bool // payload is a piece of a stream; what follows is of it
	seq  uint32
	syn  bool
	ack  bool
	done bool // FIN or RST
}

// network finds the UDP or TCP payload of a packet through links, tunnels and
// IP fragments. The decoding is our own because the library's layers allocate
// per packet and refuse whole packets for one bad option.
type network struct {
	fragments    fragments
	associations associations
	more         []segment               // what the last packet carried besides the segment returned
	strange      map[layers.LinkType]int // packets of link types that are not read
}

// Numbers of IANA registries.
const (
	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherVLAN     = 0x8100
	etherQinQ     = 0x88a8
	etherQinQ1    = 0x9100
	etherQinQ2    = 0x9200
	etherQinQ3    = 0x9300
	etherMPLS     = 0x8847
	etherMPLSM    = 0x8848
	etherPPPoE    = 0x8864
	etherTEB      = 0x6558 // transparent Ethernet bridging
	etherPPTP     = 0x880b // GRE version 1, RFC 2637
	etherSpan2    = 0x88be // ERSPAN
	etherSpan3    = 0x22eb
	etherPBB      = 0x88e7
	etherMACsec   = 0x88e5
	etherVNTag    = 0x8926
	etherMetaData = 0x8909

	pppIPv4  = 0x0021
	pppMulti = 0x003d
	pppIPv6  = 0x0057
	pppMPLS  = 0x0281

	protoIPv4  = 4
	protoTCP   = 6
	protoUDP   = 17
	protoIPv6  = 41
	protoGRE   = 47
	protoFrag6 = 44
	protoESP   = 50
	protoAH    = 51
	protoL2TP  = 115
)

// maxNesting bounds tunnels in tunnels.
const maxNesting = 8

// decode returns the UDP or TCP payload of a packet, if it holds one. If it
// holds several, the others are in n.more, valid as long.
func (n *network) decode(p Packet) (segment, bool) {
	s := segment{at: p.At}
	n.more = n.more[:0]
	ok := n.link(p.Link, p.Data, &s, 0)
	return s, ok
}

// maxBundle bounds the payloads of one packet.
const maxBundle = 64

func (n *network) bundle(s segment) {
	if len(n.more) < maxBundle {
		n.more = append(n.more, s)
	}
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
		case protoAH: // its length counts in 4 bytes, less 2
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

// transport reads what an IP packet carries. ICMP is not looked into, in
// whatever tunnel: what it quotes was never delivered.
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
	case protoESP:
		return n.esp(src, dst, b, cut, s, depth)
	case protoAH:
		if len(b) < 12 || len(b) < (int(b[1])+2)*4 || depth > maxNesting {
			return false
		}
		return n.transport(b[0], src, dst, b[(int(b[1])+2)*4:], cut, s, depth+1)
	case protoSCTP:
		return n.sctp(src, dst, b, cut, s)
	case protoL2TP: // RFC 3931, with a cookie of 0, 4 or 8 bytes and perhaps a sublayer
		return n.l2tp3(b, s, depth+1)
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
	port := to
	if from == portESP || from == portTeredo {
		port = from // a server answers from there
	}
	if tunnel(port, b) {
		if inner := *s; n.tunnelled(port, src, dst, b, cut, &inner, depth+1) {
			*s = inner
			return true
		}
	}
	if hepPacket(b, s) {
		return true
	}
	s.src, s.dst = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
	s.payload, s.cut, s.transport = b, cut, "udp"
	return len(b) > 0
}

func tcpSegment(src, dst netip.Addr, b []byte, cut bool, s *segment) bool {
	if len(b) < 20 {
		return false
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return false
	}
	s.tcp, s.transport = true, "tcp"
	s.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	s.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	s.seq = binary.BigEndian.Uint32(b[4:])
	s.syn, s.ack = b[13]&2 != 0, b[13]&0x10 != 0
	s.done = b[13]&5 != 0
	s.payload, s.cut = b[header:], cut
	return len(s.payload) > 0 || s.syn || s.done
}
