package callback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/policy/store"
)

// Ledger is where promises are claimed and settled; [store.Promises] is one.
type Ledger interface {
	Claim(ctx context.Context, now time.Time, lease time.Duration) (p store.Promise, ok bool, err error)
	Resolve(ctx context.Context, p store.Promise, s store.State, a store.Attempt) error
	Reschedule(ctx context.Context, p store.Promise, notBefore time.Time, a store.Attempt) error
	Release(ctx context.Context, p store.Promise, notBefore, now time.Time) error
	Expire(ctx context.Context, before, now time.Time) (int, error)
	Hasten(ctx context.Context, now time.Time) (int, error)
}

// Door places the calls; sip/door is one.
type Door interface {
	// AgentsFree is how many agents could take a call now.
	AgentsFree() int
	// Dial calls the promise's number, asks who answers to press 1, and joins
	// them to the promise's destination. It returns as soon as the outcome is
	// known, for Joined when the two are joined, not when they hang up, and it
	// returns by the deadline of ctx at the latest. When ctx ends, a phone that
	// rings is let go.
	Dial(ctx context.Context, p store.Promise) Result
}

const (
	// talk is the time for the prompt, the key and the agents' answer, after
	// RingTimeout.
	talk = 90 * time.Second
	// spare keeps the lease past the deadline of a dial, so that a promise is
	// settled before anyone else may take it.
	spare = time.Minute
	// settleTime is how long a settlement may take.
	settleTime = 5 * time.Second
	// calm is the least pause after a dial that could not be placed.
	calm = 10 * time.Second
)

// Dialer has due promises dialled: while agents are free, paced, never two at
// once for one number.
type Dialer struct {
	cfg     Config
	numbers numbers
	hours   hours
	ledger  Ledger
	door    Door
	now     func() time.Time
	log     *zap.Logger

	turn sync.Mutex // held while a dial is being started: one at a time

	mu       sync.Mutex
	base     context.Context // of Run; nil while it does not run
	dialing  map[string]bool // numbers
	lastDial time.Time
	unsaved  []settlement // results the ledger did not take yet
	dials    sync.WaitGroup
}

// NewDialer is a dialer that keeps the promises of ledger through door; now is
// the clock. The error is one of cfg, which [Config.Check] reports too.
func NewDialer(cfg Config, ledger Ledger, door Door, now func() time.Time, log *zap.Logger) (*Dialer, error) {
	n, err := newNumbers(cfg)
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	h, err := newHours(cfg)
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	return &Dialer{cfg: cfg, numbers: n, hours: h, ledger: ledger, door: door, now: now, log: log, dialing: make(map[string]bool)}, nil
}

// Run looks for due promises at every tick until ctx ends, then waits for the
// dials under way. A second is a good tick.
func (d *Dialer) Run(ctx context.Context, tick <-chan time.Time) {
	d.mu.Lock()
	d.base = ctx
	d.mu.Unlock()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick:
			d.look(ctx)
		}
	}
	d.turn.Lock() // no dial is being started, and none will be
	d.mu.Lock()
	d.base = nil
	d.mu.Unlock()
	d.turn.Unlock()
	d.dials.Wait()
	d.saveUnsaved(context.WithoutCancel(ctx))
}

// look starts what may be started now.
func (d *Dialer) look(ctx context.Context) {
	if n, err := d.ledger.Expire(ctx, d.now().Add(-d.cfg.Expire), d.now()); err != nil {
		d.log.Warn("callback: promises could not be expired", zap.Error(err))
	} else if n > 0 {
		d.log.Info("callback: promises expired unkept", zap.Int("promises", n), zap.Duration("after", d.cfg.Expire))
	}
	for {
		_, why, err := d.start(ctx, true)
		if err != nil {
			d.log.Warn("callback: no promise could be claimed", zap.Error(err))
		}
		if why != "" {
			return
		}
	}
}

// Why a dial was not started.
const (
	WhyDisabled = "callbacks are disabled"
	WhyStopped  = "the dialer is not running"
	WhyStore    = "the store does not take results; nothing is dialled until it does"
	WhyHours    = "it is outside of the calling hours"
	WhyBusy     = "as many callbacks as allowed are being dialled"
	WhyAgents   = "too few agents are free"
	WhyPace     = "the last dial is too recent"
	WhyNoneDue  = "no promise is due"
)

// attempt is a dial under way; result is good when done is closed.
type attempt struct {
	promise store.Promise
	result  Result
	done    chan struct{}
}

// start claims a due promise and has it dialled, or says why not.
func (d *Dialer) start(ctx context.Context, paced bool) (a *attempt, why string, err error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	if !d.cfg.Enabled {
		return nil, WhyDisabled, nil
	}
	if !d.saveUnsaved(ctx) {
		return nil, WhyStore, nil
	}
	for {
		now := d.now()
		d.mu.Lock()
		base := d.base
		busy, last := len(d.dialing), d.lastDial
		d.mu.Unlock()
		switch {
		case base == nil || base.Err() != nil:
			return nil, WhyStopped, nil
		case !d.hours.open(now):
			return nil, WhyHours, nil
		case busy >= d.cfg.MaxConcurrent:
			return nil, WhyBusy, nil
		case d.door.AgentsFree()-busy < d.cfg.FreeAgents:
			return nil, WhyAgents, nil
		case paced && !last.IsZero() && now.Sub(last) < d.cfg.Pace:
			return nil, WhyPace, nil
		}
		p, ok, err := d.ledger.Claim(ctx, now, d.cfg.RingTimeout+talk+spare)
		if err != nil {
			return nil, WhyStore, err
		}
		if !ok {
			return nil, WhyNoneDue, nil
		}
		if d.void(p, now) {
			continue
		}
		d.mu.Lock()
		d.dialing[p.Number] = true
		d.lastDial = now
		d.mu.Unlock()
		a := &attempt{promise: p, done: make(chan struct{})}
		d.dials.Go(func() { d.dial(base, a) })
		return a, "", nil
	}
}

