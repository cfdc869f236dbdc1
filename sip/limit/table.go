package limit

import (
	"sync"
	"time"
)

// bound is a Bound as it is reckoned with.
type bound struct {
	on       bool
	rate     float64 // tokens a nanosecond; 0: no bound
	burst    float64
	attempts int32 // 0: no bound
}

func newBound(b Bound) bound {
	out := bound{on: b.Rate > 0 || b.Attempts > 0, rate: b.Rate / 1e9, burst: float64(b.Burst), attempts: int32(min(b.Attempts, 1<<30))}
	if b.Burst == 0 {
		out.burst = max(2*b.Rate, 10)
	}
	return out
}

// entry is one source, trunk or caller.
type entry struct {
	key      uint64
	last     int64   // when tokens was right, ns
	tokens   float32 //
	attempts int32   // not answered yet
}

// ways is how many places a key can have.
const ways = 4

// table remembers a fixed number of entries: each key has a few places, and the
// one that was seen longest ago is forgotten, unless it has attempts.
type table struct {
	mu      sync.Mutex
	entries []entry
	mask    uint64
}

func newTable(size int) *table {
	n := uint64(1)
	for n*ways < uint64(size) {
		n *= 2
	}
	return &table{entries: make([]entry, n*ways), mask: n - 1}
}

// take counts one request, or says when to try again.
func (t *table) take(key uint64, b *bound, now int64, call bool) (wait time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.find(key)
	if e == nil {
		if e = t.place(key); e == nil {
			return 0, true // all places are in use: not limited
		}
		*e = entry{key: key, last: now, tokens: float32(b.burst)}
	}
	if call && b.attempts > 0 && e.attempts >= b.attempts {
		return time.Second, false
	}
	if b.rate > 0 {
		if passed := now - e.last; passed > 0 {
			e.tokens = float32(min(float64(e.tokens)+float64(passed)*b.rate, b.burst))
			e.last = now
		}
		if e.tokens < 1 {
			wait := time.Duration((1 - float64(e.tokens)) / b.rate)
			return max(wait.Round(time.Millisecond), time.Millisecond), false
		}
		e.tokens--
	} else {
		e.last = now
	}
	if call {
		e.attempts++
	}
	return 0, true
}

// done takes an attempt back.
func (t *table) done(key uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.find(key); e != nil && e.attempts > 0 {
		e.attempts--
	}
}

func (t *table) set(key uint64) []entry {
	i := (key >> 1 & t.mask) * ways // the lowest bit is always 1
	return t.entries[i : i+ways]
}

func (t *table) find(key uint64) *entry {
	set := t.set(key)
	for i := range set {
		if set[i].key == key {
			return &set[i]
		}
	}
	return nil
}

// place is where a new key may go; nil if none of its places can be given up.
func (t *table) place(key uint64) *entry {
	set := t.set(key)
	var oldest *entry
	for i := range set {
		e := &set[i]
		switch {
		case e.key == 0:
			return e
		case e.attempts > 0:
		case oldest == nil || e.last < oldest.last:
			oldest = e
		}
	}
	return oldest
}
