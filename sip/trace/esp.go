package trace

import (
	"encoding/binary"
	"net/netip"
)

// checkLengths are those of the integrity check values that are in use, bytes:
// HMAC with MD5 or SHA-1 cut to 96 bits, with SHA-2 (RFC 4868) or GMAC, and none.
var checkLengths = [...]int{12, 16, 24, 32, 0}

// esp reads an ESP packet (RFC 4303) whose encryption is NULL (RFC 2410).
// Nothing in the packet says so: the two ends agreed on it, and on the length of
// the check value behind it. So each length is tried, and the packet is believed
// when all fits: the padding counts 1, 2, 3, the next header is one that is
// read, and what stands inside has exactly the length that it says. RFC 5879
// finds NULL encryption in the same way.
func (n *network) esp(src, dst netip.Addr, b []byte, cut bool, s *segment, depth int) bool {
	const header = 8 // the index and the sequence number
	if cut || depth > maxNesting {
		return false // what says how long it is was not captured
	}
	for _, check := range checkLengths {
		end := len(b) - check - 2
		if end < header+8 {
			continue
		}
		padding, next := int(b[end]), b[end+1]
		if padding > end-header || !counts(b[end-padding:end]) {
			continue
		}
		inner := b[header : end-padding]
		if wholePayload(next, src, dst, inner) {
			return n.transport(next, src, dst, inner, false, s, depth+1)
		}
		// GMAC (RFC 4543) has 8 bytes of nonce before the payload.
		if check == 16 && len(inner) > 8 && wholePayload(next, src, dst, inner[8:]) {
			return n.transport(next, src, dst, inner[8:], false, s, depth+1)
		}
	}
	return false
}

// counts says whether padding is the default one (RFC 4303 section 2.4).
func counts(b []byte) bool {
	for i, v := range b {
		if int(v) != i+1 {
			return false
		}
	}
	return true
}

// wholePayload says whether b is what a next header says, to the last byte.
func wholePayload(next uint8, src, dst netip.Addr, b []byte) bool {
	switch next {
	case protoIPv4:
		return len(b) >= 20 && b[0]>>4 == 4 && b[0]&15 >= 5 && int(binary.BigEndian.Uint16(b[2:])) == len(b)
	case protoIPv6:
		return len(b) >= 40 && b[0]>>4 == 6 && int(binary.BigEndian.Uint16(b[4:])) == len(b)-40
	case protoUDP:
		return len(b) >= 8 && int(binary.BigEndian.Uint16(b[4:])) == len(b)
	case protoSCTP:
		return len(b) >= 16 && len(b)%4 == 0 && wholeChunks(b[12:])
	case protoTCP:
		// No length stands in it, so its checksum has to fit.
		return len(b) >= 20 && b[12]>>4 >= 5 && int(b[12]>>4)*4 <= len(b) && sum(protoTCP, src, dst, b) == 0xffff
	}
	return false
}

// sum is the checksum of RFC 1071 over the pseudo-header and b, which contains
// its complement: 0xffff when nothing is wrong.
func sum(proto uint8, src, dst netip.Addr, b []byte) uint16 {
	total := uint32(proto) + uint32(len(b))
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			total += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) > 0 {
			total += uint32(b[0]) << 8
		}
	}
	if src.Is4() {
		a, z := src.As4(), dst.As4()
		add(a[:])
		add(z[:])
	} else {
		a, z := src.As16(), dst.As16()
		add(a[:])
		add(z[:])
	}
	add(b)
	for total>>16 != 0 {
		total = total&0xffff + total>>16
	}
	return uint16(total)
}
