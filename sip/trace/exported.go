package trace

import (
	"encoding/binary"
	"net/netip"
)

// exportedPDU reads what Wireshark exports of the upper layers: addresses and
// ports as tags, then the message. So people hand on SIP that they decrypted.
func exportedPDU(b []byte, s *segment) bool {
	const (
		tagEnd     = 0
		tagSource4 = 20
		tagDest4   = 21
		tagSource6 = 22
		tagDest6   = 23
		tagPorts   = 24
		tagSource  = 25
		tagDest    = 26
	)
	var src, dst netip.Addr
	var from, to uint16
	s.transport = "udp"
	for len(b) >= 4 {
		tag, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b)-4 {
			return false
		}
		v := b[4 : 4+size]
		b = b[4+size:]
		switch {
		case tag == tagEnd:
			s.src, s.dst = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
			s.payload = b
			return len(b) > 0
		case tag == tagSource4 && size == 4, tag == tagSource6 && size == 16:
			src, _ = netip.AddrFromSlice(v)
		case tag == tagDest4 && size == 4, tag == tagDest6 && size == 16:
			dst, _ = netip.AddrFromSlice(v)
		case tag == tagPorts && size == 4:
			switch v[3] {
			case 1:
				s.transport = "sctp"
			case 2:
				s.transport = "tcp"
			}
		case tag == tagSource && size == 4:
			from = binary.BigEndian.Uint16(v[2:])
		case tag == tagDest && size == 4:
			to = binary.BigEndian.Uint16(v[2:])
		}
	}
	return false
}
