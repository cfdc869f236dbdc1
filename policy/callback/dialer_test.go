package callback

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/portero/portero/policy/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDoor answers dials as the test says.
type fakeDoor struct {
	mu    sync.Mutex
	free  int
	takes time.Duration                                     // how long a dial takes
	with  func(ctx context.Context, p store.Promise) Result // what comes of it; nil: joined
	log   []string                                          // "seconds number attempt" of each dial
	now   map[string]int                                    // dials under way, by number
	most  int                                               // dials at once, at most
	began time.Time
}

func (d *fakeDoor) AgentsFree() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.free
}

func (d *fakeDoor) set(free int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = free
}

func (d *fakeDoor) Dial(ctx context.Context, p store.Promise) Result {
	d.mu.Lock()
	d.log = append(d.log, fmt.Sprintf("%d %s %d", int(time.Since(d.began).Seconds()), p.Number, p.Attempts))
	if d.now == nil {
		d.now = map[string]int{}
	}
	d.now[p.Number]++
	all := 0
	for n, k := range d.now {
		if all += k; k > 1 {
			panic("twice at once: " + n)
		}
	}
	d.most = max(d.most, all)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.now[p.Number]--
		d.mu.Unlock()
	}()
	select {
	case <-time.After(d.takes):
	case <-ctx.Done():
		return Result{Outcome: NotDialed, Detail: ctx.Err().Error()}
	}
	d.mu.Lock()
	with := d.with
	d.mu.Unlock()
	if with != nil {
		return with(ctx, p)
	}
	return Result{Outcome: Joined}
}

func (d *fakeDoor) dials() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.log, ", ")
}

func (d *fakeDoor) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

func (d *fakeDoor) peak() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

// ever answers every dial the same.
func ever(o Outcome) func(context.Context, store.Promise) Result {
	return func(context.Context, store.Promise) Result {
		return Result{Outcome: o, Detail: "said so", CallID: "leg"}
	}
}

// virtual runs f in a bubble whose clock is virtual, with a dialer that ticks
// every second on promises in a real SQLite file.
func virtual(t *testing.T, cfg Config, door *fakeDoor, f func(t *testing.T, d *Dialer, p *store.Promises)) {
	t.Helper()
	sc := store.Defaults()
	sc.Path = filepath.Join(t.TempDir(), "portero.db")
	s, err := store.Open(sc, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p, err := store.OpenPromises(t.Context(), sc)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		door.began = time.Now()
		d, err := NewDialer(cfg, p, door, time.Now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		stop := running(d)
		f(t, d, p)
		stop()
	})
}

// running runs d until the function returned is called.
func running(d *Dialer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	tick := time.NewTicker(time.Second)
	go func() { d.Run(ctx, tick.C); close(done) }()
	synctest.Wait()
	return func() {
		cancel()
		<-done
		tick.Stop()
	}
}

func owe(t *testing.T, p *store.Promises, numbers ...string) {
	t.Helper()
	for _, n := range numbers {
		if _, existed, err := p.Promise(t.Context(), n, "call", "agents", time.Now()); err != nil || existed {
			t.Fatalf("promise to %s: existed %v, %v", n, existed, err)
		}
		time.Sleep(time.Millisecond) // the order is by time
	}
}

// after lets d pass on the virtual clock.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func state(t *testing.T, p *store.Promises, number string) store.Promise {
	t.Helper()
	pr, err := p.Latest(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

func enabled() Config {
	c := Defaults()
	c.Enabled = true
	return c
}

const n1, n2, n3 = "+15550101", "+15550102", "+15550103"

func TestDialsPacedAndInOrder(t *testing.T) {
	c := enabled()
	c.MaxConcurrent = 3
	door := &fakeDoor{free: 9, takes: 2 * time.Second}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1, n2, n3)
		after(time.Minute)
		if got, want := door.dials(), "1 "+n1+" 1, 11 "+n2+" 1, 21 "+n3+" 1"; got != want {
			t.Errorf("dialed %s\nwant   %s", got, want)
		}
		for _, n := range []string{n1, n2, n3} {
			if pr := state(t, p, n); pr.State != store.StateJoined || len(pr.History) != 1 || pr.History[0].Outcome != "joined" {
				t.Errorf("%+v", pr)
			}
		}
	})
}

