package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portero/portero/sip/identity"
	"github.com/portero/portero/sip/identity/stir"
)

// Verifier verifies calls. It is safe for concurrent use.
type Verifier struct {
	m     atomic.Pointer[material]
	now   func() time.Time
	alive context.Context // ends with Close
	stop  context.CancelFunc
	wg    sync.WaitGroup // fetches

	mu      sync.Mutex
	cache   map[string]*entry
	flights map[string]*flight
	closed  bool

	count struct {
		passed, rejected, none               atomic.Uint64
		fetched, failed, hits, late, crowded atomic.Uint64
	}
}

// Counts is what has happened so far.
type Counts struct {
	Passed, Failed, None uint64 // verifications by their outcome
	Fetched, FetchFailed uint64 // fetches of certificates
	Hits                 uint64 // certificates found in the cache
	Late                 uint64 // calls whose budget ended before the fetch
	Crowded              uint64 // fetches not begun, as too many were under way
	Cached               int    // x5u in the cache now
}

var errClosed = errors.New("the door is closing")

// New reads a configuration's files. Close ends it.
func New(cfg Config) (*Verifier, error) {
	v := &Verifier{now: time.Now, cache: map[string]*entry{}, flights: map[string]*flight{}}
	v.alive, v.stop = context.WithCancel(context.Background())
	if err := v.Reload(cfg); err != nil {
		return nil, err
	}
	return v, nil
}

// Reload puts another configuration in place, with its files read anew; with an
// error the old one stays. The cache is kept.
func (v *Verifier) Reload(cfg Config) error {
	var errs []error
	fault := func(path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("sip.identity.%s: %s", path, fmt.Sprintf(format, args...)))
	}
	cfg.Check(fault)
	m := cfg.load(fault)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	m.http = m.client()
	if old := v.m.Swap(m); old != nil {
		old.http.CloseIdleConnections()
	}
	return nil
}

// Close ends what is under way and waits for it.
func (v *Verifier) Close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.stop()
	v.wg.Wait()
	v.m.Load().http.CloseIdleConnections()
}

// Budget is how long a call may wait for Verify.
func (v *Verifier) Budget() time.Duration { return v.m.Load().cfg.Budget }

// VerstatParam says whether the PBX is told by the verstat parameter too.
func (v *Verifier) VerstatParam() bool { return v.m.Load().cfg.VerstatParam }

// On says whether anything is verified.
func (v *Verifier) On() bool { return v.m.Load().cfg.Verify }

// AtOnce is what is known of a request without verifying anything: that it is not
// signed. wait says that Verify would find out more; it does not for an emergency
// call, which waits for nothing.
func (v *Verifier) AtOnce(raw []byte, trusted bool) (r *stir.Result, wait bool) {
	if !v.On() {
		return nil, false
	}
	who := identity.Of(raw, trusted)
	if !who.Signed {
		unsigned := stir.Unsigned()
		return &unsigned, false
	}
	return nil, !who.Emergency
}

// Verify verifies a request that was received at a time. trusted says that its
// trunk may assert identities. It returns within the budget.
func (v *Verifier) Verify(ctx context.Context, raw []byte, at time.Time, trusted bool) stir.Result {
	m := v.m.Load()
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Budget)
	defer cancel()
	open := stir.Open(stir.CallOf(raw, at, trusted, m.cfg.CountryCode), m.policy)
	type got struct {
		chain *stir.Chain
		err   error
	}
	var mu sync.Mutex
	chains := map[string]got{}
	var waiting sync.WaitGroup
	for _, x5u := range open.Needs() {
		waiting.Go(func() {
			var g got
			if g.err = m.mayLookup(x5u); g.err == nil {
				g.chain, g.err = v.chain(ctx, m, x5u)
			}
			mu.Lock()
			defer mu.Unlock()
			chains[x5u] = g
		})
	}
	waiting.Wait()
	r := open.Result(func(x5u string) (*stir.Chain, error) {
		g := chains[x5u]
		return g.chain, g.err
	})
	switch r.Verstat {
	case stir.Passed:
		v.count.passed.Add(1)
	case stir.Failed:
		v.count.rejected.Add(1)
	default:
		v.count.none.Add(1)
	}
	return r
}

// mayLookup says why an x5u is not even looked for.
func (m *material) mayLookup(x5u string) error {
	if m.store[x5u] != nil {
		return nil
	}
	u, err := url.Parse(x5u)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%.80q is no URL", x5u)
	}
	return m.mayFetch(u)
}

// Counts is a snapshot for metrics.
func (v *Verifier) Counts() Counts {
	v.mu.Lock()
	cached := len(v.cache)
	v.mu.Unlock()
	c := &v.count
	return Counts{Passed: c.passed.Load(), Failed: c.rejected.Load(), None: c.none.Load(), Fetched: c.fetched.Load(), FetchFailed: c.failed.Load(),
		Hits: c.hits.Load(), Late: c.late.Load(), Crowded: c.crowded.Load(), Cached: cached}
}
