package hep

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// decodeOld reads versions 1 and 2: version, length of the header, address
// family, IP protocol, two ports, two addresses; version 2 then has a time and
// who captured it, as its machine keeps them in memory. What they carry is SIP.
func decodeOld(b []byte) (p Packet, err error) {
	const head, timeSize = 8, 12
	if len(b) < head {
		return p, errors.New("hep: not a packet of version 1 or 2")
	}
	// The family's number for IPv6 is the sender's system's; the length is not.
	size := int(b[1])
	address := (size - head) / 2
	if size != head+2*4 && size != head+2*16 || len(b) < size {
		return p, errors.New("hep: the header of version 1 or 2 has another length")
	}
	p.Protocol, p.Transport = SIP, b[3]
	src, _ := netip.AddrFromSlice(b[head : head+address])
	dst, _ := netip.AddrFromSlice(b[head+address : size])
	p.Source = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b[4:]))
	p.Destination = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[6:]))
	p.Payload = b[size:]
	if b[0] == 2 {
		if len(p.Payload) < timeSize {
			return p, errors.New("hep: version 2 without its time")
		}
		p.At = time.Unix(int64(binary.LittleEndian.Uint32(p.Payload)), int64(binary.LittleEndian.Uint32(p.Payload[4:]))*1000).UTC()
		p.Agent = uint32(binary.LittleEndian.Uint16(p.Payload[8:]))
		p.Payload = p.Payload[timeSize:]
	}
	return p, nil
}
