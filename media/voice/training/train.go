package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/portero/portero/media/voice"
)

// Options are what a model follows from, beside the clips.
type Options struct {
	Seed   uint64
	Folds  int // parts into which sources are divided for held-out scores
	Copies int // lines over which each clip is heard, one of them clean
	Boosting
	LinearRidge float64 // of the linear model, in rows
	Blend       float64 // share of the trees
}

// Defaults are the options of the model that comes with the program, chosen by
// held-out figures (MODEL.md).
func Defaults() Options {
	return Options{
		Seed: 1, Folds: 8, Copies: 4,
		Boosting:    Boosting{Rounds: 300, Depth: 4, Rate: 0.08, Leaf: 10, Ridge: 5, Rows: 0.5, Features: 0.12},
		LinearRidge: 500,
		Blend:       0.35,
	}
}

// fit trains an uncalibrated model on the rows that keep says.
func fit(clips []Clip, rows []Row, keep func(*Clip) bool, o Options) (*voice.Model, error) {
	var kept []Row
	for _, r := range rows {
		if keep(&clips[r.Clip]) {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("no clip has enough speech to learn from")
	}
	w := Weights(clips, kept)
	x, y, group := make([][]float64, len(kept)), make([]float64, len(kept)), make([]int, len(kept))
	for i, r := range kept {
		x[i], y[i], group[i] = r.X, float64(label(&clips[r.Clip])), r.Clip
	}
	if !slices.Contains(y, 0) || !slices.Contains(y, 1) {
		return nil, fmt.Errorf("clips of both classes with enough speech are needed")
	}
	m := &voice.Model{Features: voice.FeatureNames(), Blend: o.Blend}
	m.Trees = boost(x, y, w, group, o.Boosting, rand.New(rand.NewPCG(o.Seed, 1)))
	standardise(m, x, w)
	z := make([][]float64, len(x))
	for i := range x {
		z[i] = make([]float64, len(x[i]))
		for j, v := range x[i] {
			z[i][j] = math.Max(-4, math.Min(4, (v-m.Mean[j])/m.Scale[j]))
		}
	}
	m.Strange = strange(m, x)
	var class []int
	m.Classes, class = classes(clips, kept)
	beta, err := softmax(z, class, w, len(m.Classes), o.LinearRidge)
	if err != nil {
		return nil, err
	}
	for _, b := range beta {
		m.Weights, m.Bias = append(m.Weights, b[:len(b)-1]), append(m.Bias, b[len(b)-1])
	}
	return m, nil
}

// strange is the strangeness that 0.2 % of the rows exceed.
func strange(m *voice.Model, x [][]float64) float64 {
	s := make([]float64, len(x))
	for i := range x {
		s[i] = m.Strangeness(x[i])
	}
	slices.Sort(s)
	return math.Max(1, s[int(.998*float64(len(s)-1))])
}

func standardise(m *voice.Model, x [][]float64, w []float64) {
	n := len(x[0])
	m.Mean, m.Scale = make([]float64, n), make([]float64, n)
	for j := range n {
		var s, s1, s2 float64
		for i := range x {
			s += w[i]
			s1 += w[i] * x[i][j]
		}
		mean := s1 / s
		for i := range x {
			d := x[i][j] - mean
			s2 += w[i] * d * d
		}
		m.Mean[j], m.Scale[j] = mean, math.Max(1e-6, math.Sqrt(s2/s))
	}
}

// folds gives every source a fold, the largest first into the fold that has
// least of the class the source has most of.
func folds(clips []Clip, n int) map[string]int {
	type count struct {
		name string
		n    [2]int
	}
	by := map[string]*count{}
	for i := range clips {
		c := by[clips[i].Source]
		if c == nil {
			c = &count{name: clips[i].Source}
			by[c.name] = c
		}
		c.n[label(&clips[i])]++
	}
	all := make([]*count, 0, len(by))
	for _, c := range by {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i].n[0]+all[i].n[1], all[j].n[0]+all[j].n[1]
		return a > b || a == b && all[i].name < all[j].name
	})
	has := make([][2]int, n)
	fold := map[string]int{}
	for _, c := range all {
		k := 0
		if c.n[1] > c.n[0] {
			k = 1
		}
		best := 0
		for f := range has {
			if has[f][k] < has[best][k] {
				best = f
			}
		}
		fold[c.name] = best
		has[best][0] += c.n[0]
		has[best][1] += c.n[1]
	}
	return fold
}

// Held is models that were each trained without some sources and without any
// speaker or synthesizer of these: what one says of a clip it never heard counts.
type Held struct {
	fold   map[string]int // of a source
	models []*voice.Model
}

// HoldOut trains a model for each fold of the sources.
func HoldOut(clips []Clip, rows []Row, o Options) (*Held, error) {
	h := &Held{fold: folds(clips, o.Folds), models: make([]*voice.Model, o.Folds)}
	for f := range o.Folds {
		out := map[string]bool{}
		for i := range clips {
			if h.fold[clips[i].Source] == f {
				out[clips[i].Speaker] = true
			}
		}
		if len(out) == 0 {
			continue
		}
		m, err := fit(clips, rows, func(c *Clip) bool {
			return h.fold[c.Source] != f && !out[c.Speaker]
		}, o)
		if err != nil {
			return nil, fmt.Errorf("fold %d: %w", f, err)
		}
		h.models[f] = m
	}
	return h, nil
}

// Model is the model that never heard the clip.
func (h *Held) Model(c *Clip) *voice.Model { return h.models[h.fold[c.Source]] }

// Rows gives every row the raw log-odds of the model that never heard its clip.
func (h *Held) Rows(clips []Clip, rows []Row) []float64 {
	raw := make([]float64, len(rows))
	for i, r := range rows {
		raw[i] = h.Model(&clips[r.Clip]).Raw(r.X)
	}
	return raw
}

// Train makes a model of all clips, calibrated on held-out scores raw as Held
// gives them.
func Train(clips []Clip, rows []Row, raw []float64, o Options) (*voice.Model, error) {
	m, err := fit(clips, rows, func(*Clip) bool { return true }, o)
	if err != nil {
		return nil, err
	}
	if m.Cal, err = Calibrate(clips, rows, raw); err != nil {
		return nil, err
	}
	m.Made = fmt.Sprintf("%d clips and calls, %d rows, seed %d, %d folds by source and speaker, %d lines, %d trees of depth %d",
		len(clips), len(rows), o.Seed, o.Folds, o.Copies, o.Rounds, o.Depth)
	round(m)
	return m, nil
}

// round keeps six digits, so that the file is small and the same everywhere.
func round(m *voice.Model) {
	digits := func(v float64) float64 {
		if v == 0 {
			return 0
		}
		p := math.Pow(10, 6-math.Ceil(math.Log10(math.Abs(v))))
		return math.Round(v*p) / p
	}
	for _, s := range append([][]float64{m.Mean, m.Scale, m.Bias}, m.Weights...) {
		for i := range s {
			s[i] = digits(s[i])
		}
	}
	for i := range m.Trees {
		for j := range m.Trees[i].Cut {
			m.Trees[i].Cut[j] = digits(m.Trees[i].Cut[j])
		}
	}
	for _, v := range []*float64{&m.Strange, &m.Cal.Slope, &m.Cal.Growth, &m.Cal.Offset, &m.Cal.Least, &m.Cal.Most, &m.Cal.Between, &m.Cal.Within} {
		*v = digits(*v)
	}
}
