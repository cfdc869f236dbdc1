package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/media/webrtc"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/policy/webhook"
	"github.com/portero/portero/sip/hep"
	"github.com/portero/portero/sip/identity/verifier"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/limit"
	"github.com/portero/portero/sip/refusal"
	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/transport"
	"github.com/portero/portero/sip/upstream"
)

// Deps are the rooms a door works with.
type Deps struct {
	Log     *zap.Logger
	Bench   *judge.Bench    // the judge; replaced by Reload
	Relay   *relay.Relay    // RTP
	WebRTC  *webrtc.Mux     // RTP with browsers; nil: they are not served
	Prompts *prompt.Library // what Portero says
	Surge   *surge.Meter    // arrivals
	Queue   *callback.Queue // promises; nil: callbacks are off
	// Withdraw takes back a promise that could not be told; nil when Queue is.
	Withdraw func(ctx context.Context, id int64, at time.Time) error
	Records  func(store.Record) // call records; must not block
	// Verifier verifies Identity headers; nil: nobody does. The door does not
	// close it.
	Verifier *verifier.Verifier
	Metrics  Metrics // counters; nil counts nothing
	// Events are told what is found out about calls; nil: nobody is. The door does
	// not close it.
	Events *webhook.Sender
	// Recorder writes calls to disk; nil: nobody does. The door does not close it.
	Recorder *record.Recorder
	// Spool keeps the packets of the last calls; nil: nobody does. The door does not
	// close it.
	Spool *record.Spool
	// Analysts is how many threads of their own hear the callers. They stand behind
	// all others, but Go's scheduler does not know: whoever gives them sets
	// GOMAXPROCS that much higher, or packets wait for them. 0: a goroutine a
	// processor hears them, of the same rank as everything else.
	Analysts int
	// Resolver finds the addresses of names in target URIs; nil asks DNS.
	Resolver upstream.Resolver
	// PacketConn opens a UDP listener; nil opens a real socket. Tests give
	// their own network here.
	PacketConn func(addr netip.AddrPort) (net.PacketConn, error)
	// Timers are RFC 3261 section 17's; the zero value is the RFC's own.
	Timers transaction.Timers
}

// Metrics counts what happens at the door. Its methods are called from many
// goroutines and must not block.
type Metrics interface {
	CallStarted()
	CallEnded(r store.Record)
	Decided(d policy.Decision, enforced bool)
	SIPDropped(reason string)
	SIPRefused(code string) // answered, not served, by reason code
	FramesDropped(n uint64)
	Panicked()
	// Attempted counts what an INVITE to a target came to: answered, refused, or
	// a way to fail (upstream.Failure).
	Attempted(destination, target, result string)
	// Registered notes whether the door is registered at a trunk.
	Registered(trunk string, is bool)
}

// Door is one running front door.
type Door struct {
	cfg      Config
	log      *zap.Logger
	deps     Deps
	bench    atomic.Pointer[judge.Bench]
	trunks   []trunk
	pbx      []netip.Prefix
	upstream *upstream.Pool
	overload overload
	flowSign []byte // signs flow tokens
	ways     []way  // out, for calls of the PBX

	net    *transport.Layer
	tx     *transaction.Layer
	timers transaction.Timers
	parser *sipmsg.Parser
	mirror *hep.Mirror // nil: off
	hops   []*hop

	refuser  *refusal.Refuser
	gate     *gate
	limits   *limit.Limiter
	tls      atomic.Pointer[tlsFiles]
	routes   sync.Map // netip.Addr: the *hop nearest to it, where several would do
	hearings *hearings
	hands    chan *call // for goroutines that wait for a call's events
	films    films

	mu       sync.Mutex
	calls    map[string]*call     // by Portero's call id
	dialogs  map[string]*leg      // by Call-ID and local tag
	graves   map[string]time.Time // dialogs that ended a moment ago
	attempts map[string]*call     // by Call-ID, From tag and CSeq: merged requests (RFC 3261 section 8.2.2.2)
	promised map[string]int       // numbers whose callers are on the line, being promised a callback
	perTrunk map[string]int       //
	serving  atomic.Bool          // hops are open
	draining atomic.Bool          //
	closed   bool                 // spawn starts nothing more
	wg       sync.WaitGroup       // calls
	side     sync.WaitGroup       // what spawn started
	idle     chan struct{}        // signalled whenever a call ended
}

type trunk struct {
	Trunk
	nets  []netip.Prefix
	place *upstream.Pool // where its uri leads; nil: it has none
}

// has says whether an address is the trunk's: configured, or found by the name in
// its uri.
func (t *trunk) has(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range t.nets {
		if p.Contains(a) {
			return true
		}
	}
	return t.place != nil && t.place.Knows(a)
}

