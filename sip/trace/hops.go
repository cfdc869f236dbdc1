package trace

import (
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
	seen map[sent]int // to the hop
}

// sent is what makes a message another one than those before (RFC 3261 section
// 17.1.3 and 17.2.3, a response's code added and, as there may be forks, its To
// tag; ACK and CANCEL share the INVITE's branch).
type sent struct {
	branch, cseq, method, tag string
	code, hop                 int
}

// file notes a message and returns its hop and whether it is sent again there.
func (w *way) file(m *message, src, dst netip.AddrPort, at time.Time, transport string) (hop int, repeat bool) {
	if w.seen == nil {
		w.seen = map[sent]int{}
	}
	from, to := src, dst
	if m.code > 0 {
		from, to = dst, src
	}
	hop = -1
	if m.code > 0 && m.branch != "" {
		// The top Via names the hop whatever ports it took.
		if n, ok := w.seen[sent{branch: m.branch, hop: -1}]; ok {
			hop = n
		}
	}
	if hop < 0 {
		hop = w.find(from, to, at, transport)
	}
	w.hops[hop].Messages++
	if m.branch == "" {
		return hop, false
	}
	key := sent{branch: m.branch, cseq: m.cseq, method: m.method, code: m.code, hop: hop}
	if m.code > 0 {
		key.method, key.tag = m.cseqMethod, m.to.tag
	}
	if _, repeat = w.seen[key]; repeat {
		w.hops[hop].Repeats++
	} else if len(w.seen) < maxVias {
		w.seen[key] = hop
		if m.code == 0 {
			w.seen[sent{branch: m.branch, hop: -1}] = hop
		}
	}
	return hop, repeat
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
