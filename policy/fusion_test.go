package policy

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestVerdictClasses(t *testing.T) {
	f := DefaultFusion()
	prior := LogOdds(f.Prior)
	for _, tc := range []struct {
		name  string
		prior float64
		ev    []Evidence
		want  Class
	}{
		{"nothing heard", prior, nil, Unknown},
		{"nothing heard, low prior", LogOdds(0.01), nil, Unknown},
		{"neutral evidence, low prior", LogOdds(0.01), []Evidence{{Name: "rtp.pacing", LLR: 0}}, Unknown},
		{"a little for a human", prior, []Evidence{{Name: "line.noise_floor", LLR: -0.5}}, Unknown},
		{"enough for a human", prior, []Evidence{{Name: "line.noise_floor", LLR: -0.5}, {Name: "voice.synthetic", LLR: -0.6}}, Human},
		{"enough for a human, in a flood", LogOdds(0.7), []Evidence{{Name: "voice.synthetic", LLR: -1.1}}, Unknown},
		{"declared", prior, []Evidence{{Name: "sig.automata", LLR: 4}}, Assistant},
		{"a synthetic voice, moderately", prior, []Evidence{{Name: "voice.synthetic", LLR: 1.5}}, Unknown},
		{"a synthetic voice on a silent line", prior, []Evidence{{Name: "voice.synthetic", LLR: 1.5}, {Name: "line.digital_silence", LLR: 1.5}}, Assistant},
		{"repeated message", prior, []Evidence{{Name: "campaign.same_speech", LLR: 4, Recording: 3}}, Recording},
		{"repeated message that answers", prior, []Evidence{{Name: "campaign.same_speech", LLR: 4, Recording: 1}, {Name: "turns.monologue", Recording: -2}}, Assistant},
		{"one family cannot do it alone", LogOdds(0.1), []Evidence{
			{Name: "line.a", LLR: 2}, {Name: "line.b", LLR: 2}, {Name: "line.c", LLR: 2}}, Unknown},
		{"not a number", prior, []Evidence{{Name: "voice.synthetic", LLR: math.NaN()}, {Name: "sig.automata", LLR: 4}}, Assistant},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := f.Verdict(tc.prior, tc.ev, noon)
			if v.Class != tc.want {
				t.Errorf("class %s (p %.3f), want %s", v.Class, v.PMachine, tc.want)
			}
			if !v.At.Equal(noon) {
				t.Errorf("at %v, want %v", v.At, noon)
			}
			if _, err := json.Marshal(v); err != nil {
				t.Errorf("not writable as JSON: %v", err)
			}
		})
	}
}

func TestVerdictThresholds(t *testing.T) {
	f := DefaultFusion()
	// Exactly at the thresholds counts as reached (within rounding).
	at := func(p float64) float64 { return LogOdds(p) - LogOdds(0.5) }
	for _, tc := range []struct {
		llr  float64
		want Class
	}{
		{at(0.8) + 1e-9, Assistant}, {at(0.8) - 1e-6, Unknown},
		{at(0.2) - 1e-9, Human}, {at(0.2) + 1e-6, Unknown},
	} {
		if v := f.Verdict(0, []Evidence{{Name: "sig.x", LLR: tc.llr}}, noon); v.Class != tc.want {
			t.Errorf("llr %v: class %s (p %v), want %s", tc.llr, v.Class, v.PMachine, tc.want)
		}
	}
}

func TestVerdictSortsAndReplaces(t *testing.T) {
	ev := []Evidence{{Name: "voice.synthetic", LLR: 1}, {Name: "keys.regular", LLR: 3}, {Name: "voice.synthetic", LLR: -1}}
	v := DefaultFusion().Verdict(0, ev, noon)
	if len(v.Evidence) != 2 || v.Evidence[0].Name != "keys.regular" || v.Evidence[1].LLR != -1 {
		t.Errorf("evidence %v, want keys.regular and the newer voice.synthetic", v.Evidence)
	}
	if ev[0].Name != "voice.synthetic" {
		t.Error("the caller's slice was reordered")
	}
}