// New builds a door; Serve opens it.
func New(cfg Config, deps Deps) (*Door, error) {
	var faults []error
	cfg.Check(func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("sip.%s: %s", path, fmt.Sprintf(format, args...)))
	})
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if err := cfg.readable(); err != nil {
		return nil, err
	}
	if deps.Metrics == nil {
		deps.Metrics = NoMetrics{}
	}
	if deps.Records == nil {
		deps.Records = func(store.Record) {}
	}
	d := &Door{
		cfg: cfg, log: deps.Log, deps: deps,
		calls:    map[string]*call{},
		dialogs:  map[string]*leg{},
		attempts: map[string]*call{},
		graves:   map[string]time.Time{},
		promised: map[string]int{},
		perTrunk: map[string]int{},
		idle:     make(chan struct{}, 1),
	}
	d.bench.Store(deps.Bench)
	d.overload.calls.perSecond, d.overload.urgent.perSecond = float64(cfg.MaxCallRate), float64(cfg.MaxCallRate)
	for _, t := range cfg.Trunks {
		nt := trunk{Trunk: t}
		for _, a := range t.Addresses {
			p, err := parsePrefix(a)
			if err != nil {
				return nil, err
			}
			nt.nets = append(nt.nets, p)
		}
		if t.URI != "" {
			var err error
			if nt.place, err = newPlace(cfg, deps, t); err != nil {
				return nil, err
			}
		}
		d.trunks = append(d.trunks, nt)
	}
	for _, a := range cfg.PBX {
		p, err := parsePrefix(a)
		if err != nil {
			return nil, err
		}
		d.pbx = append(d.pbx, p)
	}
	var err error
	if d.upstream, err = newUpstream(cfg, deps); err != nil {
		return nil, err
	}
	if d.ways, err = cfg.ways(); err != nil {
		return nil, err
	}
	d.flowSign = cfg.flowKey()
	if d.refuser, err = refusal.New(cfg.Refusal); err != nil {
		return nil, err
	}
	d.gate = newGate(d)
	d.limits = limit.New(cfg.Limits)
	d.hearings = newHearings(d.deps.Analysts)
	d.films.all = map[string]*film{}

	d.hands = make(chan *call)
	d.parser = sipmsg.NewParser()
	d.timers = deps.Timers
	if d.timers == (transaction.Timers{}) {
		d.timers = transaction.DefaultTimers()
	}
	limits := transport.DefaultLimits()
	limits.Message = cfg.MaxMessage
	limits.Connections, limits.PerPeer = cfg.MaxConnections, cfg.MaxConnectionsPerPeer
	limits.WebSockets, limits.PerWebSocketPeer = cfg.WebSocket.MaxConnections, cfg.WebSocket.MaxConnectionsPerPeer
	limits.Ping = cfg.Keepalive
	if err := d.ReloadTLS(cfg.TLS); err != nil {
		return nil, err
	}
	d.net = transport.New(d.gate, limits, d.log)
	if err := d.mirrored(); err != nil {
		return nil, err
	}
	d.net.ClientTLS(d.clientTLS)
	d.tx = transaction.New(d.net, d, d.timers)
	d.tx.Maddr(d.knows)
	return d, nil
}

// Serve opens the listeners and returns when ctx is done and the door has
// drained, or when a listener fails.
func (d *Door) Serve(ctx context.Context) error {
	lctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	errs := make(chan error, 1)
	var serving sync.WaitGroup
	var serves []func() error
	for _, s := range d.cfg.Listen {
		h, serve, err := d.open(s)
		if err != nil {
			d.net.Close()
			return err
		}
		d.hops = append(d.hops, h)
		for _, f := range serve {
			serves = append(serves, func() error {
				if err := f(); err != nil {
					return fmt.Errorf("door: listener %s ended: %w", s, err)
				}
				return nil
			})
		}
		d.log.Info("listening for SIP", zap.String("listener", s))
	}
	for _, serve := range serves { // only now: whoever serves reads all of d.hops
		serving.Add(1)
		go func() {
			defer serving.Done()
			if err := serve(); lctx.Err() == nil {
				select {
				case errs <- err:
				default: // the first is enough
				}
			}
		}()
	}
	d.hearings.start()
	serving.Go(func() { d.sweeping(lctx.Done()) })
	for range 2 * runtime.GOMAXPROCS(0) {
		serving.Go(func() { d.lend(lctx.Done()) })
	}
	serving.Add(1)
	go func() {
		defer serving.Done()
		d.upstream.Run(lctx, d)
	}()
	for _, t := range d.trunks {
		if t.place != nil {
			serving.Go(func() { t.place.Run(lctx, d) })
		}
	}
	unmirror := d.mirroring()
	defer unmirror()
	d.serving.Store(true)
	rctx, unregister := context.WithCancel(ctx)
	defer unregister()
	registrations := d.register(rctx)
	var err error
	select {
	case <-ctx.Done():
		d.drain()
	case err = <-errs:
		d.log.Error("a listener failed, the door closes", zap.Error(err))
		d.endAll("listener failed")
	}
	unregister()
	registrations.Wait()
	d.settleSide(500 * time.Millisecond)
	d.tx.Settle(500 * time.Millisecond) // last BYEs get their answers
	stop()
	d.tx.Close()
	d.net.Close()
	d.tx.Wait()
	serving.Wait()
	d.side.Wait()
	d.hearings.stop()
	return err
}

