package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// Why no target was picked.
var (
	ErrUnknown = errors.New("the destination is not configured")
	ErrFull    = errors.New("every target has as many calls as it may have")
	ErrNowhere = errors.New("no target is left to try")
	// ErrInsecure is of a choice that only targets over TLS are right for.
	ErrInsecure = errors.New("no target is reached over TLS, as a sips URI wants")
)

// Deps are what a pool works with.
type Deps struct {
	Log *zap.Logger
	// Transports are those that the door can send by, in capitals, the ones it
	// likes best first.
	Transports []string
	// Resolver finds the addresses of names; nil is DNS as configured.
	Resolver Resolver
	// IPv4 and IPv6 say which addresses the door can send to.
	IPv4, IPv6 bool
}

// Pool is all destinations of a door with their targets. It is safe for
// concurrent use and never waits for the network.
type Pool struct {
	cfg  Config
	deps Deps

	known  atomic.Pointer[map[netip.Addr]string] // addresses of all servers, and the hosts that led to them
	random func(n int) int                       // for choices that are not Pick's own

	mu           sync.Mutex
	destinations map[string]*destination
	names        []*name
	servers      map[key]*server
	wake         chan struct{}
}

// destination is a named place with its targets, in the order of the file.
type destination struct {
	name    string
	targets []*target
}

// target is one configured PBX.
type target struct {
	Target
	place     place
	name      *name     // nil: the URI has an address
	addresses []Address // as found last
	calls     int
}

// server is one address and how it fares, whatever targets lead there.
type server struct {
	Address
	health
	calls    int
	watched  bool      // asked by OPTIONS
	wanted   bool      // some target leads there
	left     time.Time // no target has led there since
	nextPing time.Time
	pinging  bool
}