// void settles a claimed promise that must not be dialled.
func (d *Dialer) void(p store.Promise, now time.Time) bool {
	d.mu.Lock()
	twice := d.dialing[p.Number]
	d.mu.Unlock()
	_, forbidden := d.numbers.dialable(p.Number)
	s := settlement{promise: p, at: now}
	switch {
	case twice: // its lease lapsed while the dial goes on
		s.next, s.notBefore = undone, now.Add(spare)
	case forbidden != nil: // by a configuration newer than the promise
		s.next, s.state, s.result = end, store.StateCancelled, Result{Outcome: NotDialed, Detail: forbidden.Error()}
	case now.Sub(p.PromisedAt.Time) >= d.cfg.Expire:
		s.next, s.state = end, store.StateExpired
	case p.Attempts > d.cfg.Attempts: // doors died while dialling it
		s.next, s.state, s.result = end, store.StateFailed, Result{Outcome: Failed, Detail: "the attempts were used up by doors that stopped while dialling"}
	default:
		return false
	}
	d.save(s)
	return true
}

// dial makes one attempt and settles it.
func (d *Dialer) dial(base context.Context, a *attempt) {
	p := a.promise
	log := d.log.With(zap.String("call_id", p.CallID), zap.Int64("promise", p.ID), zap.String("number", p.Number))
	log.Info("callback: dialing", zap.Int("attempt", p.Attempts), zap.Int("of", d.cfg.Attempts))
	ctx, cancel := context.WithTimeout(base, d.cfg.RingTimeout+talk)
	defer cancel()
	a.result = d.guarded(ctx, p)
	now := d.now()
	s := settlement{promise: p, result: a.result, at: now}
	s.next, s.state = a.result.Outcome.after()
	switch s.next {
	case again:
		if p.Attempts >= d.cfg.Attempts {
			s.next = end
		} else {
			s.notBefore = now.Add(d.cfg.RetryAfter << max(0, p.Attempts-1))
		}
	case undone:
		s.notBefore = now.Add(max(calm, d.cfg.Pace))
	}
	d.save(s)
	log.Info("callback: dialed", zap.String("outcome", string(a.result.Outcome)), zap.String("detail", a.result.Detail),
		zap.String("leg_call_id", a.result.CallID), zap.Time("retry_at", s.notBefore))
	d.mu.Lock()
	delete(d.dialing, p.Number)
	d.mu.Unlock()
	close(a.done)
}

// guarded is the door's Dial; a panic there costs the attempt, not the dialer.
func (d *Dialer) guarded(ctx context.Context, p store.Promise) (r Result) {
	defer func() {
		if v := recover(); v != nil {
			d.log.Error("callback: the dial panicked", zap.String("call_id", p.CallID), zap.Int64("promise", p.ID), zap.Any("panic", v), zap.Stack("stack"))
			r = Result{Outcome: Failed, Detail: fmt.Sprintf("internal error: %v", v)}
		}
	}()
	return d.door.Dial(ctx, p)
}

// settlement is what shall be written about a claimed promise.
type settlement struct {
	promise   store.Promise
	result    Result
	at        time.Time
	next      next
	state     store.State
	notBefore time.Time
}

// save writes s, or keeps it for later: a person who was reached must not be
// called again because a disk was full for a minute.
func (d *Dialer) save(s settlement) {
	if d.write(context.Background(), s) {
		return
	}
	d.mu.Lock()
	d.unsaved = append(d.unsaved, s)
	d.mu.Unlock()
}

// saveUnsaved tries what is kept again and tells whether nothing is left.
func (d *Dialer) saveUnsaved(ctx context.Context) bool {
	d.mu.Lock()
	kept := d.unsaved
	d.unsaved = nil
	d.mu.Unlock()
	var left []settlement
	for _, s := range kept {
		if len(left) > 0 || !d.write(ctx, s) {
			left = append(left, s)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsaved = append(left, d.unsaved...)
	return len(d.unsaved) == 0
}

// write tells whether s needs no further try.
func (d *Dialer) write(ctx context.Context, s settlement) bool {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	a := store.Attempt{At: store.At(s.at), Outcome: string(s.result.Outcome), Detail: s.result.Detail, CallID: s.result.CallID}
	var err error
	switch s.next {
	case end:
		err = d.ledger.Resolve(ctx, s.promise, s.state, a)
	case again:
		err = d.ledger.Reschedule(ctx, s.promise, s.notBefore, a)
	case undone:
		err = d.ledger.Release(ctx, s.promise, s.notBefore, s.at)
	}
	if err == nil {
		return true
	}
	lost := errors.Is(err, store.ErrLost)
	d.log.Error("callback: a result could not be written", zap.String("call_id", s.promise.CallID), zap.Int64("promise", s.promise.ID),
		zap.String("outcome", string(s.result.Outcome)), zap.Bool("tried_again", !lost), zap.Error(err))
	return lost
}