// spawn runs what may outlive its call, such as waiting for the answer to a
// BYE. It ends with its transaction, at the latest when the door closes.
func (d *Door) spawn(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.side.Add(1)
	go func() {
		defer d.side.Done()
		f()
	}()
}

// settleSide waits for side work, at most so long, and lets no more begin.
func (d *Door) settleSide(atMost time.Duration) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	done := make(chan struct{})
	go func() { d.side.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(atMost):
	}
}

// drain takes no new calls, waits for the running ones and then ends them.
func (d *Door) drain() {
	d.refuseCalls()
	n := d.CallsNow()
	d.log.Info("draining", zap.Int("calls", n), zap.Duration("at_most", d.cfg.Drain))
	end := time.NewTimer(d.cfg.Drain)
	defer end.Stop()
	for d.CallsNow() > 0 {
		select {
		case <-end.C:
			d.endAll("shutdown")
			return
		case <-d.idle:
		}
	}
	d.wg.Wait()
}

// endAll hangs up what is left and waits for it, bounded.
func (d *Door) endAll(why string) {
	d.refuseCalls()
	d.mu.Lock()
	for _, c := range d.calls {
		c.post(func() { c.hangup(why) })
	}
	d.mu.Unlock()
	done := make(chan struct{})
	go func() { d.wg.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-time.After(3 * time.Second):
	}
	// Such as an INVITE that nobody has answered anything to, and that so cannot be
	// cancelled (RFC 3261 section 9.1).
	d.log.Warn("calls did not end in time and are let go", zap.Int("calls", d.CallsNow()))
	d.mu.Lock()
	for _, c := range d.calls {
		c.post(c.abandon)
	}
	d.mu.Unlock()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		d.log.Error("calls are left", zap.Int("calls", d.CallsNow()))
	}
}

func (d *Door) refuseCalls() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.draining.Store(true)
}

// Serving says whether the door has opened its listeners.
func (d *Door) Serving() bool { return d.serving.Load() }

// Draining says whether the door takes no new calls any more.
func (d *Door) Draining() bool { return d.draining.Load() }

// CallsNow is the number of calls in the door.
func (d *Door) CallsNow() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.calls)
}

// AgentsFree is how many more calls the agents can hold.
func (d *Door) AgentsFree() int { return d.deps.Surge.Free() }

// Mode says whether new calls' decisions are acted on.
func (d *Door) Mode() policy.Mode { return d.bench.Load().Mode }

// Reload puts another judge in place; calls under way keep theirs.
func (d *Door) Reload(b *judge.Bench) { d.bench.Store(b) }

// trunkOf returns the trunk an address belongs to.
func (d *Door) trunkOf(a netip.Addr) (Trunk, bool) {
	for i := range d.trunks {
		if d.trunks[i].has(a) {
			return d.trunks[i].Trunk, true
		}
	}
	return Trunk{}, false
}

// placeOf is where a trunk's uri leads, nil: it has none.
func (d *Door) placeOf(trunk string) *upstream.Pool {
	for i := range d.trunks {
		if d.trunks[i].Name == trunk {
			return d.trunks[i].place
		}
	}
	return nil
}

func (d *Door) isPBX(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range d.pbx {
		if p.Contains(a) {
			return true
		}
	}
	return d.upstream.Knows(a)
}

// knows says whether the configuration names an address.
func (d *Door) knows(a netip.Addr) bool {
	if _, ok := d.trunkOf(a); ok {
		return true
	}
	return d.isPBX(a)
}

// NoMetrics counts nothing. Whoever wants to count a few things embeds it.
type NoMetrics struct{}

func (NoMetrics) CallStarted()                  {}
func (NoMetrics) CallEnded(store.Record)        {}
func (NoMetrics) Decided(policy.Decision, bool) {}
func (NoMetrics) SIPDropped(string)             {}
func (NoMetrics) SIPRefused(string)             {}
func (NoMetrics) FramesDropped(uint64)          {}
func (NoMetrics) Panicked()                     {}
func (NoMetrics) Attempted(_, _, _ string)      {}
func (NoMetrics) Registered(string, bool)       {}
