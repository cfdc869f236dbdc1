package trace

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

const protoSCTP = 132

// Limits of SCTP (RFC 9260): messages in parts and repetitions are known for so
// many associations, one direction each.
const (
	maxAssociations = 256
	maxRecentTSNs   = 64
	maxSCTPParts    = 64 // of one message, and of all unfinished ones of a direction
)

// associations follow the data chunks of SCTP.
type associations struct {
	open map[flowPair]*association
}

type association struct {
	last   time.Time
	recent []uint32 // transmission sequence numbers seen, the oldest first
	parts  []sctpPart
}

type sctpPart struct {
	tsn         uint32
	begin, ends bool
	b           []byte
}

// wholeChunks says whether b is chunks to its last byte.
func wholeChunks(b []byte) bool {
	for len(b) >= 4 {
		size := int(binary.BigEndian.Uint16(b[2:]))
		if size < 4 || (size+3)&^3 > len(b) {
			return false
		}
		b = b[(size+3)&^3:]
	}
	return len(b) == 0
}

// sctp reads the data chunks of a packet. SIP has a message in each (RFC 4168).
func (n *network) sctp(src, dst netip.Addr, b []byte, cut bool, s *segment) bool {
	if len(b) < 12 {
		return false
	}
	key := flowPair{
		netip.AddrPortFrom(src, binary.BigEndian.Uint16(b)),
		netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:])),
	}
	found := false
	for b = b[12:]; len(b) >= 4; {
		kind, flags, size := b[0], b[1], int(binary.BigEndian.Uint16(b[2:]))
		if size < 4 {
			break
		}
		chunk := b[:min(size, len(b))]
		b = b[min((size+3)&^3, len(b)):]
		head := 16
		switch kind {
		case 0:
		case 64: // with a message identifier, RFC 8260
			head = 20
		default:
			continue
		}
		if len(chunk) <= head {
			continue
		}
		part := sctpPart{tsn: binary.BigEndian.Uint32(chunk[4:]), begin: flags&2 != 0, ends: flags&1 != 0, b: chunk[head:]}
		message := n.associations.add(key, part, s.at)
		if message == nil {
			continue
		}
		one := segment{at: s.at, src: key.src, dst: key.dst, payload: message, transport: "sctp", cut: cut && len(chunk) < size}
		if found {
			n.bundle(one)
		} else {
			*s, found = one, true
		}
	}
	return found
}

// add takes a data chunk and returns the message that is whole by it.
func (a *associations) add(key flowPair, p sctpPart, at time.Time) []byte {
	o := a.open[key]
	if o == nil {
		if a.open == nil {
			a.open = map[flowPair]*association{}
		}
		if len(a.open) >= maxAssociations {
			a.evict()
		}
		o = &association{}
		a.open[key] = o
	}
	o.last = at
	if slices.Contains(o.recent, p.tsn) {
		return nil
	}
	if len(o.recent) >= maxRecentTSNs {
		o.recent = slices.Delete(o.recent, 0, 1)
	}
	o.recent = append(o.recent, p.tsn)
	if p.begin && p.ends {
		return p.b
	}
	if len(o.parts) >= maxSCTPParts {
		o.parts = slices.Delete(o.parts, 0, 1)
	}
	p.b = slices.Clone(p.b)
	at0, _ := slices.BinarySearchFunc(o.parts, p, func(a, b sctpPart) int { return int(int32(a.tsn - b.tsn)) })
	o.parts = slices.Insert(o.parts, at0, p)
	return o.join(at0)
}

// join takes the message out that part i belongs to, if it is whole: its parts
// have numbers in sequence.
func (o *association) join(i int) []byte {
	from, to := i, i
	for !o.parts[from].begin {
		if from == 0 || o.parts[from-1].tsn != o.parts[from].tsn-1 {
			return nil
		}
		from--
	}
	for !o.parts[to].ends {
		if to == len(o.parts)-1 || o.parts[to+1].tsn != o.parts[to].tsn+1 {
			return nil
		}
		to++
	}
	var out []byte
	for _, p := range o.parts[from : to+1] {
		out = append(out, p.b...)
	}
	o.parts = slices.Delete(o.parts, from, to+1)
	return out
}

func (a *associations) evict() {
	var oldest flowPair
	var at time.Time
	for k, o := range a.open {
		if at.IsZero() || o.last.Before(at) {
			oldest, at = k, o.last
		}
	}
	delete(a.open, oldest)
}
