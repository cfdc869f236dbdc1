package upstream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Pinger asks an address whether it is alive.
type Pinger interface {
	// Ping sends an OPTIONS and returns the status of its final response. It
	// must end with ctx.
	Ping(ctx context.Context, a Address) (status int, err error)
}

// Resolver finds the addresses of a URI by RFC 3263.
type Resolver interface {
	// Resolve returns the addresses and how long they may be kept. No address is
	// an error. It must end with ctx.
	Resolve(ctx context.Context, scheme, host string, port int, transport string) ([]Address, time.Duration, error)
}

// name is a URI whose address DNS has to say.
type name struct {
	place   place
	targets []*target
	due     time.Time
	asking  bool
	failed  bool
}

const (
	resolveWithin = 5 * time.Second  // for one name, all queries
	resolveAgain  = 5 * time.Second  // after a failure
	minTTL        = time.Second      //
	maxTTL        = 15 * time.Minute // as a name may be moved in haste, whatever its TTL
)

// Resolve looks up every name once and returns when all have an address or have
// failed; those are tried again by Run.
func (p *Pool) Resolve(ctx context.Context) {
	var wg sync.WaitGroup
	for _, n := range p.names {
		wg.Go(func() { p.resolve(ctx, n) })
	}
	wg.Wait()
}

func (p *Pool) resolve(ctx context.Context, n *name) {
	ctx, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	found, ttl, err := p.deps.Resolver.Resolve(ctx, n.place.uri.Scheme, n.place.host, n.place.port, n.place.transport)
	p.resolved(n, found, ttl, err, time.Now())
}

// resolved takes what DNS said. When it failed, the last addresses stay: a call
// to yesterday's address is better than none.
func (p *Pool) resolved(n *name, found []Address, ttl time.Duration, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.asking = false
	if err != nil {
		n.due = now.Add(resolveAgain)
		if !n.failed {
			p.deps.Log.Warn("a target's name is not found; what was known of it stays", zap.String("name", n.place.host),
				zap.Int("addresses", len(n.targets[0].addresses)), zap.Error(err))
		}
		n.failed = true
		p.settle(now)
		return
	}
	n.due = now.Add(min(max(ttl, minTTL), maxTTL))
	if n.failed || !slices.Equal(n.targets[0].addresses, found) {
		p.deps.Log.Info("a target's name is found", zap.String("name", n.place.host), zap.String("addresses", fmt.Sprint(found)), zap.Duration("ttl", ttl))
	}
	n.failed = false
	for _, t := range n.targets {
		t.addresses = found
	}
	p.settle(now)
}

// Run keeps names and health up to date until ctx ends, and then waits for what
// it has under way.
func (p *Pool) Run(ctx context.Context, ping Pinger) {
	var wg sync.WaitGroup
	defer wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.wake:
		}
		names, servers, next := p.due(time.Now())
		for _, n := range names {
			wg.Go(func() {
				p.resolve(ctx, n)
				p.stir()
			})
		}
		for _, s := range servers {
			wg.Go(func() {
				p.ask(ctx, ping, s)
				p.stir()
			})
		}
		timer.Reset(time.Until(next))
	}
}

// stir has Run look again: what is due next has changed.
func (p *Pool) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// due takes the names and servers whose time has come, and says when to look
// again.
func (p *Pool) due(now time.Time) (names []*name, servers []*server, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next = now.Add(time.Minute)
	for _, n := range p.names {
		switch {
		case n.asking:
		case n.due.After(now):
			next = earlier(next, n.due)
		default:
			n.asking = true
			names = append(names, n)
		}
	}
	for _, s := range p.servers {
		switch {
		case s.pinging || !s.watched:
		case s.nextPing.After(now):
			next = earlier(next, s.nextPing)
		default:
			s.pinging = true
			servers = append(servers, s)
		}
	}
	return names, servers, next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// ask pings one server.
func (p *Pool) ask(ctx context.Context, ping Pinger, s *server) {
	within, cancel := context.WithTimeout(ctx, p.cfg.Health.Timeout)
	defer cancel()
	status, err := ping.Ping(within, s.Address)
	if ctx.Err() != nil { // the door closes; that says nothing of the PBX
		return
	}
	p.pinged(s, status, err, time.Now())
}

// pinged takes what an OPTIONS came to.
func (p *Pool) pinged(s *server, status int, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.pinging = false
	interval := p.cfg.Health.Interval
	s.nextPing = now.Add(interval - interval/10 + time.Duration(p.random(int(interval/5)+1))) // doors must not ask in step
	alive := err == nil && status != 408 && status != 503
	if !s.watched || !s.saw(alive, p.cfg.Health, now) {
		return
	}
	why := fmt.Sprintf("OPTIONS were answered with %d", status)
	if err != nil {
		why = "OPTIONS failed: " + err.Error()
	}
	p.say(s, why, now)
}
