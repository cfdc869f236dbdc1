package signature

import (
	"net/netip"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/fingerprint"
)

// maxMatches bounds the signatures that one message is told to bear.
const maxMatches = 8

// Match is what a message bears.
type Match struct {
	// Stack is what the strongest mark proves; empty if nothing is proven. It
	// never follows from User-Agent.
	Stack string

	found  [maxMatches]*Signature // in the order in which they are told
	n      int
	at     time.Time
	proof  *Signature // of Stack
	claims *claim     // that the stack belies; nil if there is none
}

// Match looks for every signature in a message that came from an address (the
// zero Addr is not known) at a time.
func (s *Set) Match(m *fingerprint.Message, from netip.Addr, at time.Time) (r Match) {
	r.at = at
	from = from.Unmap()
	have := m.Has()
	var proof *Signature
	for _, g := range s.all {
		if g.need&^have != 0 || !g.when.match(m, from) || g.dated() && g.expired(at) {
			continue
		}
		if r.n < maxMatches {
			r.found[r.n] = g
			r.n++
		}
		// Of marks that prove alike, the first kind: a library is the least that can
		// be said of what is built on it.
		if g.Stack != "" && (proof == nil || g.strength > proof.strength ||
			g.strength == proof.strength && g.Kind == proof.Kind && g.leaves > proof.leaves) {
			proof = g
		}
	}
	if proof != nil {
		r.Stack, r.proof = proof.Stack, proof
		r.claims = s.belied(m, r.Stack)
	}
	return r
}

// Name is that of the first signature: of a scanner, load tool, platform or
// dialer before that of a carrier, gateway, PBX, telephone or library. It is ""
// if none was found.
func (r *Match) Name() string {
	if r.n == 0 {
		return ""
	}
	return r.found[0].Name
}

// Kind is that of the first signature, "" if none was found.
func (r *Match) Kind() string {
	if r.n == 0 {
		return ""
	}
	return r.found[0].Kind
}

// Names are those of all that were found, the first one first. They are not to
// be changed.
func (r *Match) Names() []string {
	switch r.n {
	case 0:
		return nil
	case 1:
		return r.found[0].one
	}
	out := make([]string, r.n)
	for i, g := range r.found[:r.n] {
		out[i] = g.Name
	}
	return out
}

// Evidence gives what the match says of man or machine: for each kind the
// heaviest, of those that carry people only the first, which weighs nothing.
func (r *Match) Evidence(userAgent string) []policy.Evidence {
	if r.n == 0 {
		return nil
	}
	e := make([]policy.Evidence, 0, 3)
	people, scanner := false, false
	for i, g := range r.found[:r.n] {
		item := g.evidence[0]
		if g.expired(r.at) {
			item = g.evidence[1]
		}
		k := kinds[rank(g.Kind)]
		scanner = scanner || g.Kind == "scanner"
		switch {
		case k.people && people:
			continue
		case k.people:
			people = true
		case i > 0 && r.found[i-1].Kind == g.Kind: // they are in the order of their kinds
			if last := &e[len(e)-1]; item.LLR > last.LLR {
				*last = item
			}
			continue
		}
		e = append(e, item)
	}
	if r.claims != nil && !scanner {
		e = append(e, policy.Evidence{Name: "sig.stack_mismatch", LLR: llrMismatch,
			Says: "the caller says it is " + userAgent + ", the signalling was made by " + r.Stack})
	}
	return e
}

// Belied says that the sender claims to be what the proven stack cannot be.
func (r *Match) Belied() bool { return r.claims != nil }
