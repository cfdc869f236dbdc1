package verifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portero/portero/sip/identity/stir"
)

// entry is what is known of an x5u.
type entry struct {
	chain *stir.Chain
	err   error
	until time.Time // asked for again after that
	dead  time.Time // a chain is not used after that, even if a new one cannot be had
}

// flight is a fetch under way, for all that wait for it.
type flight struct{ done chan struct{} }

// Bounds of how long a certificate is kept when its server says nothing, or says
// that it must not be: a caller could have it fetched for every call.
const (
	keepUnsaid = time.Hour
	keepLeast  = time.Minute
)

// lookup finds an x5u in the cache, or the fetch that will bring it, which it
// starts if nobody has. One of the two is nil.
func (v *Verifier) lookup(m *material, x5u string) (*entry, *flight) {
	now := v.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.cache[x5u]
	if old != nil && now.Before(old.until) {
		v.count.hits.Add(1)
		return old, nil
	}
	if f := v.flights[x5u]; f != nil {
		return nil, f
	}
	if v.closed {
		return &entry{err: errClosed}, nil
	}
	if len(v.flights) >= m.cfg.FetchesAtOnce {
		v.count.crowded.Add(1)
		return &entry{err: fmt.Errorf("%d fetches are under way already", len(v.flights))}, nil
	}
	f := &flight{done: make(chan struct{})}
	v.flights[x5u] = f
	v.wg.Add(1)
	go v.fly(m, x5u, old, f)
	return nil, f
}

// fly fetches an x5u and puts what came of it into the cache.
func (v *Verifier) fly(m *material, x5u string, old *entry, f *flight) {
	defer v.wg.Done()
	ctx, cancel := context.WithTimeout(v.alive, m.cfg.FetchTimeout)
	got := fetch(ctx, m.http, x5u, m.cfg.FetchMax)
	cancel()
	now := v.now()
	e := &entry{chain: got.chain, err: got.err}
	switch {
	case got.err == nil:
		v.count.fetched.Add(1)
		keep := got.keep
		if keep < 0 {
			keep = keepUnsaid
		}
		e.until = now.Add(min(max(keep, keepLeast), m.cfg.CacheFor))
		e.dead = now.Add(m.cfg.CacheFor)
	case old != nil && old.err == nil && now.Before(old.dead):
		v.count.failed.Add(1)
		// Its server is down: what was had before serves on for a while.
		e = &entry{chain: old.chain, until: now.Add(m.cfg.CacheFailures), dead: old.dead}
	default:
		v.count.failed.Add(1)
		e.until = now.Add(m.cfg.CacheFailures)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.flights, x5u)
	if v.cache[x5u] == nil {
		v.room(m.cfg.CacheSize, now)
	}
	v.cache[x5u] = e
	close(f.done)
}

// room makes room for one more: what is out of date goes, then whatever comes
// first; a map's order is nobody's to foresee.
func (v *Verifier) room(size int, now time.Time) {
	if len(v.cache) < size {
		return
	}
	for k, e := range v.cache {
		if !now.Before(e.until) {
			delete(v.cache, k)
		}
	}
	for k := range v.cache {
		if len(v.cache) < size {
			return
		}
		delete(v.cache, k)
	}
}

// chain gives the certificates behind an x5u: from the store, the cache or by a
// fetch, for which it waits until ctx ends.
func (v *Verifier) chain(ctx context.Context, m *material, x5u string) (*stir.Chain, error) {
	if chain := m.store[x5u]; chain != nil {
		return chain, nil
	}
	for range 2 { // the second look finds what the first waited for
		e, f := v.lookup(m, x5u)
		if e != nil {
			return e.chain, e.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			v.count.late.Add(1)
			return nil, fmt.Errorf("it did not come within the budget of %v", m.cfg.Budget)
		}
	}
	return nil, errors.New("it was pushed out of the cache as soon as it came")
}
