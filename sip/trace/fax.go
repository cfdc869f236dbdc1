package trace

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/portero/portero/media/codec"
)

// Limits on T.38.
const (
	maxFaxes     = 4096 // flows
	maxFaxesTold = 1000
	minFax       = 8 // packets that make a flow T.38 when no description says so
)

// Fax is a flow of T.38 over UDPTL (ITU-T T.38 annex A): a source and a
// destination.
type Fax struct {
	Source      netip.AddrPort `json:"source"`
	Destination netip.AddrPort `json:"destination"`
	Packets     int            `json:"packets"`
	Duplicates  int            `json:"duplicates"`
	Lost        int            `json:"lost"` // by the UDPTL sequence number; redundancy may have made up for them
	FirstAt     Time           `json:"first_at"`
	Seconds     float64        `json:"seconds"`
}

// fax measures a flow.
type fax struct {
	pair  flowPair
	call  *call // nil: of none
	stats codec.Stats
}

// faxes are the flows of T.38. Where a description announces UDPTL at an address,
// all that is there is T.38, RTP though it may look like; elsewhere a flow of
// packets that read as UDPTL to the last byte and count on is.
type faxes struct {
	announced map[netip.AddrPort]*call
	flows     map[flowPair]*fax
}

// expects says whether T.38 is known to go between two addresses, and of which
// call it is; nil: of none.
func (t *faxes) expects(pair flowPair) (*call, bool) {
	if len(t.announced) > 0 {
		if c := t.announced[pair.dst]; c != nil {
			return c, true
		}
		if c := t.announced[pair.src]; c != nil {
			return c, true
		}
	}
	if len(t.flows) > 0 {
		if f := t.flows[pair]; f != nil && f.surely() {
			return f.call, true
		}
	}
	return nil, false
}

func (t *faxes) announce(a netip.AddrPort, c *call) {
	if t.announced == nil {
		t.announced = map[netip.AddrPort]*call{}
	}
	if t.announced[a] != c {
		t.announced[a] = c
		c.faxPorts = append(c.faxPorts, a)
	}
}

// packet takes a packet that reads as UDPTL.
func (t *faxes) packet(pair flowPair, c *call, seq uint16, at time.Time) {
	f := t.flows[pair]
	if f == nil || c != nil && f.call != c {
		if t.flows == nil {
			t.flows = map[flowPair]*fax{}
		}
		if len(t.flows) >= maxFaxes {
			return
		}
		if f == nil || f.call != nil {
			f = &fax{pair: pair}
			t.flows[pair] = f
		}
		if f.call = c; c != nil && len(c.faxes) < maxStreams {
			c.faxes = append(c.faxes, f)
		}
	}
	f.stats.Packet(seq, 0, at, 0)
	if f.call != nil {
		f.call.last = later(f.call.last, at)
	}
}

// forget takes out what is a call's.
func (t *faxes) forget(c *call) {
	for _, a := range c.faxPorts {
		if t.announced[a] == c {
			delete(t.announced, a)
		}
	}
	for _, f := range c.faxes {
		if t.flows[f.pair] == f {
			delete(t.flows, f.pair)
		}
	}
}

// sweep drops what has been silent for long and cannot be told for T.38.
func (t *faxes) sweep(now time.Time) {
	for pair, f := range t.flows {
		if f.call == nil && !f.surely() && now.Sub(f.stats.LastAt) > strayLinger {
			delete(t.flows, pair)
		}
	}
}

// surely says whether a flow that nothing announced is T.38: its numbers follow
// each other, most of them once or, as its indicators are, a few times.
func (f *fax) surely() bool {
	s := &f.stats
	return s.Packets-s.Duplicates >= minFax && 4*s.Restarts < s.Packets && s.Lost() < s.Packets && 2*(s.Packets-s.Duplicates) > s.Lost()
}

// left lists the flows of no call.
func (t *faxes) left() []Fax {
	out := []Fax{}
	for _, f := range t.flows {
		if f.call == nil && f.surely() && len(out) < maxFaxesTold {
			out = append(out, f.report())
		}
	}
	slices.SortFunc(out, func(a, b Fax) int {
		return cmp.Or(a.FirstAt.Compare(b.FirstAt.Time), a.Source.Compare(b.Source), a.Destination.Compare(b.Destination))
	})
	return out
}

func (f *fax) report() Fax {
	s := &f.stats
	return Fax{
		Source: f.pair.src, Destination: f.pair.dst, Packets: s.Packets, Duplicates: s.Duplicates, Lost: s.Lost(),
		FirstAt: Time{s.FirstAt}, Seconds: s.LastAt.Sub(s.FirstAt).Seconds(),
	}
}

// udptl reads the sequence number of a UDPTL packet (T.38 section 9.1). ok is true
// when the packet is one to its last byte: the primary IFP packet, then either
// redundant ones or the elements of forward error correction.
func udptl(b []byte) (seq uint16, ok bool) {
	if len(b) < 6 {
		return 0, false
	}
	seq = binary.BigEndian.Uint16(b)
	size, rest, ok := openType(b[2:])
	if !ok || size == 0 || !ifp(rest[:size]) || len(rest) == size {
		return seq, false
	}
	kind, rest := rest[size], rest[size+1:]
	if kind == 0x80 { // forward error correction: the span, then the elements
		if len(rest) < 3 || rest[0] != 1 || rest[1] == 0 {
			return seq, false
		}
		rest = rest[2:]
	} else if kind != 0 {
		return seq, false
	}
	if len(rest) == 0 {
		return seq, false
	}
	n := int(rest[0])
	rest = rest[1:]
	for range n {
		size, after, ok := openType(rest)
		if !ok {
			return seq, false
		}
		rest = after[size:]
	}
	return seq, len(rest) == 0
}

// openType cuts the length of a field of aligned PER off.
func openType(b []byte) (size int, rest []byte, ok bool) {
	switch {
	case len(b) > 0 && b[0] < 0x80:
		size, b = int(b[0]), b[1:]
	case len(b) > 1 && b[0]>>6 == 2:
		size, b = int(b[0]&0x3f)<<8|int(b[1]), b[2:]
	default:
		return 0, nil, false
	}
	return size, b, size <= len(b)
}

// ifp says whether a field may be an Internet Facsimile Protocol packet: its first
// bits say whether data follows and whether it is an indicator or data.
func ifp(b []byte) bool {
	switch b[0] >> 6 {
	case 0: // an indicator alone: a byte, or two for those of later versions
		return len(b) <= 2
	case 3: // data with fields
		return len(b) >= 3
	case 1: // data without fields
		return len(b) <= 2
	}
	return false
}
