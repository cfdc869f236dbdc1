package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// book answers from a table, as a Resolver.
type book struct {
	mu    sync.Mutex
	names map[string][]Address
	ttl   time.Duration
}

func (b *book) Resolve(_ context.Context, _, host string, _ int, _ string) ([]Address, time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if found := b.names[host]; len(found) > 0 {
		return found, b.ttl, nil
	}
	return nil, 0, errors.New("no such name")
}

func (b *book) set(host string, found ...Address) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.names[host] = found
}

func newBook() *book { return &book{names: map[string][]Address{}, ttl: time.Minute} }

func testPool(t *testing.T, cfg Config, b *book, targets ...Target) *Pool {
	t.Helper()
	p, err := New(cfg, map[string][]Target{"agents": targets}, Deps{Log: zap.NewNop(), Transports: []string{"UDP", "TCP"}, Resolver: b, IPv4: true})
	if err != nil {
		t.Fatal(err)
	}
	p.random = func(int) int { return 0 }
	return p
}

var zero = time.Unix(1_000_000, 0)

func at(s float64) time.Time { return zero.Add(time.Duration(s * float64(time.Second))) }

// picked is what a call is sent to, or the error.
func picked(p *Pool, o Options, now time.Time) (*Attempt, string) {
	a, err := p.Pick("agents", o, now)
	if err != nil {
		return nil, err.Error()
	}
	return a, fmt.Sprint(a.Address, " +", a.More)
}

// A call goes through all targets, the well ones first, and each once.
func TestPickFailsOver(t *testing.T) {
	cfg := Defaults()
	cfg.Health.Interval = 0
	p := testPool(t, cfg, newBook(), Target{URI: "sip:192.0.2.1", Priority: 1}, Target{URI: "sip:192.0.2.2", Priority: 2},
		Target{URI: "sip:192.0.2.3", Priority: 3})
	var tried []Address
	var got []string
	walk := func(now time.Time, fail Failure) {
		tried, got = nil, nil
		for {
			a, s := picked(p, Options{Tried: tried}, now)
			got = append(got, s)
			if a == nil {
				return
			}
			a.Failed(fail, 0, now)
			a.Done()
			tried = append(tried, a.Address)
		}
	}
	want := func(want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("a call is sent to\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	walk(at(0), Elsewhere)
	want("udp:192.0.2.1:5060 +2", "udp:192.0.2.2:5060 +1", "udp:192.0.2.3:5060 +0", ErrNowhere.Error())

	// The first is passed over, but tried when the others have failed too.
	a, _ := picked(p, Options{}, at(1))
	a.Failed(Silent, 0, at(1))
	a.Done()
	walk(at(2), Elsewhere)
	want("udp:192.0.2.2:5060 +1", "udp:192.0.2.3:5060 +0", "udp:192.0.2.1:5060 +0", ErrNowhere.Error())

	// All have failed: the one that failed first is tried first.
	walk(at(20), Silent)
	walk(at(21), Silent)
	want("udp:192.0.2.1:5060 +2", "udp:192.0.2.2:5060 +1", "udp:192.0.2.3:5060 +0", ErrNowhere.Error())
}

func TestCaps(t *testing.T) {
	p := testPool(t, Defaults(), newBook(), Target{URI: "sip:192.0.2.1", Priority: 1, MaxCalls: 2}, Target{URI: "sip:192.0.2.2", Priority: 2, MaxCalls: 1})
	var held []*Attempt
	for i, want := range []string{"udp:192.0.2.1:5060 +1", "udp:192.0.2.1:5060 +1", "udp:192.0.2.2:5060 +0", ErrFull.Error()} {
		a, got := picked(p, Options{}, at(0))
		if got != want {
			t.Errorf("call %d: %s, want %s", i, got, want)
		}
		if a != nil {
			held = append(held, a)
		}
	}
	if _, got := picked(p, Options{Tried: []Address{address("192.0.2.1:5060"), address("192.0.2.2:5060")}}, at(0)); got != ErrNowhere.Error() {
		t.Errorf("after all were tried: %s", got)
	}
	a, got := picked(p, Options{BeyondCaps: true}, at(0))
	if got != "udp:192.0.2.1:5060 +1" {
		t.Errorf("beyond the caps: %s", got)
	}
	a.Done()
	held[0].Done()
	held[0].Done() // twice is once
	if _, got := picked(p, Options{}, at(0)); got != "udp:192.0.2.1:5060 +0" {
		t.Errorf("a place was given back: %s", got)
	}
	if _, got := picked(p, Options{}, at(0)); got != ErrFull.Error() {
		t.Errorf("one place was given back, and two are free: %s", got)
	}
	if _, err := p.Pick("nobody", Options{}, at(0)); !errors.Is(err, ErrUnknown) {
		t.Errorf("a destination that is not there: %v", err)
	}
}

// Many calls at once: no target ever has more than it may, and none is left.
func TestCountsReturnToZero(t *testing.T) {
	p := testPool(t, Defaults(), newBook(), Target{URI: "sip:192.0.2.1", MaxCalls: 7}, Target{URI: "sip:192.0.2.2", MaxCalls: 3})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 500 {
				a, err := p.Pick("agents", Options{}, at(float64(j)))
				if err != nil {
					continue
				}
				for _, s := range p.Status(at(0)) {
					if s.Calls > s.MaxCalls {
						t.Errorf("%s has %d calls, %d are allowed", s.URI, s.Calls, s.MaxCalls)
					}
				}
				switch (i + j) % 3 {
				case 0:
					a.Failed(Silent, 0, at(float64(j)))
				case 1:
					a.Answered(at(float64(j)))
				}
				a.Done()
				if j%5 == 0 {
					a.Done()
				}
			}
		})
	}
	wg.Wait()
	for _, s := range p.Status(at(0)) {
		if s.Calls != 0 || s.Servers[0].Calls != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	p := testPool(t, Defaults(), newBook(), Target{URI: "sip:192.0.2.1"}, Target{URI: "sip:192.0.2.2"})
	for _, wait := range []time.Duration{40 * time.Second, 30 * time.Second} {
		a, _ := picked(p, Options{}, at(0))
		a.Failed(Unavailable, wait, at(0))
		a.Done()
	}
	for now, want := range map[float64]time.Duration{0: 30 * time.Second, 29.5: time.Second, 31: time.Second} {
		if got := p.RetryAfter("agents", at(now)); got != want {
			t.Errorf("at %v s: %v, want %v", now, got, want)
		}
	}
}