func TestContributionsAddUp(t *testing.T) {
	f := DefaultFusion()
	for _, ev := range [][]Evidence{
		nil,
		{{Name: "sig", LLR: 9}, {Name: "sig-x.a", LLR: 1}, {Name: "sig.a", LLR: 9}, {Name: "sig.b", LLR: -1}},
		{{Name: "voice.synthetic", LLR: 9}, {Name: "keys.regular", LLR: 9}, {Name: "campaign.same_speech", LLR: 9}},
		{{Name: "line.a", LLR: 1}, {Name: "line.b", LLR: -1}},
		{{Name: "line.a", LLR: math.Inf(1)}, {Name: "line.b", LLR: math.MaxFloat64}},
		{{Name: "unheard.of", LLR: -9}},
	} {
		sum := 0.0
		for _, c := range f.Contributions(ev) {
			sum += c.Effect
			if w := f.family(FamilyOf(c.Name)); c.Effect > 0 && c.LLR < 0 {
				t.Errorf("%v: %s turned its sign, weight %v", ev, c.Name, w)
			}
		}
		if math.IsNaN(sum) || math.Abs(sum) > f.Limit+1e-9 {
			t.Errorf("%v: effects sum up to %v, limit %v", ev, sum, f.Limit)
		}
		if got := LogOdds(f.Verdict(0.3, ev, noon).PMachine) - 0.3; math.Abs(got-sum) > 1e-6 {
			t.Errorf("%v: effects sum up to %v, the verdict moved by %v", ev, sum, got)
		}
	}
	c := f.Contributions([]Evidence{{Name: "line.a", LLR: 3}, {Name: "line.b", LLR: 1}})
	if c[0].Effect != 1.5 || c[1].Effect != 0.5 {
		t.Errorf("a cap of 2 over 3 and 1 gives %v and %v, want 1.5 and 0.5", c[0].Effect, c[1].Effect)
	}
}

func TestParseFusionRefuses(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"not JSON", `{`, `[`, "not readable as JSON"},
		{"unknown key", `"version"`, `"vresion"`, "vresion"},
		{"version", `"version": 1`, `"version": 2`, "this door reads version 1"},
		{"prior", `"prior": 0.2`, `"prior": 1`, "prior is 1; allowed is more than 0 and less than 1"},
		{"thresholds", `"machine_at": 0.8`, `"machine_at": 0.1`, "human_at (0.2) must be below machine_at (0.1)"},
		{"weight", `"sig": {"weight": 1`, `"sig": {"weight": -1`, "families.sig.weight is -1"},
		{"min", `"min": -2, "max": 5`, `"min": 1, "max": 5`, "families.sig.min is 1; allowed is -20 to 0"},
		{"max", `"min": -2, "max": 5`, `"min": -2, "max": 50`, "families.sig.max is 50"},
		{"family", `"sig":`, `"sig.automata":`, `families has "sig.automata"`},
		{"other", `"other": {"weight": 0.5`, `"other": {"weight": 50`, "other.weight is 50"},
		{"limit", `"limit": 9`, `"limit": 0`, "limit is 0"},
		{"human evidence", `"human_evidence": 1`, `"human_evidence": -1`, "human_evidence is -1"},
		{"rest", "\n}\n", "\n}\n{}", "something follows"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(string(builtinFusion), tc.old, tc.new, 1)
			if text == string(builtinFusion) {
				t.Fatalf("%q is not in fusion.json: mend this test", tc.old)
			}
			_, err := ParseFusion([]byte(text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
	_, err := ParseFusion([]byte(`{"version": 3, "prior": 2}`))
	if err == nil || !strings.Contains(err.Error(), "version is 3") || !strings.Contains(err.Error(), "prior is 2") {
		t.Errorf("error %v, want every mistake named", err)
	}
}

func FuzzParseFusion(f *testing.F) {
	f.Add(builtinFusion)
	f.Add([]byte(`{"version":1,"families":{"a":{"min":-1e308}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fu, err := ParseFusion(b)
		if err != nil {
			return
		}
		v := fu.Verdict(LogOdds(fu.Prior), []Evidence{{Name: "sig.a", LLR: 3}, {Name: "x.b", LLR: -3}}, noon)
		if !(v.PMachine >= 0 && v.PMachine <= 1) {
			t.Errorf("probability %v", v.PMachine)
		}
	})
}

// TestSpared: nothing speaks against who is spared, and what speaks for them does.
func TestSpared(t *testing.T) {
	f := DefaultFusion()
	at := time.Unix(0, 0)
	against := []Evidence{{Name: "sig.scanner", LLR: 5}, {Name: "campaign.same_speech", LLR: 4, Recording: 3}, {Name: "keys.regular", LLR: 3.5}}
	for _, prior := range []float64{0.01, 0.2, 0.9, 0.999} {
		v := f.Spared(LogOdds(prior), against, at)
		if v.Class != Unknown || v.PMachine > min(prior, f.Prior)+1e-9 || len(v.Evidence) != 3 {
			t.Errorf("prior %v: %+v", prior, v)
		}
		if v = f.Spared(LogOdds(prior), append(against, Evidence{Name: "voice.synthetic", LLR: -2}), at); v.Class != Human {
			t.Errorf("prior %v, a human voice: %+v", prior, v)
		}
	}
	if against[0].LLR != 5 {
		t.Error("the evidence given was changed")
	}
}
