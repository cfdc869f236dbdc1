package signature

import (
	"net/netip"

	"github.com/portero/portero/sip/fingerprint"
)

// group is a list of conditions that must all hold, the cheapest first.
type group []condition

// condition is one thing that is looked at.
type condition struct {
	what    what
	field   fingerprint.Field // of text
	globs   []glob            // one of them must match
	names   []string          // of extension headers: one must be there
	holds   fingerprint.Arithmetic
	want    bool           // of holds, within
	lo, hi  uint64         // of cseq, status
	sources []netip.Prefix // one must contain the sender
	groups  []group        // of any: one must hold; of not: the one must not
	needs   []uint64       // of any: fields without which that one cannot hold
}

// what a condition looks at, by what it costs.
type what uint8

const (
	relation what = iota
	dialog
	cseq
	status
	extension
	text
	source
	anyOf
	not
)

// match says whether a message is meant.
func (g group) match(m *fingerprint.Message, from netip.Addr) bool {
	for i := range g {
		if !g[i].match(m, from) {
			return false
		}
	}
	return true
}

func (c *condition) match(m *fingerprint.Message, from netip.Addr) bool {
	switch c.what {
	case relation:
		return m.Holds(c.holds) == c.want
	case dialog:
		return m.Within() == c.want
	case cseq:
		n := m.CSeq()
		return n >= c.lo && n <= c.hi
	case status:
		n := uint64(m.Status())
		return n >= c.lo && n <= c.hi
	case extension:
		for _, name := range c.names {
			if m.HasHeader(name) {
				return true
			}
		}
		return false
	case text:
		return c.matchText(m)
	case source:
		for _, p := range c.sources {
			if p.Contains(from) {
				return true
			}
		}
		return false
	case anyOf:
		have := m.Has()
		for i, g := range c.groups {
			if c.needs[i]&^have == 0 && g.match(m, from) {
				return true
			}
		}
		return false
	default: // not
		return !c.groups[0].match(m, from)
	}
}

func (c *condition) matchText(m *fingerprint.Message) bool {
	if c.field == fingerprint.UserAgent {
		low, letters := m.Agent(), m.AgentLetters()
		for i := range c.globs {
			if c.globs[i].matchLow(low, letters) {
				return true
			}
		}
		return false
	}
	v := m.Field(c.field)
	for i := range c.globs {
		if c.globs[i].match(v) {
			return true
		}
	}
	return false
}

// need are the fields without which the group cannot match.
func (g group) need() (need uint64) {
	for i := range g {
		switch c := &g[i]; c.what {
		case text:
			empty := false
			for j := range c.globs {
				empty = empty || c.globs[j].empty()
			}
			if !empty {
				need |= 1 << c.field
			}
		case anyOf:
			all := ^uint64(0)
			for _, one := range c.groups {
				all &= one.need()
			}
			need |= all
		}
	}
	return need
}

// strength is the most that a match proves: of several that would do, the least.
func (g group) strength() (most strength) {
	for i := range g {
		s := claims
		switch c := &g[i]; c.what {
		case relation:
			if c.want {
				s = arithmetic
			}
		case extension, source:
			s = headers
		case text:
			s = strengthOf(c.field)
		case anyOf:
			s = arithmetic
			for _, one := range c.groups {
				s = min(s, one.strength())
			}
		}
		most = max(most, s)
	}
	return most
}

func strengthOf(f fingerprint.Field) strength {
	switch f {
	case fingerprint.UserAgent, fingerprint.Method, fingerprint.Reason:
		return claims
	case fingerprint.Session, fingerprint.Origin, fingerprint.Tool, fingerprint.Codecs, fingerprint.Events,
		fingerprint.Lines, fingerprint.OriginNumbers:
		return description
	case fingerprint.Branch, fingerprint.FromTag, fingerprint.ToTag, fingerprint.CallID, fingerprint.BranchShape,
		fingerprint.FromTagShape, fingerprint.ToTagShape, fingerprint.CallIDShape:
		return arithmetic
	}
	return headers
}

// sources says whether the group goes by addresses.
func (g group) sources() bool {
	for i := range g {
		if g[i].what == source {
			return true
		}
		for _, one := range g[i].groups {
			if one.sources() {
				return true
			}
		}
	}
	return false
}

// leaves counts the conditions that a match has met at least.
func (g group) leaves() (n int) {
	for i := range g {
		switch g[i].what {
		case anyOf:
			least := 1 << 20
			for _, one := range g[i].groups {
				least = min(least, one.leaves())
			}
			n += least
		case not: // proves little
		default:
			n++
		}
	}
	return n
}