// A name's addresses change: new ones are known at once, old ones as long as
// calls are there and a while longer; when DNS fails, they stay.
func TestNames(t *testing.T) {
	b := newBook()
	p := testPool(t, Defaults(), b, Target{URI: "sip:pbx.example"})
	n := p.names[0]
	say := func(now time.Time, err error, found ...Address) { p.resolved(n, found, 10*time.Second, err, now) }
	one, two := address("192.0.2.1:5060"), address("192.0.2.2:5060")
	if _, got := picked(p, Options{}, at(0)); got != ErrNowhere.Error() {
		t.Errorf("before DNS answered: %s", got)
	}
	say(at(0), nil, one)
	a, got := picked(p, Options{}, at(1))
	if got != "udp:192.0.2.1:5060 +0" || !p.Knows(one.AddrPort.Addr()) || p.Knows(two.AddrPort.Addr()) {
		t.Errorf("after DNS answered: %s, knows %v %v", got, p.Knows(one.AddrPort.Addr()), p.Knows(two.AddrPort.Addr()))
	}
	if !n.due.Equal(at(10)) {
		t.Errorf("asked again at %v", n.due)
	}
	say(at(10), nil, two)
	if _, got := picked(p, Options{}, at(11)); got != "udp:192.0.2.2:5060 +0" {
		t.Errorf("after it moved: %s", got)
	}
	say(at(1000), errors.New("SERVFAIL"))
	if _, got := picked(p, Options{}, at(1001)); got != "udp:192.0.2.2:5060 +0" {
		t.Errorf("when DNS fails: %s", got)
	}
	if !n.due.Equal(at(1005)) {
		t.Errorf("asked again at %v", n.due)
	}
	if !p.Knows(one.AddrPort.Addr()) {
		t.Error("an address with a call is unknown")
	}
	a.Done()
	for now, want := range map[float64]bool{1010: true, 1100: true} {
		say(at(now), nil, two)
		if got := p.Knows(one.AddrPort.Addr()); got != want {
			t.Errorf("at %v s the old address is known: %v", now, got)
		}
	}
	say(at(1400), nil, two)
	if p.Knows(one.AddrPort.Addr()) || len(p.servers) != 1 {
		t.Error("the old address is never forgotten")
	}
	if p.Knows(netip.MustParseAddr("::ffff:192.0.2.2")) == false {
		t.Error("an address mapped into IPv6 is another")
	}
}

