package turns

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ms(n float64) time.Duration { return time.Duration(n * 1e6) }

// press sends keys at the given times, as a sender with 20 ms packets and a
// network with up to 4 ms of jitter would deliver them.
func press(o *Observer, r *rand.Rand, at []float64, length func() float64) {
	for i, t := range at {
		t = 20 * float64(int(t/20)) // the first packet waits for the packet clock
		o.Digit(codec.Digit{Key: '0' + byte(i%10), At: start.Add(ms(t + 4*r.Float64())),
			Duration: ms(20 * float64(int(length()/20)))})
	}
}

func find(e []policy.Evidence, name string) (policy.Evidence, bool) {
	for _, x := range e {
		if x.Name == name {
			return x, true
		}
	}
	return policy.Evidence{}, false
}

// Timers of known senders: LiveKit 250+250 ms, Pipecat 300+200, Asterisk
// SendDTMF 100+250 (350 is no multiple of 20), and one of 333 ms.
func TestKeysOfMachines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, period := range []float64{500, 350, 333, 250, 120} {
		for _, n := range []int{3, 4, 8} {
			o := New(nil)
			phase := 20 * r.Float64()
			var at []float64
			for i := range n {
				at = append(at, phase+period*float64(i))
			}
			press(o, r, at, func() float64 { return 100 })
			e, ok := find(o.Evidence(), "keys.regular")
			least := map[int]float64{3: 1.1, 4: 2.5, 8: 3.5}[n]
			if !ok || e.LLR < least {
				t.Errorf("%d keys every %v ms: %+v, want at least %v", n, period, o.Evidence(), least)
			}
		}
	}
}

// People: intervals with a deviation of 80 ms. How often they look like
// machines or are known as people is the error rate of the feature.
func TestKeysOfPeople(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, c := range []struct {
		n           int
		regular     float64 // most share taken for machines
		human       float64 // least share known as people
		llrPerError float64 // most weight of an error
	}{{3, 0.22, 0.55, 2.2}, {4, 0.06, 0.80, 3.5}, {8, 0.001, 0.97, 3.5}} {
		var regular, human int
		const runs = 3000
		for range runs {
			o := New(nil)
			at := []float64{100}
			for i := 1; i < c.n; i++ {
				at = append(at, at[i-1]+max(120, 350+80*r.NormFloat64()))
			}
			press(o, r, at, func() float64 { return 100 + 30*r.Float64() })
			if e, ok := find(o.Evidence(), "keys.regular"); ok {
				regular++
				if e.LLR > c.llrPerError {
					t.Fatalf("%d keys weigh %v", c.n, e.LLR)
				}
			}
			if e, ok := find(o.Evidence(), "keys.human"); ok {
				human++
				if e.LLR >= 0 || e.LLR < -2 {
					t.Fatalf("%d keys weigh %v", c.n, e.LLR)
				}
			}
		}
		t.Logf("%d keys of people: %.2f%% as a timer, %.1f%% as people", c.n, 100*float64(regular)/runs, 100*float64(human)/runs)
		if float64(regular)/runs > c.regular || float64(human)/runs < c.human {
			t.Errorf("%d keys of people: %d of %d as a timer, %d as people", c.n, regular, runs, human)
		}
	}
}

// How long keys are held: the same each time by a program and by many telephones,
// differently by who presses them longer.
func TestKeysHeld(t *testing.T) {
	for _, c := range []struct {
		held []int // ms
		says string
		llr  float64
	}{
		{[]int{100, 100, 100, 100, 100}, "held 5 keys equally long: 100ms each", 0.48},
		{[]int{80, 240, 140, 300}, "held 4 keys unevenly long: 190ms each, deviating by 100ms", -1},
		{[]int{80, 240, 140}, "", 0},
	} {
		o := New(nil)
		for i, d := range c.held {
			o.Digit(codec.Digit{Key: '1', At: start.Add(time.Duration(i) * 700 * time.Millisecond), Duration: ms(float64(d))})
		}
		e, _ := find(o.Evidence(), "keys.held")
		if e.Says != c.says || e.LLR < c.llr-0.01 || e.LLR > c.llr+0.01 {
			t.Errorf("%v: %+v", c.held, e)
		}
	}
}

func TestKeysTooFew(t *testing.T) {
	o := New(nil)
	o.Digit(codec.Digit{Key: '1', At: start})
	o.Digit(codec.Digit{Key: '2', At: start.Add(500 * time.Millisecond)})
	o.Digit(codec.Digit{Key: '3', At: start.Add(10 * time.Second)}) // another menu
	if e := o.Evidence(); len(e) != 0 {
		t.Errorf("two keys and one: %+v", e)
	}
}

func TestTurns(t *testing.T) {
	type span struct{ from, to float64 } // s of speech
	for _, c := range []struct {
		name      string
		answered  float64
		spans     []span
		latency   bool
		monologue float64 // its Recording, 0 for none
	}{
		{"waits for the greeting", 1, []span{{2.5, 6}}, false, 0},
		{"speaks at once", 1, []span{{1.1, 6}}, true, 0},
		{"a cough at once", 1, []span{{1.1, 1.4}, {3, 9}}, false, 0},
		{"was speaking before", 1, []span{{0.2, 6}}, false, 0},
		{"message", 0, []span{{0.1, 5}, {5.5, 9}, {9.9, 14}}, true, recordingShort},
		{"long message", 0, []span{{1, 10}, {10.5, 28}}, false, recordingLong},
		{"leaves room", 0, []span{{1, 6}, {7.5, 14}, {15.5, 22}}, false, 0},
	} {
		o := New(nil)
		for tick := range 1500 {
			at := float64(tick) * 0.02
			if at >= c.answered {
				o.Answered(start.Add(ms(1000 * at)))
			}
			speaking := false
			for _, s := range c.spans {
				speaking = speaking || at >= s.from && at < s.to
			}
			o.Speech(start.Add(ms(1000*at)), speaking)
		}
		e := o.Evidence()
		if _, ok := find(e, "turns.answer_latency"); ok != c.latency {
			t.Errorf("%s: %+v", c.name, e)
		}
		if m, _ := find(e, "turns.monologue"); m.Recording != c.monologue {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

// Changes and every frame are two ways to say the same.
func TestTransitionsAndFramesAgree(t *testing.T) {
	frames, changes := New(nil), New(nil)
	frames.Answered(start)
	changes.Answered(start)
	last := false
	for i := range 1000 {
		at := start.Add(time.Duration(i) * 20 * time.Millisecond)
		s := i > 50 && i%400 != 0
		frames.Speech(at, s)
		if s != last {
			changes.Speech(at, s)
			last = s
		}
	}
	end := start.Add(20 * time.Second)
	frames.Speech(end, true)
	changes.Speech(end, true)
	if a, b := frames.longest, changes.longest; a != b || a == 0 {
		t.Errorf("longest turn %v by frames, %v by changes", a, b)
	}
}

func BenchmarkSpeech(b *testing.B) {
	o := New(nil)
	b.ReportAllocs()
	for i := range b.N {
		o.Speech(start.Add(time.Duration(i)*20*time.Millisecond), i&64 != 0)
	}
}
