package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

const lease = time.Minute

func promise(t *testing.T, p *Promises, number string, at time.Time) Promise {
	t.Helper()
	pr, existed, err := p.Promise(context.Background(), number, "call", "agents", at)
	if err != nil || existed {
		t.Fatalf("promise to %s: existed %v, %v", number, existed, err)
	}
	return pr
}

func claim(t *testing.T, p *Promises, now time.Time) (Promise, bool) {
	t.Helper()
	pr, ok, err := p.Claim(context.Background(), now, lease)
	if err != nil {
		t.Fatal(err)
	}
	return pr, ok
}

func TestOneOpenPromiseANumber(t *testing.T) {
	s := open(t, config(t))
	ctx := context.Background()
	first := promise(t, s.Promises, "+15550100", start)
	for _, when := range []string{"open", "dialing"} {
		again, existed, err := s.Promise(ctx, "+15550100", "another call", "agents", start.Add(time.Second))
		if err != nil || !existed || again.ID != first.ID || again.CallID != "call" {
			t.Errorf("while %s: got %+v, existed %v, %v; want the first one", when, again, existed, err)
		}
		claim(t, s.Promises, start)
	}
	pr, err := s.Get(ctx, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Resolve(ctx, pr, StateJoined, Attempt{At: At(start), Outcome: "joined"}); err != nil {
		t.Fatal(err)
	}
	if second := promise(t, s.Promises, "+15550100", start); second.ID == first.ID {
		t.Error("a kept promise was given out as a new one")
	}
	if _, _, err := s.Promise(ctx, "", "call", "agents", start); err == nil {
		t.Error("a promise to nobody was taken")
	}
}

// A promise is on disk when Promise has returned: another process sees it while
// the first still runs, and every commit is synchronised to the disk.
func TestPromiseIsOnDiskAtOnce(t *testing.T) {
	c := config(t)
	s := open(t, c)
	want := promise(t, s.Promises, "+15550100", start)
	other, err := OpenPromises(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	got, err := other.Latest(context.Background(), "+15550100")
	if err != nil || got.ID != want.ID || got.State != StateOpen || !got.PromisedAt.Equal(start) {
		t.Errorf("the other process sees %+v, %v", got, err)
	}
	var mode int
	if err := s.db.write.QueryRow("PRAGMA synchronous").Scan(&mode); err != nil || mode != 2 {
		t.Errorf("synchronous is %d (%v), want 2 (FULL)", mode, err)
	}
	var journal string
	if err := s.db.write.QueryRow("PRAGMA journal_mode").Scan(&journal); err != nil || journal != "wal" {
		t.Errorf("journal_mode is %q (%v), want wal", journal, err)
	}
}

func TestClaimInOrderAndWhenDue(t *testing.T) {
	s := open(t, config(t))
	ctx := context.Background()
	if _, ok := claim(t, s.Promises, start); ok {
		t.Error("claimed a promise out of nothing")
	}
	promise(t, s.Promises, "+2", start.Add(2*time.Second))
	promise(t, s.Promises, "+1", start.Add(1*time.Second))
	if pr, ok := claim(t, s.Promises, start); ok {
		t.Errorf("claimed %v before it was due", pr)
	}
	now := start.Add(time.Minute)
	a, _ := claim(t, s.Promises, now)
	if a.Number != "+1" || a.State != StateDialing || a.Attempts != 1 || !a.LeaseUntil.Equal(now.Add(lease)) {
		t.Errorf("first claim is %+v, want the longest waiting", a)
	}
	if b, _ := claim(t, s.Promises, now); b.Number != "+2" {
		t.Errorf("second claim is %+v", b)
	}
	if c, ok := claim(t, s.Promises, now); ok {
		t.Errorf("claimed %+v, which is another's", c)
	}

	if err := s.Reschedule(ctx, a, now.Add(time.Hour), Attempt{At: At(now), Outcome: "busy", Detail: "486 Busy Here", CallID: "leg"}); err != nil {
		t.Fatal(err)
	}
	if c, ok := claim(t, s.Promises, now.Add(time.Hour-1)); ok && c.Number == "+1" {
		t.Errorf("claimed %+v before its retry", c)
	}
	again, ok := claim(t, s.Promises, now.Add(time.Hour))
	if !ok || again.Number != "+1" || again.Attempts != 2 {
		t.Errorf("retry is %+v", again)
	}
	got, err := s.Get(ctx, a.ID)
	if err != nil || len(got.History) != 1 || got.History[0].Detail != "486 Busy Here" || !got.History[0].At.Equal(now) {
		t.Errorf("history is %+v, %v", got.History, err)
	}
}

func TestAClaimLapses(t *testing.T) {
	s := open(t, config(t))
	ctx := context.Background()
	promise(t, s.Promises, "+1", start)
	dead, _ := claim(t, s.Promises, start)
	if _, ok := claim(t, s.Promises, start.Add(lease-1)); ok {
		t.Error("the lease was not respected")
	}
	alive, ok := claim(t, s.Promises, start.Add(lease))
	if !ok || alive.ID != dead.ID || alive.Attempts != 2 {
		t.Errorf("after the lease: %+v, %v; want the same promise, second attempt", alive, ok)
	}
	// The one that was thought dead speaks up: too late.
	for name, err := range map[string]error{
		"resolve":    s.Resolve(ctx, dead, StateJoined, Attempt{At: At(start), Outcome: "joined"}),
		"reschedule": s.Reschedule(ctx, dead, start, Attempt{At: At(start), Outcome: "busy"}),
		"release":    s.Release(ctx, dead, start, start),
	} {
		if !errors.Is(err, ErrLost) {
			t.Errorf("%s by a lapsed claim: %v, want ErrLost", name, err)
		}
	}
	got, _ := s.Get(ctx, alive.ID)
	if got.State != StateDialing || len(got.History) != 0 {
		t.Errorf("the lapsed claim changed the promise: %+v", got)
	}
	if err := s.Release(ctx, alive, start, start); err != nil {
		t.Fatal(err)
	}
	if got, _ = s.Get(ctx, alive.ID); got.State != StateOpen || got.Attempts != 1 || len(got.History) != 0 {
		t.Errorf("a release counts as no attempt: %+v", got)
	}
	if err := s.Resolve(ctx, alive, StateOpen, Attempt{}); err == nil {
		t.Error("resolved to a state that is not final")
	}
}

// Several processes (here several opened databases) claim at once: every promise
// goes out exactly once.
func TestClaimIsAtomicAcrossProcesses(t *testing.T) {
	c := config(t)
	s := open(t, c)
	const promises, processes = 24, 4
	for i := range promises {
		promise(t, s.Promises, fmt.Sprintf("+1555010%02d", i), start)
	}
	var mu sync.Mutex
	seen := map[int64]int{}
	var wg sync.WaitGroup
	for range processes {
		p, err := OpenPromises(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		wg.Go(func() {
			for {
				pr, ok, err := p.Claim(context.Background(), start, lease)
				if err != nil {
					t.Error(err)
					return
				}
				if !ok {
					return
				}
				mu.Lock()
				seen[pr.ID]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != promises {
		t.Errorf("%d promises were claimed, want %d", len(seen), promises)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("promise %d was claimed %d times", id, n)
		}
	}
}

// The same number promised by several processes at once is one promise.
func TestPromiseIsAtomicAcrossProcesses(t *testing.T) {
	c := config(t)
	s := open(t, c)
	var mu sync.Mutex
	made := 0
	var wg sync.WaitGroup
	for i := range 4 {
		p, err := OpenPromises(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		wg.Go(func() {
			_, existed, err := p.Promise(context.Background(), "+15550100", fmt.Sprint(i), "agents", start)
			if err != nil {
				t.Error(err)
			}
			if !existed {
				mu.Lock()
				made++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if list, _ := s.List(context.Background()); len(list) != 1 || made != 1 {
		t.Errorf("%d promises, made %d times; want one", len(list), made)
	}
}

func TestCancel(t *testing.T) {
	ctx := context.Background()
	busy := Attempt{At: At(start), Outcome: "busy"}
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T, s *Store, pr Promise) // before the cancelling
		by    func(pr Promise) string
		err   error
		then  func(t *testing.T, s *Store) // after it
		want  State
	}{
		{name: "open, by number", by: func(pr Promise) string { return pr.Number }, want: StateCancelled},
		{name: "open, by id", by: func(pr Promise) string { return fmt.Sprint(pr.ID) }, want: StateCancelled},
		{name: "unknown", by: func(Promise) string { return "99" }, err: ErrNotFound, want: StateOpen},
		{name: "nonsense", by: func(Promise) string { return "' OR 1=1" }, err: ErrNotFound, want: StateOpen},
		{name: "ended", setup: func(t *testing.T, s *Store, pr Promise) {
			if _, err := s.Expire(ctx, start.Add(1), start); err != nil {
				t.Fatal(err)
			}
		}, by: func(pr Promise) string { return pr.Number }, err: ErrEnded, want: StateExpired},
		{name: "while dialing: goes on", setup: dial, by: func(pr Promise) string { return pr.Number }, want: StateDialing},
		{name: "while dialing: no retry", setup: dial, by: func(pr Promise) string { return pr.Number }, then: func(t *testing.T, s *Store) {
			pr, _ := s.Latest(ctx, "+15550100")
			if err := s.Reschedule(ctx, pr, start, busy); err != nil {
				t.Fatal(err)
			}
		}, want: StateCancelled},
		{name: "while dialing: joined is joined", setup: dial, by: func(pr Promise) string { return pr.Number }, then: func(t *testing.T, s *Store) {
			pr, _ := s.Latest(ctx, "+15550100")
			if err := s.Resolve(ctx, pr, StateJoined, busy); err != nil {
				t.Fatal(err)
			}
		}, want: StateJoined},
		{name: "while dialing: its door dies", setup: dial, by: func(pr Promise) string { return pr.Number }, then: func(t *testing.T, s *Store) {
			if pr, ok := claim(t, s.Promises, start.Add(lease)); ok {
				t.Errorf("claimed the cancelled %+v", pr)
			}
		}, want: StateCancelled},
		{name: "while dialing: the caller asks again", setup: dial, by: func(pr Promise) string { return pr.Number }, then: func(t *testing.T, s *Store) {
			if _, existed, err := s.Promise(ctx, "+15550100", "c", "agents", start); err != nil || !existed {
				t.Fatal(existed, err)
			}
			pr, _ := s.Latest(ctx, "+15550100")
			if err := s.Reschedule(ctx, pr, start, busy); err != nil {
				t.Fatal(err)
			}
		}, want: StateOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, config(t))
			pr := promise(t, s.Promises, "+15550100", start)
			if tt.setup != nil {
				tt.setup(t, s, pr)
			}
			if _, err := s.Cancel(ctx, tt.by(pr), start.Add(time.Second)); !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.then != nil {
				tt.then(t, s)
			}
			got, err := s.Get(ctx, pr.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got.State != tt.want || got.State.Final() == got.EndedAt.IsZero() {
				t.Errorf("state %s, ended %v; want %s", got.State, got.EndedAt, tt.want)
			}
		})
	}
}

func dial(t *testing.T, s *Store, _ Promise) {
	t.Helper()
	if _, ok := claim(t, s.Promises, start); !ok {
		t.Fatal("nothing to claim")
	}
}

func TestExpireHastenCounts(t *testing.T) {
	s := open(t, config(t))
	ctx := context.Background()
	promise(t, s.Promises, "+1", start)
	promise(t, s.Promises, "+2", start.Add(time.Hour))
	promise(t, s.Promises, "+3", start.Add(2*time.Hour))
	pr, _ := claim(t, s.Promises, start) // +1 is being dialled: too late to expire it
	if n, err := s.Expire(ctx, start.Add(time.Hour+1), start); n != 1 || err != nil {
		t.Errorf("%d expired, %v; want +2 alone", n, err)
	}
	if err := s.Reschedule(ctx, pr, start.Add(99*time.Hour), Attempt{At: At(start), Outcome: "busy"}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Hasten(ctx, start); n != 2 || err != nil {
		t.Errorf("%d hastened, %v; want 2", n, err)
	}
	counts, err := s.Counts(ctx)
	if err != nil || counts[StateOpen] != 2 || counts[StateExpired] != 1 || counts[StateJoined] != 0 || len(counts) != len(States()) {
		t.Errorf("counts are %v, %v", counts, err)
	}
	list, err := s.List(ctx, StateOpen)
	if err != nil || len(list) != 2 || list[0].Number != "+1" || len(list[0].History) != 1 {
		t.Errorf("open promises: %+v, %v", list, err)
	}
}

func TestWithdraw(t *testing.T) {
	s := open(t, config(t))
	ctx := context.Background()
	unsaid := promise(t, s.Promises, "+1", start)
	if err := s.Withdraw(ctx, unsaid.ID, start); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Latest(ctx, "+1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a withdrawn promise is still there: %v", err)
	}
	rings := promise(t, s.Promises, "+2", start)
	dial(t, s, rings)
	if err := s.Withdraw(ctx, rings.ID, start); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(ctx, rings.ID)
	if err != nil || got.State != StateDialing || got.CancelAt.IsZero() {
		t.Errorf("while dialing: %+v, %v; want it marked as the last attempt", got, err)
	}
	if err := s.Withdraw(ctx, 999, start); err != nil {
		t.Errorf("what is not there is withdrawn: %v", err)
	}
}
