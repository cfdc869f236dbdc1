package trace

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// lane is the short way of RTP: nearly all packets of a long capture are of
// streams that are known, in plain frames of Ethernet and IPv4. Where a packet's
// addresses, ports and SSRC are those of one that went the long way, layer by
// layer, to a stream, it goes there at once.
type lane struct {
	entries [1024]laneEntry // by a hash; a collision costs no more than the long way
	hit     laneEntry       // where the long way led: one of the two is set
}

type laneEntry struct {
	key    laneKey
	stream *stream
	stray  *stray
}

// laneKey is what the long way looks at, as it stands in the frame.
type laneKey struct {
	addresses   uint64
	ports, ssrc uint32
}

func (k laneKey) slot() uint32 {
	return uint32((k.addresses^uint64(k.ports)<<32^uint64(k.ssrc))*0x9e3779b97f4a7c15>>48) % 1024
}

// plain reads a whole frame without options, fragments or tags but one of a VLAN.
func plain(p *Packet) (key laneKey, rtp []byte, ok bool) {
	b := p.Data
	if p.Link != layers.LinkTypeEthernet || len(b) < 14+20+8+12 {
		return key, nil, false
	}
	ip := b[14:]
	if t := binary.BigEndian.Uint16(b[12:]); t != etherIPv4 {
		if t != etherVLAN || binary.BigEndian.Uint16(b[16:]) != etherIPv4 {
			return key, nil, false
		}
		ip = b[18:]
	}
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if len(ip) < 20+8+12 || ip[0] != 0x45 || ip[9] != protoUDP || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 || total > len(ip) || total < 20+8+12 {
		return key, nil, false
	}
	size := int(binary.BigEndian.Uint16(ip[24:]))
	if size < 8+12 || 20+size > total {
		return key, nil, false
	}
	rtp = ip[28 : 20+size]
	key = laneKey{binary.BigEndian.Uint64(ip[12:]), binary.BigEndian.Uint32(ip[20:]), binary.BigEndian.Uint32(rtp[8:])}
	return key, rtp, true
}

// quick files a packet whose stream is known, and says whether it was one.
func (t *reader) quick(p *Packet) (key laneKey, fits, done bool) {
	key, b, fits := plain(p)
	if !fits {
		return key, false, false
	}
	e := &t.lane.entries[key.slot()]
	if e.key != key {
		return key, true, false
	}
	h, ok := rtpHeader(b)
	switch {
	case !ok:
	case e.stream != nil && !e.stream.gone:
		t.media(e.stream, h, b, p.At)
		return key, true, true
	case e.stray != nil && !e.stray.gone:
		t.strays.packet(e.stray, h, b, p.At)
		return key, true, true
	}
	return key, true, false
}

// remember notes where the long way led a packet that fits the short one.
func (t *reader) remember(key laneKey) {
	if t.lane.hit.stream != nil || t.lane.hit.stray != nil {
		t.lane.hit.key = key
		t.lane.entries[key.slot()] = t.lane.hit
		t.lane.hit = laneEntry{}
	}
}
