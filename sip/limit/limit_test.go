package limit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

var (
	carrier = netip.MustParseAddr("203.0.113.1")
	start   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

func config(f func(*Config)) Config {
	c := Config{Table: 1024}
	f(&c)
	return c
}

// calls makes n calls at one moment and says how many pass, and whose limit ends it.
func calls(l *Limiter, n int, source netip.Addr, trunk, caller string, at time.Time) (passed int, last Verdict) {
	for range n {
		_, v := l.Call(source, trunk, caller, at)
		if v.Over == Nobody {
			passed++
		} else {
			last = v
		}
	}
	return passed, last
}

func TestRate(t *testing.T) {
	l := New(config(func(c *Config) { c.Source = Bound{Rate: 10, Burst: 20} }))
	if n, v := calls(l, 100, carrier, "t", "", start); n != 20 || v != (Verdict{Source, 100 * time.Millisecond}) {
		t.Errorf("at once: %d passed, then %+v", n, v)
	}
	if n, _ := calls(l, 100, carrier, "t", "", start.Add(time.Second)); n != 10 {
		t.Errorf("a second later: %d", n)
	}
	if n, _ := calls(l, 100, carrier, "t", "", start.Add(time.Hour)); n != 20 {
		t.Errorf("an hour later: %d, not the burst", n)
	}
	if n, _ := calls(l, 100, carrier, "t", "", start.Add(time.Minute)); n != 0 {
		t.Errorf("a clock that went back made %d", n)
	}
	if v := l.Request(carrier, "t", start.Add(time.Hour)); v.Over != Source {
		t.Errorf("other requests are counted apart: %+v", v)
	}
	if n, _ := calls(l, 1, netip.MustParseAddr("203.0.113.2"), "t", "", start.Add(time.Hour)); n != 1 {
		t.Error("another source is limited too")
	}
}

// An IPv6 network is one source, and IPv4 in IPv6 is IPv4.
func TestSourceOfIPv6(t *testing.T) {
	l := New(config(func(c *Config) { c.Source = Bound{Rate: 1, Burst: 5} }))
	total := 0
	for i := range 50 {
		n, _ := calls(l, 1, netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%x", i+1)), "t", "", start)
		total += n
	}
	if total != 5 {
		t.Errorf("50 addresses of a /64 made %d calls", total)
	}
	if n, _ := calls(l, 9, netip.MustParseAddr("2001:db8:1:3::1"), "t", "", start); n != 5 {
		t.Errorf("the next /64: %d", n)
	}
	calls(l, 9, netip.MustParseAddr("::ffff:203.0.113.9"), "t", "", start)
	if n, _ := calls(l, 9, netip.MustParseAddr("203.0.113.9"), "t", "", start); n != 0 {
		t.Errorf("the same address as IPv4: %d", n)
	}
}

// One bad caller is limited by himself; neither the trunk's other callers nor
// the trunk's own count feel it.
func TestCallerDoesNotPunishTrunk(t *testing.T) {
	l := New(config(func(c *Config) { c.Caller, c.Trunk = Bound{Rate: 1, Burst: 3}, Bound{Rate: 100, Burst: 100} }))
	if n, v := calls(l, 10000, carrier, "t", "+15550100", start); n != 3 || v.Over != Caller || v.Retry != time.Second {
		t.Errorf("the bad caller: %d passed, then %+v", n, v)
	}
	passed := 0
	for i := range 97 {
		n, _ := calls(l, 1, carrier, "t", fmt.Sprintf("+1555%07d", i), start)
		passed += n
	}
	if passed != 97 {
		t.Errorf("%d of 97 other callers passed", passed)
	}
	if n, _ := calls(l, 1, carrier, "other", "+15550100", start); n != 1 {
		t.Error("the same number by another trunk is limited")
	}
	if n, v := calls(l, 9, carrier, "t", "", start); n != 0 || v.Over != Trunk {
		t.Errorf("the trunk's own limit: %d, %+v", n, v)
	}
}

// Callers that cannot be told apart have no limit of their own.
func TestAnonymousIsNobody(t *testing.T) {
	l := New(config(func(c *Config) { c.Caller = Bound{Rate: 1, Burst: 1, Attempts: 1} }))
	if n, _ := calls(l, 1000, carrier, "t", "", start); n != 1000 {
		t.Errorf("%d of 1000 passed", n)
	}
}

func TestAttempts(t *testing.T) {
	l := New(config(func(c *Config) { c.Caller, c.Source = Bound{Attempts: 2}, Bound{Attempts: 3} }))
	one, v1 := l.Call(carrier, "t", "a", start)
	two, v2 := l.Call(carrier, "t", "a", start)
	if v1.Over != Nobody || v2.Over != Nobody {
		t.Fatal(v1, v2)
	}
	if _, v := l.Call(carrier, "t", "a", start); v.Over != Caller {
		t.Errorf("a third of the caller: %+v", v)
	}
	three, v := l.Call(carrier, "t", "b", start)
	if v.Over != Nobody {
		t.Errorf("another caller: %+v", v)
	}
	if _, v := l.Call(carrier, "t", "c", start); v.Over != Source {
		t.Errorf("a fourth of the source: %+v", v)
	}
	if v := l.Request(carrier, "t", start); v.Over != Nobody {
		t.Errorf("a request that is no call: %+v", v)
	}
	one.Done()
	one.Done() // once is enough
	if a, v := l.Call(carrier, "t", "a", start); v.Over != Nobody {
		t.Errorf("after one was answered: %+v", v)
	} else {
		a.Done()
	}
	two.Done()
	three.Done()
	for range 3 {
		if _, v := l.Call(carrier, "t", fmt.Sprint(rand.Int()), start); v.Over != Nobody {
			t.Errorf("after all were: %+v", v)
		}
	}
	(&Attempt{}).Done()
}

// Made-up sources cost no memory, and do not lift the limit of one who is seen
// all the time.
func TestSpoofedSources(t *testing.T) {
	l := New(Config{Source: Bound{Rate: 1, Burst: 10}, Caller: Bound{Rate: 1, Burst: 10}, Table: 4096})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := rand.New(rand.NewPCG(1, 2))
	passed := 0
	for i := range 300_000 {
		var b [4]byte
		b[0], b[1], b[2], b[3] = byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())
		l.Request(netip.AddrFrom4(b), "t", start)
		if i%1000 == 0 {
			n, _ := calls(l, 1, carrier, "t", "", start.Add(time.Duration(i)*time.Microsecond))
			passed += n
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<10 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if passed != 10 { // its burst: who goes on calling is not forgotten for the sake of strangers
		t.Errorf("%d of 300 calls passed, not 10", passed)
	}
	if allocs := testing.AllocsPerRun(100, func() { l.Request(carrier, "t", start) }); allocs != 0 {
		t.Errorf("%v allocations a request", allocs)
	}
}

// What has attempts is not forgotten; when nothing can be, the new one passes.
func TestFullTable(t *testing.T) {
	l := New(Config{Source: Bound{Attempts: 1}, Table: 1024})
	var held []Attempt
	for i := range 4096 {
		a, v := l.Call(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "t", "", start)
		if v.Over != Nobody {
			t.Fatalf("source %d: %+v", i, v)
		}
		held = append(held, a)
	}
	limited := 0
	for i := range 4096 {
		if _, v := l.Call(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "t", "", start); v.Over == Source {
			limited++
		}
	}
	if limited < 900 || limited > 1024 {
		t.Errorf("%d sources are remembered, of a table of 1024", limited)
	}
	for i := range held {
		held[i].Done()
	}
	for _, e := range l.source.entries {
		if e.attempts > 1 { // those of the second round that were not tracked before
			t.Fatalf("an entry has %d attempts left", e.attempts)
		}
	}
}

func TestOff(t *testing.T) {
	l := New(Config{})
	if l.source != nil || l.trunk != nil || l.caller != nil || l.Callers() {
		t.Error("limits that are off have tables")
	}
	if n, _ := calls(l, 100, carrier, "t", "a", start); n != 100 {
		t.Errorf("%d of 100 passed", n)
	}
}

func TestConcurrent(t *testing.T) {
	l := New(config(func(c *Config) { c.Source, c.Caller = Bound{Rate: 1e5, Attempts: 50}, Bound{Rate: 10} }))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				a, _ := l.Call(carrier, "t", fmt.Sprint(g, i%7), start.Add(time.Duration(i)*time.Millisecond))
				a.Done()
			}
		})
	}
	wg.Wait()
	for _, e := range l.source.entries {
		if e.attempts != 0 {
			t.Errorf("%d attempts left", e.attempts)
		}
	}
}

func TestConfig(t *testing.T) {
	for path, f := range map[string]func(*Config){
		"":                func(*Config) {},
		"source.rate":     func(c *Config) { c.Source.Rate = -1 },
		"trunk.burst":     func(c *Config) { c.Trunk.Burst = 5 },
		"caller.attempts": func(c *Config) { c.Caller.Attempts = -1 },
		"table":           func(c *Config) { c.Table = 10 },
	} {
		c := Defaults()
		f(&c)
		got := ""
		c.Check(func(path, _ string, _ ...any) { got += path })
		if got != path {
			t.Errorf("%q: faults at %q", path, got)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	c := Defaults()
	c.Caller, c.Trunk = Bound{Rate: 1e6}, Bound{Rate: 1e6}
	l := New(c)
	b.ReportAllocs()
	for i := range b.N {
		a, _ := l.Call(carrier, "t", "+15550100", start.Add(time.Duration(i)))
		a.Done()
	}
}
