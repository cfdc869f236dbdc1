package voice

import (
	"math"
	"strings"
	"testing"
)

// Every feature belongs to an aspect, so that no score goes unexplained.
func TestEveryFeatureHasWords(t *testing.T) {
	for i, name := range featureNames {
		found := false
		for _, p := range aspects[aspectOf[i]].prefixes {
			found = found || strings.HasPrefix(name, p)
		}
		if !found {
			t.Errorf("%s belongs to no aspect", name)
		}
	}
}

// What the features are said to add is what the model adds: taking the reasons of
// a made model apart gives back its score.
func TestReasonsAddUp(t *testing.T) {
	n := len(featureNames)
	m := &Model{
		Features: featureNames, Mean: make([]float64, n), Scale: make([]float64, n), Blend: .5,
		Classes: []string{Human, "x"}, Weights: [][]float64{make([]float64, n), make([]float64, n)}, Bias: []float64{0, 0},
		Trees: []Tree{{
			Feature: []int{3, 0, 7, 0, 0}, Cut: []float64{.5, 0, .1, 0, 0}, Left: []int{1, 0, 3, 0, 0},
			Value: []float64{.2, -1, .8, .3, 1.5},
		}},
	}
	for i := range n {
		m.Scale[i] = 1
		m.Weights[1][i] = float64(i%7-3) / 50
	}
	x, out := make([]float64, n), make([]float64, n)
	for i := range x {
		x[i] = math.Sin(float64(i))
	}
	x[3], x[7] = 1, 1
	m.contributions(x, out)
	sum := 0.0
	for _, c := range out {
		sum += c
	}
	// The tree's root says what holds without any feature.
	if want := m.Raw(x) - m.Blend*.2; math.Abs(sum-want) > 1e-9 {
		t.Errorf("contributions add up to %g, the model to %g", sum, want)
	}
}

func TestScoreSaysWhy(t *testing.T) {
	l := NewListener(Default())
	l.Frame(atLevel(talk(8, 1), -26, -70, 0))
	s, r := l.Score(), l.Reasons()
	if len(r) != 3 || math.Abs(r[0].LLR) < math.Abs(r[1].LLR) || math.Abs(r[1].LLR) < math.Abs(r[2].LLR) {
		t.Fatalf("reasons %+v: want three, the strongest first", r)
	}
	for _, one := range r {
		if !strings.Contains(s.Says, one.What) {
			t.Errorf("%q does not name %q", s.Says, one.What)
		}
	}
	if s.Uncertainty <= 0 || s.Uncertainty > 3 {
		t.Errorf("uncertainty %g of the ratio %g", s.Uncertainty, s.LLR)
	}
	if l := NewListener(Default()); l.Reasons() != nil {
		t.Error("reasons without speech")
	}
}