// Who is asked by OPTIONS and when, on a virtual clock.
func TestDue(t *testing.T) {
	b := newBook()
	b.set("pbx.example", address("192.0.2.3:5060"))
	cfg := Defaults()
	p, err := New(cfg, map[string][]Target{"agents": {{URI: "sip:192.0.2.1"}, {URI: "sip:192.0.2.2"}}, "bots": {{URI: "sip:192.0.2.9"}}, "named": {{URI: "sip:pbx.example"}}},
		Deps{Log: zap.NewNop(), Transports: []string{"UDP"}, Resolver: b, IPv4: true})
	if err != nil {
		t.Fatal(err)
	}
	p.random = func(n int) int { return n / 2 }
	names, servers, _ := p.due(at(0))
	if len(names) != 1 || len(servers) != 2 {
		t.Fatalf("%d names and %d servers are due at first; want 1, and 2 of the destination with a choice", len(names), len(servers))
	}
	if names, servers, next := p.due(at(1)); len(names)+len(servers) != 0 || !next.Equal(at(61)) {
		t.Errorf("what is under way is asked again: %d %d, or looked at in %v", len(names), len(servers), next.Sub(at(1)))
	}
	for _, s := range servers {
		p.pinged(s, 404, nil, at(2))
	}
	p.resolved(names[0], b.names["pbx.example"], time.Hour, nil, at(2))
	if names, servers, next := p.due(at(3)); len(names)+len(servers) != 0 || !next.Equal(at(17)) {
		t.Errorf("next is %v s after the answer, want the interval", next.Sub(at(2)))
	}
	_, servers, _ = p.due(at(17))
	if len(servers) != 2 {
		t.Errorf("%d servers are due after the interval", len(servers))
	}
	for i, result := range []struct {
		status int
		err    error
		want   State
	}{{503, nil, Up}, {408, nil, Down}, {200, nil, Down}, {401, nil, Up}, {0, errors.New("silent"), Up}, {0, errors.New("silent"), Down}} {
		p.pinged(servers[0], result.status, result.err, at(20+float64(i)))
		if got, _ := servers[0].state(at(20 + float64(i))); got != result.want {
			t.Errorf("after %d (%v): %s, want %s", result.status, result.err, got, result.want)
		}
	}
}

// pinger answers as told.
type pinger struct {
	mu     sync.Mutex
	status map[string]int
	asked  map[string]int
}

func (p *pinger) Ping(ctx context.Context, a Address) (int, error) {
	p.mu.Lock()
	status := p.status[a.String()]
	p.asked[a.String()]++
	p.mu.Unlock()
	if status == 0 {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return status, nil
}

func (p *pinger) says(address string, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status[address] = status
}

// The running part: names are looked up again, silent servers go down and come
// back, and Run ends with all it began.
func TestRun(t *testing.T) {
	cfg := Defaults()
	cfg.Health = Health{Interval: 10 * time.Millisecond, Timeout: 10 * time.Millisecond, Rise: 1, Fall: 2}
	b := newBook()
	b.ttl = 0
	b.set("pbx.example", address("192.0.2.1:5060"))
	p := testPool(t, cfg, b, Target{URI: "sip:pbx.example"}, Target{URI: "sip:192.0.2.2"})
	p.Resolve(context.Background())
	ping := &pinger{status: map[string]int{"udp:192.0.2.1:5060": 200, "udp:192.0.2.2:5060": 200}, asked: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { p.Run(ctx, ping); close(done) }()
	until := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s\n%+v", what, p.Status(time.Now()))
			}
		}
	}
	state := func(address string) func(string) func() bool {
		return func(want string) func() bool {
			return func() bool {
				for _, ts := range p.Status(time.Now()) {
					for _, s := range ts.Servers {
						if s.Address == address {
							return s.State == want
						}
					}
				}
				return false
			}
		}
	}
	second := state("udp:192.0.2.2:5060")
	ping.says("udp:192.0.2.2:5060", 0)
	until("the silent one goes down", second("down"))
	ping.says("udp:192.0.2.2:5060", 404)
	until("it comes back", second("up"))
	b.set("pbx.example", address("192.0.2.7:5060"))
	until("the name has moved", state("udp:192.0.2.7:5060")("down")) // it answers nothing
	ping.says("udp:192.0.2.7:5060", 200)
	until("the new one is up", state("udp:192.0.2.7:5060")("up"))
	cancel()
	<-done
}

// What a call pays for the choice.
func BenchmarkPick(b *testing.B) {
	p, err := New(Defaults(), map[string][]Target{"agents": {{URI: "sip:192.0.2.1", MaxCalls: 100}, {URI: "sip:192.0.2.2", Weight: 3}, {URI: "sip:192.0.2.3", Priority: 1}}},
		Deps{Log: zap.NewNop(), Transports: []string{"UDP"}, Resolver: newBook(), IPv4: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a, err := p.Pick("agents", Options{}, zero)
		if err != nil {
			b.Fatal(err)
		}
		a.Answered(zero)
		a.Done()
	}
}
