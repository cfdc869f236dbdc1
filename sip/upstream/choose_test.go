package upstream

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// opt is an option of target t; its SRV priority and weight are p and w.
func opt(t, priority, weight int, p, w uint16) option {
	return option{target: t, priority: priority, weight: weight, srv: Address{Transport: "UDP", priority: p, weight: w}}
}

func (o option) as(s State, until time.Time) option {
	o.state, o.until = s, until
	return o
}

func TestChoose(t *testing.T) {
	now := time.Unix(1000, 0)
	first := func(int) int { return 0 }
	last := func(n int) int { return n - 1 }
	for _, c := range []struct {
		name        string
		options     []option
		first, last int // what is chosen with the lowest and the highest random number
	}{
		{"nothing", nil, -1, -1},
		{"one", []option{opt(0, 0, 1, 0, 0)}, 0, 0},
		{"the lower priority", []option{opt(0, 2, 9, 0, 0), opt(1, 1, 1, 0, 0)}, 1, 1},
		{"by weight", []option{opt(0, 1, 1, 0, 0), opt(1, 1, 1, 0, 0)}, 0, 1},
		{"the higher priority when the lower is ill", []option{opt(0, 1, 1, 0, 0).as(Failed, now), opt(1, 2, 1, 0, 0)}, 1, 1},
		{"an ill address does not count", []option{opt(0, 1, 1, 0, 0).as(Down, now), opt(0, 1, 1, 5, 0), opt(1, 2, 1, 0, 0)}, 1, 1},
		{"SRV priority within the target", []option{opt(0, 1, 1, 20, 9), opt(0, 1, 1, 10, 0)}, 1, 1},
		{"SRV weights within the target", []option{opt(0, 1, 1, 10, 5), opt(0, 1, 1, 10, 5)}, 0, 1},
		{"SRV weight 0 is first in line", []option{opt(0, 1, 1, 10, 5), opt(0, 1, 1, 10, 0)}, 1, 0},
		{"SRV priorities of two targets do not mix", []option{opt(0, 1, 1, 20, 0), opt(1, 1, 1, 10, 0)}, 0, 1},
		{"least bad: who refuses is alive", []option{opt(0, 1, 1, 0, 0).as(Down, now), opt(1, 1, 1, 0, 0).as(Failed, now), opt(2, 9, 1, 0, 0).as(Refusing, now.Add(time.Hour))}, 2, 2},
		{"least bad: who will be well first", []option{opt(0, 1, 1, 0, 0).as(Failed, now.Add(2)), opt(1, 9, 1, 0, 0).as(Failed, now.Add(1))}, 1, 1},
		{"least bad: then the priority", []option{opt(0, 2, 1, 0, 0).as(Down, now), opt(1, 1, 1, 0, 0).as(Down, now)}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := choose(c.options, first); got != c.first {
				t.Errorf("the lowest number chooses %d, not %d", got, c.first)
			}
			if got := choose(c.options, last); got != c.last {
				t.Errorf("the highest number chooses %d, not %d", got, c.last)
			}
		})
	}
}

// Of very many choices each target has its share, within four standard
// deviations; the seed is fixed.
func TestShares(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 100000
	count := func(options []option) []int {
		got := make([]int, len(options))
		for range n {
			got[choose(options, r.IntN)]++
		}
		return got
	}
	near := func(got int, share float64) bool {
		d := float64(got) - n*share
		return d*d <= 16*n*share*(1-share)
	}
	targets := count([]option{opt(0, 1, 6, 0, 0), opt(1, 1, 3, 0, 0), opt(2, 1, 1, 0, 0), opt(3, 2, 9, 0, 0)})
	for i, share := range []float64{0.6, 0.3, 0.1} {
		if !near(targets[i], share) {
			t.Errorf("target %d has %d of %d calls, its share is %v", i, targets[i], n, share)
		}
	}
	if targets[3] != 0 {
		t.Errorf("a target of higher priority has %d calls", targets[3])
	}
	// A target's share does not grow with its addresses.
	addresses := count([]option{opt(0, 1, 1, 0, 0), opt(0, 1, 1, 0, 0), opt(0, 1, 1, 0, 0), opt(1, 1, 1, 0, 0)})
	for i, share := range []float64{1. / 6, 1. / 6, 1. / 6, 1. / 2} {
		if !near(addresses[i], share) {
			t.Errorf("address %d has %d of %d calls, its share is %v", i, addresses[i], n, share)
		}
	}
	// RFC 2782: weight 0 beside 99 has one chance in a hundred.
	records := count([]option{opt(0, 1, 1, 1, 99), opt(0, 1, 1, 1, 0)})
	if !near(records[1], 0.01) {
		t.Errorf("weight 0 beside 99 has %d of %d calls", records[1], n)
	}
}

