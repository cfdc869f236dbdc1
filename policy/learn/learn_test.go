package learn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
)

// made makes calls of people and machines in turn. Ratios of a calibrated observer are
// normal with a mean of half their variance; voice says three times too much, line
// nothing at all, keys what is so, and campaign is seldom there.
func made(n int) []Call {
	r := rand.New(rand.NewPCG(1, 2))
	llr := func(machine bool, sigma float64) float64 {
		mean := -sigma * sigma / 2
		if machine {
			mean = -mean
		}
		return mean + sigma*r.NormFloat64()
	}
	calls := make([]Call, n)
	for i := range calls {
		m := i%2 == 1
		c := Call{Machine: m, Group: fmt.Sprint(i / 3)}
		c.Evidence = append(c.Evidence,
			policy.Evidence{Name: "voice.synthetic", LLR: 3 * llr(m, 0.8)},
			policy.Evidence{Name: "line.noise_floor", LLR: 0.5 * r.NormFloat64()},
			policy.Evidence{Name: "keys.regular", LLR: llr(m, 1.2)},
			policy.Evidence{Name: "analysis.late"},
		)
		if i < 10 {
			c.Evidence = append(c.Evidence, policy.Evidence{Name: "campaign.same_speech", LLR: 4})
		}
		calls[i] = c
	}
	return calls
}

func TestFit(t *testing.T) {
	base := policy.DefaultFusion()
	r, err := Fit(base, made(800))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Family{}
	for _, f := range r.Families {
		got[f.Name] = f
	}
	for name, want := range map[string]float64{"voice": 0.33, "keys": 1, "line": 0} {
		if w := got[name].New.Weight; math.Abs(w-want) > 0.2 || got[name].Kept != "" || r.Fusion.Families[name].Weight != w {
			t.Errorf("%s weighs %.2f, want about %.2f: %+v", name, w, want, got[name])
		}
	}
	for _, name := range []string{"campaign", "analysis"} {
		if f := got[name]; f.Kept == "" || f.New != base.Families[name] || r.Fusion.Families[name] != base.Families[name] {
			t.Errorf("%s was learnt: %+v", name, f)
		}
	}
	if r.After.Cllr > r.Before.Cllr-0.1 || r.After.Wrong > r.Before.Wrong || r.People != 400 {
		t.Errorf("before %+v, after %+v", r.Before, r.After)
	}
	again, _ := Fit(base, made(800))
	if !reflect.DeepEqual(r, again) {
		t.Error("the same calls give other weights")
	}
	if base.Families["voice"].Weight != 1 {
		t.Error("the base was changed")
	}
}

// TestFewCalls: few calls move weights little, and lower caps to what they can show.
func TestFewCalls(t *testing.T) {
	base := policy.DefaultFusion()
	few, err := Fit(base, made(44))
	if err != nil {
		t.Fatal(err)
	}
	many, _ := Fit(base, made(800))
	for name := range map[string]bool{"voice": true, "line": true} {
		f, m := few.Fusion.Families[name].Weight, many.Fusion.Families[name].Weight
		if math.Abs(f-1) > math.Abs(m-1) {
			t.Errorf("%s: %.2f of 44 calls, %.2f of 800", name, f, m)
		}
	}
	if k := few.Fusion.Families["keys"]; k.Max != 3.1 || many.Fusion.Families["keys"].Max != base.Families["keys"].Max {
		t.Errorf("22 people cap keys at %v", k.Max)
	}
	if _, err := Fit(base, made(30)); err == nil || !strings.Contains(err.Error(), "15 calls of people and 15 of machines; at least 20") {
		t.Errorf("15 of each: %v", err)
	}
}

func BenchmarkFit(b *testing.B) {
	calls := made(1000)
	for b.Loop() {
		_, _ = Fit(policy.DefaultFusion(), calls)
	}
}
