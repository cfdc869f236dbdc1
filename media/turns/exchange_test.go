package turns

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
)

// talk has two sides speak: spans in s after the answer.
func talk(far, caller [][2]float64) *Observer {
	o := New(nil)
	o.Answered(start)
	lay := func(t *Track, spans [][2]float64) {
		for _, s := range spans {
			t.spans = append(t.spans, span{start.Add(ms(1000 * s[0])), start.Add(ms(1000 * s[1]))})
		}
	}
	lay(&o.far, far)
	lay(&o.caller, caller)
	return o
}

func TestExchange(t *testing.T) {
	prompts := [][2]float64{{0.5, 3}, {6, 9}, {12, 15}, {18, 21}}
	for _, c := range []struct {
		name        string
		far, caller [][2]float64
		want        map[string]string // what is said of each, in part
		llr, rec    map[string]float64
	}{
		{name: "answers like a timer", far: prompts, caller: [][2]float64{{3.8, 5}, {9.81, 11}, {15.79, 17}, {21.8, 23}},
			want: map[string]string{"turns.latency": "answered 4 times, 800ms after", "turns.spread": "the 4 latencies of the answers deviate by 10ms",
				"turns.anticipates": "began 0 of 4", "turns.barge_in": "began 0 of 4", "turns.overlap": "spoke over the other for 0.0 s of 5 s"},
			llr: map[string]float64{"turns.spread": 1.4}},
		{name: "answers like a person", far: prompts, caller: [][2]float64{{3.1, 5}, {9.9, 11}, {14.8, 17}, {21.4, 23}},
			want: map[string]string{"turns.latency": "answered 4 times, 300ms after", "turns.spread": "deviate by 470ms", "turns.anticipates": "began 1 of 4"},
			llr:  map[string]float64{"turns.spread": -0.3, "turns.anticipates": -0.6}},
		{name: "talks whatever is said", far: prompts, caller: [][2]float64{{1.5, 4.2}, {4.5, 8}, {8.3, 14}, {14.2, 20.5}},
			want: map[string]string{"turns.interrupted": "was interrupted 3 times and did not stop", "turns.overlap": "spoke over the other for"},
			llr:  map[string]float64{"turns.interrupted": 0.5}, rec: map[string]float64{"turns.interrupted": 1.4, "turns.overlap": 0.7}},
		{name: "stops when interrupted", far: [][2]float64{{3, 5}, {9, 11}}, caller: [][2]float64{{0.5, 3.4}, {6.5, 9.6}},
			want: map[string]string{"turns.interrupted": "was interrupted 2 times and stopped 2 times, after 500ms on average"},
			rec:  map[string]float64{"turns.interrupted": -1.4}},
		{name: "barges in", far: prompts, caller: [][2]float64{{1.5, 4}, {7, 9.5}, {15.5, 17}},
			want: map[string]string{"turns.barge_in": "began 2 of 3 turns in the middle"}, rec: map[string]float64{"turns.barge_in": 0.9}},
		{name: "an echo", far: prompts, caller: [][2]float64{{0.6, 3.1}, {6.1, 9.1}, {12.1, 15.1}, {18.1, 21.1}}},
		{name: "hold music", far: [][2]float64{{0.1, 30}}, caller: [][2]float64{{5, 12}}},
		{name: "too few", far: prompts[:2], caller: [][2]float64{{3.5, 4}, {9.5, 10}}},
		{name: "nobody else speaks", caller: [][2]float64{{1, 9}}},
	} {
		got := map[string]policy.Evidence{}
		for _, e := range talk(c.far, c.caller).Evidence() {
			if e.Name != "turns.monologue" {
				got[e.Name] = e
			}
		}
		for name, says := range c.want {
			if !strings.Contains(got[name].Says, says) {
				t.Errorf("%s: %s says %q, want %q", c.name, name, got[name].Says, says)
			}
		}
		for name, llr := range c.llr {
			if g := got[name].LLR; llr > 0 && g < llr || llr < 0 && g > llr {
				t.Errorf("%s: %s weighs %.2f, want beyond %.2f", c.name, name, g, llr)
			}
		}
		for name, rec := range c.rec {
			if g := got[name].Recording; rec > 0 && g < rec || rec < 0 && g > rec {
				t.Errorf("%s: %s is a recording's by %.2f, want beyond %.2f", c.name, name, g, rec)
			}
		}
		if c.want == nil && len(got) > 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// TestExchangeDeaf: without the other side's packets there is no exchange.
func TestExchangeDeaf(t *testing.T) {
	o := talk([][2]float64{{0.5, 3}, {6, 9}, {12, 15}}, [][2]float64{{3.8, 5}, {9.8, 11}, {15.8, 17}})
	if len(o.Evidence()) == 0 {
		t.Fatal("nothing is said")
	}
	o.Deaf(true)
	if e := o.Evidence(); len(e) != 0 {
		t.Errorf("said all the same: %+v", e)
	}
}

// TestExchangeErrors measures how often people and machines are told apart by the
// exchange alone, over 6 answers: people's gaps are normal around 200 ms with a
// deviation of 400 ms (Heldner and Edlund 2010, figure 3), machines' those of a
// pipeline around 900 ms with one of 200 ms, or a timer's.
func TestExchangeErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	fused := func(gap func() float64) (llr float64) {
		var far, caller [][2]float64
		at := 0.5
		for range 6 {
			end := at + 2 + r.Float64()
			far = append(far, [2]float64{at, end})
			begin := max(end+gap(), at+0.35)
			caller = append(caller, [2]float64{begin, begin + 1.5})
			at = begin + 2.5
		}
		for _, e := range talk(far, caller).Evidence() {
			llr += e.LLR
		}
		return min(max(llr, -2), 2) // the family's cap
	}
	const runs = 400
	share := func(gap func() float64, wrong func(llr float64) bool) float64 {
		n := 0
		for range runs {
			if wrong(fused(gap)) {
				n++
			}
		}
		return float64(n) / runs
	}
	person := func() float64 { return 0.2 + 0.4*r.NormFloat64() }
	people := share(person, func(llr float64) bool { return llr > 0 })
	badly := share(person, func(llr float64) bool { return llr > 1 })
	pipelines := share(func() float64 { return 0.9 + 0.2*r.NormFloat64() }, func(llr float64) bool { return llr < 0 })
	timers := share(func() float64 { return 0.5 + 0.01*r.NormFloat64() }, func(llr float64) bool { return llr < 0 })
	t.Logf("wrong side of even: people %.1f%% (%.1f%% by more than 1), pipelines %.1f%%, timers %.1f%%", 100*people, 100*badly, 100*pipelines, 100*timers)
	if people > 0.13 || badly > 0.06 || pipelines > 0.05 || timers > 0.02 {
		t.Error("that is too many")
	}
}

func TestWeights(t *testing.T) {
	w := DefaultWeights()
	// More and more even answers speak more and more for a machine.
	last := math.Inf(1)
	for _, dev := range []float64{5, 20, 60, 200, 450, 900} {
		llr := w.Spread.Machine.deviation(dev, 6) - w.Spread.Human.deviation(dev, 6)
		if llr >= last || math.IsNaN(llr) {
			t.Errorf("a deviation of %v ms weighs %v, a smaller one %v", dev, llr, last)
		}
		last = llr
	}
	for _, c := range []struct{ from, to, want string }{
		{`"version": 1`, `"version": 2`, "version is 2"},
		{`"recordings": 0.25`, `"recordings": 1`, "recordings is 1; allowed"},
		{`"yields": {"human": 0.7`, `"yields": {"human": 0`, "yields.human is 0"},
		{`"centre": 450, "spread": 0.5`, `"centre": -1, "spread": 0.5`, "spread.human[0]: weight, centre and spread"},
		{`"weight": 0.6, "centre": 250`, `"weight": 0.5, "centre": 250`, "the weights of latency.human add up to 0.9"},
		{`"note"`, `"notes"`, "unknown field"},
		{`"cap": 1.5`, `"cap": 20`, "spread.cap is 20"},
	} {
		b := strings.Replace(string(builtIn), c.from, c.to, 1)
		if b == string(builtIn) {
			t.Fatalf("%s is not in the file", c.from)
		}
		if _, err := ParseWeights([]byte(b)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.to, err, c.want)
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	var far, caller [][2]float64
	for i := range 30 {
		far = append(far, [2]float64{4 * float64(i), 4*float64(i) + 2})
		caller = append(caller, [2]float64{4*float64(i) + 2.5, 4*float64(i) + 3.5})
	}
	o := talk(far, caller)
	b.ReportAllocs()
	for b.Loop() {
		o.Evidence()
	}
}