// Health is a machine with the time in hand: what happens when, and what the
// state is after it.
func TestHealth(t *testing.T) {
	cfg := Defaults() // rise 2, fall 2, cooldown 10 s
	type event struct {
		at    int // s
		do    string
		state State
		until int // s
	}
	for _, c := range []struct {
		name    string
		watched bool
		events  []event
	}{
		{"a silent call cools down", false, []event{{0, "silent", Failed, 10}, {9, "", Failed, 10}, {10, "", Up, 0}}},
		{"so does one that cannot be sent", false, []event{{0, "unsent", Failed, 10}, {10, "", Up, 0}}},
		{"again silent: again so long", false, []event{{0, "silent", Failed, 10}, {8, "silent", Failed, 18}, {17, "", Failed, 18}, {18, "", Up, 0}}},
		{"Retry-After is obeyed", false, []event{{0, "503 30", Refusing, 30}, {29, "", Refusing, 30}, {30, "", Up, 0}}},
		{"Retry-After is not believed for ever", false, []event{{0, "503 86400", Refusing, 300}, {300, "", Up, 0}}},
		{"a shorter Retry-After does not end a longer one", false, []event{{0, "503 30", Refusing, 30}, {1, "503 5", Refusing, 30}, {7, "silent", Refusing, 30}}},
		{"one 503 without it is nothing", false, []event{{0, "503 0", Up, 0}, {1, "answered", Up, 0}, {2, "503 0", Up, 0}}},
		{"two in a row are something", false, []event{{0, "503 0", Up, 0}, {1, "503 0", Refusing, 11}, {11, "", Up, 0}, {12, "503 0", Up, 0}}},
		{"what is behind it is not its fault", true, []event{{0, "elsewhere", Up, 0}, {1, "elsewhere", Up, 0}, {2, "elsewhere", Up, 0}}},
		{"an answer ends the cooldown", false, []event{{0, "silent", Failed, 10}, {3, "answered", Up, 0}}},
		{"an answer to an older call does not", false, []event{{5, "silent", Failed, 15}, {6, "answered older", Failed, 15}}},
		{"an answer does not end what Retry-After said", false, []event{{0, "503 30", Refusing, 30}, {3, "answered", Refusing, 30}}},
		{"OPTIONS: two failures, two answers", true, []event{{0, "dead", Up, 0}, {15, "dead", Down, 0}, {30, "alive", Down, 0}, {45, "alive", Up, 0}}},
		{"OPTIONS: not in a row", true, []event{{0, "dead", Up, 0}, {15, "alive", Up, 0}, {30, "dead", Up, 0}, {45, "alive", Up, 0}}},
		{"OPTIONS: nor back in a row", true, []event{{0, "dead", Up, 0}, {15, "dead", Down, 0}, {30, "alive", Down, 0}, {45, "dead", Down, 0}, {60, "alive", Down, 0}}},
		{"calls count as OPTIONS do", true, []event{{0, "silent", Failed, 10}, {1, "dead", Down, 10}, {2, "answered", Down, 0}, {3, "answered", Up, 0}}},
		{"unwatched, calls cannot take it down", false, []event{{0, "silent", Failed, 10}, {1, "silent", Failed, 11}, {2, "silent", Failed, 12}, {12, "", Up, 0}}},
		{"OPTIONS do not end a cooldown", true, []event{{0, "silent", Failed, 10}, {5, "alive", Failed, 10}, {6, "alive", Failed, 10}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			zero := time.Unix(1_000_000, 0)
			h := &health{}
			for _, e := range c.events {
				now := zero.Add(time.Duration(e.at) * time.Second)
				switch word, wait := e.do, 0; {
				case word == "silent":
					h.failed(Silent, 0, c.watched, cfg, now)
				case word == "unsent":
					h.failed(Unsent, 0, c.watched, cfg, now)
				case word == "elsewhere":
					h.failed(Elsewhere, 0, c.watched, cfg, now)
				case len(word) > 4 && word[:4] == "503 ":
					for _, d := range word[4:] {
						wait = wait*10 + int(d-'0')
					}
					h.failed(Unavailable, time.Duration(wait)*time.Second, c.watched, cfg, now)
				case word == "answered":
					h.answered(now, cfg.Health, now)
				case word == "answered older":
					h.answered(now.Add(-3*time.Second), cfg.Health, now)
				case word == "alive" || word == "dead":
					h.saw(word == "alive", cfg.Health, now)
				}
				state, until := h.state(now)
				got := event{e.at, e.do, state, 0}
				if state != Up && until.After(now) {
					got.until = int(until.Sub(zero) / time.Second)
				}
				if diff := cmp.Diff(e, got, cmp.AllowUnexported(event{})); diff != "" {
					t.Errorf("at %d s, after %q (-want +got):\n%s", e.at, e.do, diff)
				}
			}
		})
	}
}