func TestDialsOnlyWhileAgentsAreFree(t *testing.T) {
	c := enabled()
	c.MaxConcurrent, c.FreeAgents, c.Pace = 5, 2, 0
	door := &fakeDoor{free: 1, takes: 20 * time.Second}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1, n2, n3)
		after(time.Minute)
		if got := door.dials(); got != "" {
			t.Errorf("dialed %s with one agent free, two wanted", got)
		}
		door.set(3) // enough for one and a second, which the first's dial counts against
		after(10 * time.Second)
		if door.peak() != 2 {
			t.Errorf("%d dials at once for three free agents of which two must be free, want 2", door.peak())
		}
	})
}

func TestMaxConcurrent(t *testing.T) {
	c := enabled()
	c.MaxConcurrent, c.Pace = 2, 0
	door := &fakeDoor{free: 99, takes: 20 * time.Second}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1, n2, n3)
		after(time.Minute)
		if door.peak() != 2 || state(t, p, n3).State != store.StateJoined {
			t.Errorf("%d at once, last is %s; want 2 and all joined", door.peak(), state(t, p, n3).State)
		}
	})
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		outcome Outcome
		want    store.State
		dials   string // of attempts=3, retry_after=1m: after 0, 1, 2 more minutes
		history int
	}{
		{Joined, store.StateJoined, "1 +15550101 1", 1},
		{Declined, store.StateCancelled, "1 +15550101 1", 1},
		{NoAnswer, store.StateFailed, "1 +15550101 1, 61 +15550101 2, 181 +15550101 3", 3},
		{Busy, store.StateFailed, "1 +15550101 1, 61 +15550101 2, 181 +15550101 3", 3},
		{Failed, store.StateFailed, "1 +15550101 1, 61 +15550101 2, 181 +15550101 3", 3},
		{Machine, store.StateFailed, "1 +15550101 1, 61 +15550101 2, 181 +15550101 3", 3},
		{"nonsense", store.StateFailed, "1 +15550101 1, 61 +15550101 2, 181 +15550101 3", 3},
	} {
		t.Run(string(tt.outcome), func(t *testing.T) {
			c := enabled()
			c.RetryAfter = time.Minute
			door := &fakeDoor{free: 1, with: ever(tt.outcome)}
			virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
				owe(t, p, n1)
				after(4 * time.Minute)
				pr := state(t, p, n1)
				if pr.State != tt.want || door.dials() != tt.dials || len(pr.History) != tt.history {
					t.Errorf("state %s, history %v, dialed %s\nwant %s, %d, %s", pr.State, pr.History, door.dials(), tt.want, tt.history, tt.dials)
				}
				if h := pr.History[0]; h.Detail == "" && tt.outcome != Joined || h.Outcome != string(tt.outcome) {
					t.Errorf("history is %+v", h)
				}
			})
		})
	}
}

// A PBX that is away must not use up the attempts: nobody's phone rang.
func TestNotDialedIsNoAttempt(t *testing.T) {
	c := enabled()
	c.Expire = 11 * time.Minute
	door := &fakeDoor{free: 1, with: ever(NotDialed)}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1)
		after(10 * time.Minute)
		if pr := state(t, p, n1); pr.State != store.StateOpen || pr.Attempts != 0 || len(pr.History) != 0 {
			t.Errorf("%+v", pr)
		}
		if n := door.count(); n < 30 || n > 70 {
			t.Errorf("%d tries in ten minutes, want one every ten seconds or so", n)
		}
		after(2 * time.Minute)
		if pr := state(t, p, n1); pr.State != store.StateExpired {
			t.Errorf("after its time the state is %s, want expired", pr.State)
		}
	})
}

func TestExpiredIsNotDialed(t *testing.T) {
	c := enabled()
	c.Expire = 5 * time.Minute
	door := &fakeDoor{free: 0}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1)
		after(6 * time.Minute)
		door.set(1)
		after(time.Minute)
		if pr := state(t, p, n1); pr.State != store.StateExpired || door.dials() != "" {
			t.Errorf("state %s, dialed %s", pr.State, door.dials())
		}
	})
}

