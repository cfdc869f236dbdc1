package trace

import "encoding/binary"

const linkERF = 197

// erf reads a record of Endace's Extensible Record Format: 16 bytes, extension
// headers while the upper bit of a type is set, then the frame.
func (n *network) erf(b []byte, s *segment, depth int) bool {
	if len(b) < 16 {
		return false
	}
	more, kind := b[8]&0x80 != 0, b[8]&0x7f
	if size := int(binary.BigEndian.Uint16(b[10:])); size >= 16 && size < len(b) {
		b = b[:size]
	}
	b = b[16:]
	for more {
		if len(b) < 8 {
			return false
		}
		more, b = b[0]&0x80 != 0, b[8:]
	}
	switch kind {
	case 1, 10, 15, 17: // HDLC over SONET: Cisco's or PPP
		if len(b) > 4 && (b[0] == 0x0f || b[0] == 0x8f) {
			return n.ether(binary.BigEndian.Uint16(b[2:]), b[4:], s, depth)
		}
		return n.ppp(b, s, depth)
	case 2, 11, 16, 20: // Ethernet, after an offset and a byte of padding
		return len(b) > 2 && n.ethernet(b[2:], s, depth)
	case 4, 12, 18: // AAL5, after the header of a cell
		return len(b) > 4 && n.llc(b[4:], s, depth)
	case 22, 23:
		return n.ip(b, s, depth)
	}
	return false
}
