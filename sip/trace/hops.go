package trace

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// Limits on what is noted of a call's way.
const (
	maxHops = 32
	maxVias = 512 // requests by whose branch a response finds its hop, and a copy its first
)

// Hop is one stretch of a call's way that the capture shows: two addresses that
// exchanged its messages. The first is where the caller is.
type Hop struct {
	Source      netip.AddrPort `json:"source"` // of the first message, or the destination of a first response
	Destination netip.AddrPort `json:"destination"`
	Transport   string         `json:"transport"`
	Messages    int            `json:"messages"`
	Repeats     int            `json:"repeats"` // of them, messages sent again
	FirstAt     Time           `json:"first_at"`
}

// way tells the hops of a call apart, and a message that is sent again from one
// that is sent on.
type way struct {
	hops []Hop
	seen []seen
}

// seen is a message by what makes it another one than those before (RFC 3261
// sections 17.1.3 and 17.2.3; of a response its code and, as there may be forks,
// its To tag too; ACK and CANCEL share the INVITE's branch).
type seen struct {
	what uint64 // a hash of it
	hop  int
}

var waySeed = maphash.MakeSeed()

// file notes a message and returns its hop and whether it is sent again there.
func (w *way) file(m *message, src, dst netip.AddrPort, at time.Time, transport string) (hop int, repeat bool) {
	branch := maphash.String(waySeed, m.branch)
	from, to := src, dst
	if m.code > 0 {
		from, to = dst, src
	}
	hop = -1
	if m.code > 0 && m.branch != "" {
		// The top Via names the hop whatever ports it took.
		for _, s := range w.seen {
			if s.what == branch {
				hop = s.hop
			}
		}
	}
	if hop < 0 {
		hop = w.find(from, to, at, transport)
	}
	w.hops[hop].Messages++
	if m.branch == "" {
		return hop, false
	}
	method, tag := m.method, ""
	if m.code > 0 {
		method, tag = m.cseqMethod, m.to.tag
	}
	what := branch
	for _, x := range []string{m.cseq, method, m.status, tag} {
		what = what*0x9e3779b97f4a7c15 ^ maphash.String(waySeed, x)
	}
	for _, s := range w.seen {
		if s.what == what && s.hop == hop {
			w.hops[hop].Repeats++
			return hop, true
		}
	}
	if len(w.seen) < maxVias {
		w.seen = append(w.seen, seen{what, hop})
		if m.code == 0 {
			w.seen = append(w.seen, seen{branch, hop})
		}
	}
	return hop, false
}

// find returns the hop between two addresses. Ports may differ at one end (a
// response goes to the port that the Via names, a connection has any), unless
// all hops are on one host.
func (w *way) find(from, to netip.AddrPort, at time.Time, transport string) int {
	for i := range w.hops {
		if h := &w.hops[i]; h.spans(from, to) || h.spans(to, from) {
			return i
		}
	}
	if len(w.hops) >= maxHops {
		return len(w.hops) - 1
	}
	w.hops = append(w.hops, Hop{Source: from, Destination: to, Transport: transport, FirstAt: Time{at}})
	return len(w.hops) - 1
}

func (h *Hop) spans(a, b netip.AddrPort) bool {
	if h.Source.Addr() != a.Addr() || h.Destination.Addr() != b.Addr() {
		return false
	}
	one, other := h.Source == a, h.Destination == b
	return one && other || (one || other) && a.Addr() != b.Addr()
}
