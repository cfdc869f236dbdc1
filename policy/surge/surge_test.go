package surge

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portero/portero/policy"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// arrivals lets calls come at a rate per minute for some minutes and returns
// the last load and the moment after.
func arrivals(m *Meter, from time.Time, minutes, rate int) (policy.Load, time.Time) {
	var l policy.Load
	for i := range minutes * rate {
		l = m.Arrived(from.Add(time.Duration(i) * time.Minute / time.Duration(rate)))
		m.Left()
	}
	return l, from.Add(time.Duration(minutes) * time.Minute)
}

func TestQuietDoorIsNoSurge(t *testing.T) {
	m := New(Defaults())
	l, at := arrivals(m, start, 120, 1)
	if l.Surge != 1 || l.Shift != 0 {
		t.Errorf("one call a minute: %+v", l)
	}
	l, _ = arrivals(m, at, 1, 9) // nine times the usual, but below min_calls
	if l.Surge != 1 || l.Shift != 0 {
		t.Errorf("nine calls: %+v", l)
	}
}

func TestUnknownUsualIsNoSurge(t *testing.T) {
	m := New(Defaults())
	if l, _ := arrivals(m, start, 1, 500); l.Surge != 1 || l.Shift != 0 || l.CallsMinute != 500 {
		t.Errorf("a flood into a door just started: %+v", l)
	}
}

func TestFlood(t *testing.T) {
	m := New(Defaults())
	l, at := arrivals(m, start, 120, 20)
	if l.Surge < 0.9 || l.Surge > 1.1 || l.Shift > 0.1 {
		t.Errorf("the usual rate: %+v", l)
	}
	l, at = arrivals(m, at, 1, 80)
	if l.Surge < 3.8 || l.Surge > 4.2 || math.Abs(l.Shift-0.69) > 0.05 {
		t.Errorf("four times the usual: %+v", l)
	}
	l, at = arrivals(m, at, 1, 2000)
	if l.Surge < 80 || l.Shift != 1 {
		t.Errorf("a hundred times the usual: %+v, want the shift at its bound", l)
	}
	// An hour of flood must not become usual.
	l, at = arrivals(m, at, 60, 200)
	if l.Surge < 5 {
		t.Errorf("after an hour of flood the surge is %v: it was learnt too fast", l.Surge)
	}
	if l = m.Load(at.Add(2 * time.Minute)); l.CallsMinute != 0 || l.Surge != 1 || l.Shift != 0 {
		t.Errorf("after the flood: %+v", l)
	}
}

func TestConfiguredUsualCountsAtOnce(t *testing.T) {
	c := Defaults()
	c.Usual = 10
	if l, _ := arrivals(New(c), start, 1, 50); l.Surge < 4.9 || l.Surge > 5.1 {
		t.Errorf("surge %v, want 5", l.Surge)
	}
}

func TestWindowIsAMinute(t *testing.T) {
	m := New(Defaults())
	for _, s := range []int{0, 0, 30, 59} {
		m.Arrived(start.Add(time.Duration(s) * time.Second))
	}
	for _, tc := range []struct{ second, want int }{{59, 4}, {60, 2}, {89, 2}, {90, 1}, {118, 1}, {119, 0}, {100000, 0}} {
		if got := m.Load(start.Add(time.Duration(tc.second) * time.Second)).CallsMinute; got != tc.want {
			t.Errorf("at %d s: %d arrivals, want %d", tc.second, got, tc.want)
		}
	}
	if got := New(Defaults()).Arrived(time.Time{}).CallsMinute; got != 1 {
		t.Errorf("an arrival at the zero time: %d, want 1", got)
	}
	if got := m.Arrived(start).CallsMinute; got != 1 {
		t.Errorf("an arrival out of order: %d, want 1", got)
	}
}

func TestAgents(t *testing.T) {
	c := Defaults()
	if f := New(c).Free(); f != policy.Unlimited {
		t.Errorf("without a capacity %d are free", f)
	}
	c.Agents = 2
	m := New(c)
	for _, tc := range []struct{ change, free int }{{1, 1}, {1, 0}, {1, 0}, {-1, 0}, {-1, 1}, {-1, 2}, {-1, 2}} {
		if m.Agent(tc.change); m.Free() != tc.free {
			t.Errorf("after %+d: %d free, want %d", tc.change, m.Free(), tc.free)
		}
	}
	m.Arrived(start)
	m.Agent(1)
	if l := m.Load(start); l.CallsNow != 1 || l.AgentsBusy != 1 || l.AgentsFree != 1 {
		t.Errorf("load %+v", l)
	}
	m.Left()
	m.Left()
	if l := m.Load(start); l.CallsNow != 0 {
		t.Errorf("%d calls after all left", l.CallsNow)
	}
	c.Agents = 5
	if m.Configure(c); m.Free() != 4 {
		t.Errorf("%d free after the capacity rose to 5", m.Free())
	}
}

func TestCheck(t *testing.T) {
	Defaults().Check(func(path, format string, args ...any) { t.Errorf("the defaults are at fault at %s", path) })
	var got []string
	Config{Agents: -1, Usual: math.NaN(), Learn: time.Second, MinCalls: 0, MaxShift: 3}.Check(func(path, format string, args ...any) { got = append(got, path) })
	if s := strings.Join(got, " "); s != "agents usual learn min_calls max_shift" {
		t.Errorf("faults at %s", s)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := New(Defaults())
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 500 {
				m.Arrived(start.Add(time.Duration(i) * time.Millisecond))
				m.Agent(1)
				m.Free()
				m.Agent(-1)
				m.Left()
			}
		}()
	}
	wg.Wait()
	if l := m.Load(start); l.CallsNow != 0 || l.AgentsBusy != 0 || l.CallsMinute != 2000 {
		t.Errorf("load %+v", l)
	}
}
