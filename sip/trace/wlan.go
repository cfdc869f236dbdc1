package trace

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"
)

// Link types that the library does not name.
const (
	linkAVS = 163
	linkPPI = 192
)

// radio reads IEEE 802.11 frames, as such and behind what capturing cards put
// before them: radiotap, PPI, Prism and AVS.
func (n *network) radio(t layers.LinkType, b []byte, s *segment, depth int) bool {
	padded := false
	switch t {
	case layers.LinkTypeIEEE80211Radio:
		if len(b) < 8 || b[0] != 0 {
			return false
		}
		size := int(binary.LittleEndian.Uint16(b[2:]))
		if size < 8 || size > len(b) {
			return false
		}
		padded = radiotapPads(b[:size])
		b = b[size:]
	case linkPPI:
		if len(b) < 8 || int(binary.LittleEndian.Uint16(b[2:])) > len(b) {
			return false
		}
		return n.link(layers.LinkType(binary.LittleEndian.Uint32(b[4:])), b[binary.LittleEndian.Uint16(b[2:]):], s, depth+1)
	case layers.LinkTypePrismHeader, linkAVS:
		if len(b) < 8 {
			return false
		}
		size := binary.LittleEndian.Uint32(b[4:])
		if b[0] == 0x80 && b[1] == 0x21 { // AVS says its length big-endian
			size = binary.BigEndian.Uint32(b[4:])
		}
		if uint64(size) > uint64(len(b)) {
			return false
		}
		b = b[size:]
	}
	return n.wlan(b, padded, s, depth)
}

// radiotapPads says whether the header of the frame is padded to 4 bytes.
func radiotapPads(b []byte) bool {
	present := binary.LittleEndian.Uint32(b[4:])
	at := 8
	for w := present; w&(1<<31) != 0; at += 4 { // more words of what is present
		if at+4 > len(b) {
			return false
		}
		w = binary.LittleEndian.Uint32(b[at:])
	}
	if present&1 != 0 { // a timestamp
		at = (at+7)&^7 + 8
	}
	return present&2 != 0 && at < len(b) && b[at]&0x20 != 0
}

// wlan reads a data frame (IEEE 802.11 section 9.2.4). A protected one is left.
func (n *network) wlan(b []byte, padded bool, s *segment, depth int) bool {
	const toDS, fromDS, fragments, protected, order = 1, 2, 4, 0x40, 0x80
	if len(b) < 24 {
		return false
	}
	kind, flags := b[0], b[1]
	if kind&0x0f != 0x08 || kind&0x40 != 0 || flags&protected != 0 { // data, not without data
		return false
	}
	if flags&fragments != 0 || b[22]&0x0f != 0 { // a part of a frame
		return false
	}
	size := 24
	if flags&(toDS|fromDS) == toDS|fromDS {
		size += 6
	}
	aggregate := false
	if kind&0x80 != 0 { // quality of service
		if len(b) < size+2 {
			return false
		}
		aggregate = b[size]&0x80 != 0
		size += 2
		if flags&order != 0 {
			size += 4
		}
	}
	if padded {
		size = (size + 3) &^ 3
	}
	if len(b) < size {
		return false
	}
	b = b[size:]
	if !aggregate {
		return n.llc(b, s, depth)
	}
	// Several frames, each after its addresses and length, padded to 4 bytes.
	found := false
	for len(b) > 14 {
		end := 14 + int(binary.BigEndian.Uint16(b[12:]))
		one := segment{at: s.at}
		if n.llc(b[14:min(end, len(b))], &one, depth+1) {
			if found {
				n.bundle(one)
			} else {
				*s, found = one, true
			}
		}
		b = b[min((end+3)&^3, len(b)):]
	}
	return found
}