func TestPlace(t *testing.T) {
	both, all := []string{"UDP", "TCP"}, []string{"UDP", "TCP", "TLS"}
	for _, c := range []struct {
		uri        string
		transports []string
		want       string // its address without DNS, "" if it needs DNS, or the error
	}{
		{"sip:192.0.2.10", both, "udp:192.0.2.10:5060"},
		{"sip:100@192.0.2.10:5080;transport=tcp", both, "tcp:192.0.2.10:5080"},
		{"sip:[2001:db8::10]", both, "udp:[2001:db8::10]:5060"},
		{"sip:[2001:db8::10]:5070;transport=TCP", both, "tcp:[2001:db8::10]:5070"},
		{"sip:192.0.2.10;transport=tls", all, "tls:192.0.2.10:5061"},
		{"sips:192.0.2.10", all, "tls:192.0.2.10:5061"},
		{"sips:192.0.2.10:5070;transport=tcp", all, "tls:192.0.2.10:5070"},
		{"sip:pbx.example.com", both, ""},
		{"sips:192.0.2.10", both, `"sips:192.0.2.10" is not a SIP URI like sip:192.0.2.10:5060;transport=udp`},
		{"sip:192.0.2.10;transport=tls", both, `"sip:192.0.2.10;transport=tls": transport "tls" is not known; allowed: udp, tcp`},
		{"tel:+15550100", both, `"tel:+15550100" is not a SIP URI like sip:192.0.2.10:5060;transport=udp`},
		{"192.0.2.10", both, `"192.0.2.10" is not a SIP URI like sip:192.0.2.10:5060;transport=udp`},
		{"sip:a b", both, `"sip:a b" is not a SIP URI like sip:192.0.2.10:5060;transport=udp`},
		{"", both, `"" is not a SIP URI like sip:192.0.2.10:5060;transport=udp`},
	} {
		t.Run(c.uri, func(t *testing.T) {
			p, err := parsePlace(c.uri, c.transports)
			got := ""
			if err != nil {
				got = err.Error()
			} else if a, ok := p.numeric(); ok {
				got = a.String()
			}
			if got != c.want {
				t.Errorf("%q\nwant %q", got, c.want)
			}
		})
	}
}

func address(s string) Address {
	return Address{Transport: "UDP", AddrPort: netip.MustParseAddrPort(s)}
}