func TestHoursHold(t *testing.T) {
	c := enabled()
	c.TimeZone = "UTC"
	c.Hours = []string{"00:05-17:00"}
	door := &fakeDoor{free: 1}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) { // the bubble begins at midnight
		owe(t, p, n1)
		after(4*time.Minute + 59*time.Second)
		if door.dials() != "" {
			t.Errorf("dialed %s before the hours", door.dials())
		}
		after(2 * time.Second)
		if state(t, p, n1).State != store.StateJoined {
			t.Error("not dialed within the hours")
		}
	})
}

func TestDisabledDialsNothing(t *testing.T) {
	door := &fakeDoor{free: 1}
	virtual(t, Defaults(), door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1)
		after(time.Minute)
		ran, err := d.RunOnce(t.Context(), true)
		if door.dials() != "" || err != nil || ran.Stopped != WhyDisabled {
			t.Errorf("dialed %q, %+v, %v", door.dials(), ran, err)
		}
	})
}

// A number that the configuration came to refuse is not dialled for an old
// promise's sake.
func TestRefusedLater(t *testing.T) {
	c := enabled()
	c.Refuse = []string{`\+1555.*`}
	door := &fakeDoor{free: 1}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1, "+442079460000")
		after(time.Minute)
		if pr := state(t, p, n1); pr.State != store.StateCancelled || door.dials() != "1 +442079460000 1" {
			t.Errorf("state %s, dialed %s", pr.State, door.dials())
		}
	})
}

func TestAPanicCostsTheAttempt(t *testing.T) {
	c := enabled()
	c.RetryAfter = time.Minute
	door := &fakeDoor{free: 1, with: func(_ context.Context, p store.Promise) Result {
		if p.Attempts == 1 {
			panic("boom")
		}
		return Result{Outcome: Joined}
	}}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1)
		after(2 * time.Minute)
		if pr := state(t, p, n1); pr.State != store.StateJoined || len(pr.History) != 2 || !strings.Contains(pr.History[0].Detail, "boom") {
			t.Errorf("%+v", pr)
		}
	})
}

// A dial that hangs is ended by its deadline, and the lease holds until then.
func TestHangingDialEnds(t *testing.T) {
	c := enabled()
	c.MaxConcurrent, c.Attempts = 2, 1
	door := &fakeDoor{free: 9, takes: time.Hour}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1)
		after(c.RingTimeout + talk - time.Second)
		if got := door.dials(); got != "1 +15550101 1" {
			t.Errorf("dialed %s", got)
		}
		if pr := state(t, p, n1); pr.State != store.StateDialing {
			t.Errorf("state %s before the deadline", pr.State)
		}
		after(10 * time.Second)
		if pr := state(t, p, n1); pr.State == store.StateDialing {
			t.Error("still dialing after the deadline")
		}
	})
}

// A door that stops gives its promise back, and the next one keeps it.
func TestKeptAcrossARestart(t *testing.T) {
	door := &fakeDoor{free: 1, takes: 5 * time.Second}
	virtual(t, enabled(), door, func(t *testing.T, d *Dialer, p *store.Promises) {
		stop := running(d) // Run twice: the second takes over, and ends the first's dial when stopped
		owe(t, p, n1)
		after(2 * time.Second)
		stop()
		if pr := state(t, p, n1); pr.State != store.StateOpen || pr.Attempts != 0 {
			t.Errorf("after stopping: %+v", pr)
		}
		if _, err := d.RunOnce(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		next, err := NewDialer(enabled(), p, door, time.Now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		stop = running(next)
		after(time.Minute)
		stop()
		if pr := state(t, p, n1); pr.State != store.StateJoined {
			t.Errorf("after the restart: %+v", pr)
		}
	})
}

// A door that was killed while dialling every time must not ring a phone for
// ever: claims count, not results.
func TestCrashesUseUpAttempts(t *testing.T) {
	c := enabled()
	door := &fakeDoor{free: 0}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1)
		for range c.Attempts {
			if _, ok, err := p.Claim(t.Context(), time.Now(), time.Minute); !ok || err != nil {
				t.Fatal(ok, err)
			}
			after(time.Minute)
		}
		door.set(1)
		after(time.Minute)
		if pr := state(t, p, n1); pr.State != store.StateFailed || door.dials() != "" {
			t.Errorf("state %s, dialed %s", pr.State, door.dials())
		}
	})
}