// New makes a pool. Names have no address until Resolve or Run found them.
func New(cfg Config, destinations map[string][]Target, deps Deps) (*Pool, error) {
	p := &Pool{cfg: cfg, deps: deps, random: rand.IntN, destinations: map[string]*destination{}, servers: map[key]*server{},
		wake: make(chan struct{}, 1)}
	if p.deps.Resolver == nil {
		p.deps.Resolver = newDNS(cfg.DNS, deps)
	}
	names := map[string]*name{}
	for dest, targets := range destinations {
		d := &destination{name: dest}
		for _, t := range targets {
			at, err := parsePlace(t.URI, deps.Transports)
			if err != nil {
				return nil, fmt.Errorf("destination %s: %w", dest, err)
			}
			t.Weight = max(t.Weight, 1)
			one := &target{Target: t, place: at}
			if a, ok := at.numeric(); ok {
				one.addresses = []Address{a}
			} else {
				id := at.uri.Scheme + ":" + at.host + fmt.Sprint(":", at.port, ";", at.transport)
				if names[id] == nil {
					names[id] = &name{place: at}
					p.names = append(p.names, names[id])
				}
				one.name = names[id]
				one.name.targets = append(one.name.targets, one)
			}
			d.targets = append(d.targets, one)
		}
		p.destinations[dest] = d
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(time.Time{})
	return p, nil
}

// goodbye is how long an address that no target leads to any more is still
// known after its last call: for the requests that are under way.
const goodbye = 2 * time.Minute

// settle makes the servers those that the targets lead to. Servers with calls
// stay: their BYEs must find the door open.
func (p *Pool) settle(now time.Time) {
	for _, s := range p.servers {
		s.wanted, s.watched = false, false
	}
	for _, d := range p.destinations {
		n := 0
		for _, t := range d.targets {
			n += len(t.addresses)
		}
		for _, t := range d.targets {
			for _, a := range t.addresses {
				s := p.servers[a.key()]
				if s == nil {
					s = &server{Address: a, nextPing: now}
					p.servers[a.key()] = s
				}
				s.wanted = true
				s.watched = s.watched || n > 1 && p.cfg.Health.Interval > 0
			}
		}
	}
	known := map[netip.Addr]string{}
	for k, s := range p.servers {
		switch {
		case s.wanted:
			s.left = time.Time{}
		case s.left.IsZero() || s.calls > 0:
			s.left = now
		case now.Sub(s.left) > goodbye:
			delete(p.servers, k)
			continue
		}
		if !s.watched && s.down { // nothing would bring it back
			s.health.down, s.health.streak = false, 0
		}
		known[k.at.Addr()] = s.Host
	}
	p.known.Store(&known)
}

// Knows says whether an address is a target's.
func (p *Pool) Knows(a netip.Addr) bool {
	_, ok := (*p.known.Load())[a.Unmap()]
	return ok
}

// Host is the host in the URI of the target that an address belongs to: what the
// certificate there has to bear (RFC 5922 section 7.1).
func (p *Pool) Host(a netip.Addr) string { return (*p.known.Load())[a.Unmap()] }

// Options say more about a choice.
type Options struct {
	// Tried are the addresses that are out of the question.
	Tried []Address
	// BeyondCaps chooses among full targets when no other is left.
	BeyondCaps bool
	// Secure leaves nothing but TLS (RFC 5630 section 5.3).
	Secure bool
	// Random gives 0 to n-1; nil is at random. One that gives the same for the
	// same call keeps its requests together.
	Random func(n int) int
}

// Attempt is one address that was picked for one call, and the place that the
// call takes there until Done.
type Attempt struct {
	Destination string
	Target      string     // the target's URI as configured
	URI         sipmsg.Uri // the same, parsed; not to be changed
	Address     Address
	State       State
	// More is how many other addresses could be tried if this one fails. Those
	// that are worse off do not count.
	More int

	p     *Pool
	t     *target
	s     *server
	began time.Time
	ended bool // guarded by p.mu
}

// Pick chooses an address of a destination and takes a place there. The error
// is ErrUnknown, ErrFull, ErrNowhere or ErrInsecure.
func (p *Pool) Pick(dest string, o Options, now time.Time) (*Attempt, error) {
	if o.Random == nil {
		o.Random = p.random
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.destinations[dest]
	if d == nil {
		return nil, ErrUnknown
	}
	open, full, insecure := p.options(d, o, now)
	if len(open) == 0 && o.BeyondCaps {
		open = full
	}
	i := choose(open, o.Random)
	if i < 0 {
		if len(full) > 0 {
			return nil, ErrFull
		}
		if insecure && len(o.Tried) == 0 {
			return nil, ErrInsecure
		}
		return nil, ErrNowhere
	}
	picked := open[i]
	t := d.targets[picked.target]
	a := &Attempt{Destination: dest, Target: t.URI, URI: t.place.uri, Address: picked.srv, State: picked.state,
		p: p, t: t, s: p.servers[picked.srv.key()], began: now}
	for j, other := range open {
		again := other.srv.key() == picked.srv.key() || slices.ContainsFunc(open[:j], func(o option) bool { return o.srv.key() == other.srv.key() })
		if !again && other.state <= picked.state {
			a.More++
		}
	}
	t.calls++
	a.s.calls++
	return a, nil
}

// Take takes a place at an address that somebody named, as a transfer or a
// redirection does, also where there is none left; nil: no target of the
// destination leads there, nor of any other.
func (p *Pool) Take(dest string, transport string, at netip.AddrPort, now time.Time) *Attempt {
	k := Address{Transport: transport, AddrPort: at}.key()
	p.mu.Lock()
	defer p.mu.Unlock()
	take := func(d *destination) *Attempt {
		for _, t := range d.targets {
			for _, a := range t.addresses {
				if a.key() == k {
					t.calls++
					p.servers[k].calls++
					return &Attempt{Destination: d.name, Target: t.URI, URI: t.place.uri, Address: a, p: p, t: t, s: p.servers[k], began: now}
				}
			}
		}
		return nil
	}
	if d := p.destinations[dest]; d != nil {
		if a := take(d); a != nil {
			return a
		}
	}
	for _, d := range p.destinations {
		if a := take(d); a != nil {
			return a
		}
	}
	return nil
}

// options lists what a destination offers, apart what is full. insecure: there is
// more, and not over TLS.
func (p *Pool) options(d *destination, want Options, now time.Time) (open, full []option, insecure bool) {
	open = make([]option, 0, len(d.targets))
	for ti, t := range d.targets {
		for ai, a := range t.addresses {
			if want.Secure && a.Transport != "TLS" {
				insecure = true
				continue
			}
			if slices.ContainsFunc(want.Tried, func(b Address) bool { return a.key() == b.key() }) {
				continue
			}
			o := option{target: ti, priority: t.Priority, weight: t.Weight, address: ai, srv: a}
			o.state, o.until = p.servers[a.key()].state(now)
			if t.MaxCalls > 0 && t.calls >= t.MaxCalls {
				full = append(full, o)
				continue
			}
			open = append(open, o)
		}
	}
	return open, full, insecure
}

// Done gives the place back. It may be called again.
func (a *Attempt) Done() {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.ended {
		return
	}
	a.ended = true
	a.t.calls--
	a.s.calls--
}

// Answered notes a sign of life: more than a 100, and no failure.
func (a *Attempt) Answered(now time.Time) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.s.answered(a.began, a.p.cfg.Health, now) {
		a.p.say(a.s, "a call was answered", now)
	}
}

// Failed notes that the target did not take the call. RetryAfter is what its
// 503 said, or 0.
func (a *Attempt) Failed(f Failure, retryAfter time.Duration, now time.Time) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	before, _ := a.s.state(now)
	a.s.failed(f, retryAfter, a.s.watched, a.p.cfg, now)
	if after, _ := a.s.state(now); after != before {
		a.p.say(a.s, "a call failed: "+f.String(), now)
	}
}

// RetryAfter is when a destination that takes nothing now may take a call
// again, 1 s at least.
func (p *Pool) RetryAfter(dest string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	soonest := maxRetryAfter
	d := p.destinations[dest]
	if d == nil {
		return soonest
	}
	for _, t := range d.targets {
		for _, a := range t.addresses {
			state, until := p.servers[a.key()].state(now)
			wait := until.Sub(now)
			if state == Down {
				wait = p.cfg.Health.Interval
			}
			soonest = min(soonest, wait)
		}
	}
	return max(soonest, time.Second)
}

// say logs what became of a server. The caller holds mu.
func (p *Pool) say(s *server, why string, now time.Time) {
	state, until := s.state(now)
	log := p.deps.Log.Warn
	if state == Up {
		log = p.deps.Log.Info
	}
	fields := []zap.Field{zap.Stringer("address", s.Address), zap.Stringer("state", state), zap.String("why", why)}
	if until.After(now) {
		fields = append(fields, zap.Duration("for", until.Sub(now)))
	}
	log("a target's state changed", fields...)
}
