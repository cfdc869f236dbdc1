package limit

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// Limiter holds the buckets. Its methods are safe for concurrent use.
type Limiter struct {
	seed                   maphash.Seed
	source, trunk, caller  *table
	bySource, byTrunk, byC bound
}

// Who says whose limit it is.
type Who string

// Whose limits there are.
const (
	Nobody Who = ""
	Source Who = "source"
	Trunk  Who = "trunk"
	Caller Who = "caller"
)

// Verdict is what became of a request.
type Verdict struct {
	Over  Who           // whose limit was reached; Nobody: it may pass
	Retry time.Duration // after which it would pass, as far as can be told
}

// Attempt is a call that is not answered yet. The zero Attempt counts nowhere.
type Attempt struct {
	l    *Limiter
	keys [3]uint64
}

// New makes a limiter; cfg has been checked.
func New(cfg Config) *Limiter {
	l := &Limiter{seed: maphash.MakeSeed(), bySource: newBound(cfg.Source), byTrunk: newBound(cfg.Trunk), byC: newBound(cfg.Caller)}
	if l.bySource.on {
		l.source = newTable(cfg.Table)
	}
	if l.byTrunk.on {
		l.trunk = newTable(1024) // trunks are configured, so they are few
	}
	if l.byC.on {
		l.caller = newTable(cfg.Table)
	}
	return l
}

// Callers says whether callers are told apart at all, so that nobody need look
// who calls.
func (l *Limiter) Callers() bool { return l.byC.on }

// Request counts a request outside dialogs that is no call.
func (l *Limiter) Request(source netip.Addr, trunk string, now time.Time) Verdict {
	_, v := l.take(source, trunk, "", now, false)
	return v
}

// Call counts a new call; caller is "" for one who cannot be told from others.
// The Attempt must be given back with Done when the call is answered or over,
// whatever the verdict.
func (l *Limiter) Call(source netip.Addr, trunk, caller string, now time.Time) (Attempt, Verdict) {
	return l.take(source, trunk, caller, now, true)
}

func (l *Limiter) take(source netip.Addr, trunk, caller string, now time.Time, call bool) (Attempt, Verdict) {
	a := Attempt{l: l}
	verdict := Verdict{}
	at := now.UnixNano()
	for i, s := range [...]struct {
		who   Who
		table *table
		bound *bound
		key   uint64
	}{
		// The caller first: what he is refused does not count against his trunk.
		{Caller, l.caller, &l.byC, l.callerKey(trunk, caller)},
		{Source, l.source, &l.bySource, l.sourceKey(source)},
		{Trunk, l.trunk, &l.byTrunk, l.hash(trunk)},
	} {
		if s.table == nil || s.key == 0 {
			continue
		}
		wait, ok := s.table.take(s.key, s.bound, at, call)
		if !ok {
			a.Done() // gives back what the others counted
			return Attempt{}, Verdict{Over: s.who, Retry: wait}
		}
		if call {
			a.keys[i] = s.key
		}
	}
	return a, verdict
}

// Done gives the attempt back. It may be called more than once on the same
// variable, and on the zero Attempt.
func (a *Attempt) Done() {
	if a.l == nil {
		return
	}
	for i, t := range [...]*table{a.l.caller, a.l.source, a.l.trunk} {
		if t != nil && a.keys[i] != 0 {
			t.done(a.keys[i])
		}
	}
	*a = Attempt{}
}

// sourceKey takes an IPv6 network for one source: whoever has one address of it
// has them all.
func (l *Limiter) sourceKey(a netip.Addr) uint64 {
	if a = a.Unmap(); a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			a = p.Addr()
		}
	}
	b := a.As16()
	return maphash.Bytes(l.seed, b[:]) | 1
}

func (l *Limiter) callerKey(trunk, caller string) uint64 {
	if caller == "" || l.caller == nil {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(trunk)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(caller)
	return h.Sum64() | 1
}

// hash never gives 0, which is an empty place in a table.
func (l *Limiter) hash(s string) uint64 { return maphash.String(l.seed, s) | 1 }