// brokenLedger refuses results while it is broken.
type brokenLedger struct {
	*store.Promises
	mu     sync.Mutex
	broken bool
}

func (l *brokenLedger) Resolve(ctx context.Context, p store.Promise, s store.State, a store.Attempt) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return errors.New("disk full")
	}
	return l.Promises.Resolve(ctx, p, s, a)
}

// A person who was joined must not be called again because the result could not
// be written at once, and meanwhile nobody else is called.
func TestResultsOutliveABrokenStore(t *testing.T) {
	door := &fakeDoor{free: 9}
	c := enabled()
	c.Pace = 0
	virtual(t, Defaults(), door, func(t *testing.T, _ *Dialer, p *store.Promises) {
		l := &brokenLedger{Promises: p, broken: true}
		d, err := NewDialer(c, l, door, time.Now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		defer running(d)()
		owe(t, p, n1)
		after(2 * time.Second)
		owe(t, p, n2)
		after(5 * time.Minute) // longer than the lease
		if got := door.dials(); got != "1 +15550101 1" {
			t.Errorf("dialed %s while results could not be written", got)
		}
		l.mu.Lock()
		l.broken = false
		l.mu.Unlock()
		after(10 * time.Second)
		if a, b := state(t, p, n1), state(t, p, n2); a.State != store.StateJoined || b.State != store.StateJoined || door.count() != 2 {
			t.Errorf("%s, %s, dialed %s", a.State, b.State, door.dials())
		}
	})
}

func TestRunOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		free    int
		hasten  bool
		with    Outcome
		dialed  string
		stopped string
	}{
		{"all that are due, unpaced", 9, false, Joined, n1 + " " + n2, WhyNoneDue},
		{"also what waits for a retry", 9, true, Joined, n3 + " " + n1 + " " + n2, WhyNoneDue},
		{"no agent", 0, false, Joined, "", WhyAgents},
		{"each once", 9, false, Busy, n1 + " " + n2, WhyNoneDue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := enabled()
			c.Pace = time.Hour
			door := &fakeDoor{free: 9, takes: 3 * time.Second, with: ever(Busy)}
			virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
				owe(t, p, n3)
				after(10 * time.Second) // n3 was busy and waits
				owe(t, p, n1, n2)
				door.mu.Lock()
				door.free, door.with = tt.free, ever(tt.with)
				door.mu.Unlock()
				ran, err := d.RunOnce(t.Context(), tt.hasten)
				if err != nil {
					t.Fatal(err)
				}
				var dialed []string
				for _, a := range ran.Attempted {
					dialed = append(dialed, a.Promise.Number)
					if a.Result.Outcome != tt.with {
						t.Errorf("%s: %+v", a.Promise.Number, a.Result)
					}
				}
				if got := strings.Join(dialed, " "); got != tt.dialed || ran.Stopped != tt.stopped {
					t.Errorf("dialed %q, stopped because %q; want %q, %q", got, ran.Stopped, tt.dialed, tt.stopped)
				}
			})
		})
	}
}

// Who asked for a run may leave; the phone that rings goes on.
func TestRunOnceLeft(t *testing.T) {
	c := enabled()
	c.Pace = time.Hour
	door := &fakeDoor{takes: 10 * time.Second}
	virtual(t, c, door, func(t *testing.T, d *Dialer, p *store.Promises) {
		owe(t, p, n1, n2)
		door.set(9)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.RunOnce(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		after(time.Minute)
		if a := state(t, p, n1); a.State != store.StateJoined {
			t.Errorf("the dial under way came to %s", a.State)
		}
		if b := state(t, p, n2); b.State != store.StateOpen {
			t.Errorf("a dial was started for one who had left: %s", b.State)
		}
	})
}
