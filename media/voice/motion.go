package voice

import (
	"fmt"
	"math"
)

// spans are the lags, in hops, over which cepstra and pitch are compared with
// themselves: how much of a value's spread comes about within 10 to 320 ms.
var spans = [...]int{1, 2, 4, 8, 16, 32}

const (
	moving   = 13 // cepstral coefficients whose motion is followed
	shaped   = 16 // whose spread is taken apart for voiced and unvoiced speech
	together = 10 // whose correlations are taken
)

// motion is what is kept of fine structure, and of how spectra move over
// several time spans, with voiced and unvoiced speech apart.
type motion struct {
	comb      [combBands]moments
	combStep  [combBands]moments
	combs     [combBands - 1]product // of neighbouring bands
	rough     [2][rippleBands]moments
	slant     [2]moments // [unvoiced, voiced], as the next four
	gain      [2]moments
	lean      [2]moments
	peaky     [2]moments
	crest     [2]moments // natural log
	flat      [2]moments
	centre    [2]moments
	sided     moments // the samples' skewness with its sign
	sidedLean moments // and the residual's
	second    moments // how much of the periodicity is left after two periods
	shape     [2][shaped]moments
	roughComb [rippleBands]product
	moved     [len(spans)][moving]moments
	steady    [moving]moments // motion in 10 ms where both windows are voiced
	shimmer   histogram
	attack    histogram
	slope     [2]moments // of pitch over 40 and 80 ms, % of F0, at most ±60
	slopes    [2]histogram
	pitchWith [5]product // natural log of F0 with C0 … C4
	pitchHarm product
	pairs     [together][together]float64 // sums of products
	runs      [2]moments                  // natural log of hops voiced or not in a row
	run       int
	runVoiced bool
	runAt     int
}

// logF0 is the natural log of F0 over 150 Hz.
func (s *spectrum) logF0() float32 { return float32(math.Log(float64(s.f0) / 150)) }

// add takes the window centre hops before the newest of l, which is loud.
func (m *motion) add(l *Listener, s *spectrum) {
	class := 0
	voiced := s.f0 > 0
	if voiced {
		class = 1
	}
	m.countRun(l.n, voiced)
	for b := range s.ripple {
		m.rough[class][b].add(4 * s.ripple[b])
	}
	m.slant[class].add(s.slant)
	m.gain[class].add(s.gain)
	m.lean[class].add(s.lean)
	m.peaky[class].add(float32(math.Log(float64(s.peaky) + 1e-3)))
	m.crest[class].add(float32(math.Log(float64(s.crest) + 1e-3)))
	m.flat[class].add(s.flatness)
	m.centre[class].add(s.centroid)
	m.sided.add(s.signed)
	m.sidedLean.add(s.signedLean)
	for k := range m.shape[class] {
		m.shape[class][k].add(s.c[k])
	}
	for i := range together {
		for j := i + 2; j < together; j++ {
			m.pairs[i][j] += float64(s.c[i]) * float64(s.c[j])
		}
	}
	if voiced {
		m.addVoiced(s)
	}
	for i, span := range spans {
		if l.n <= centre+span {
			break
		}
		o := l.back(centre + span)
		if !o.loud {
			continue
		}
		for k := range m.moved[i] {
			m.moved[i][k].add(s.c[k] - o.c[k])
		}
		both := voiced && o.f0 > 0
		switch {
		case span == 1:
			m.attack.add(2 * (s.c[0] - o.c[0]))
			if both {
				m.addSteady(s, o)
			}
		case both && (span == 4 || span == 8):
			d := max(-60, min(60, 100*(s.logF0()-o.logF0())))
			m.slope[span/8].add(d)
			m.slopes[span/8].add(logOf(d))
		}
	}
}

func (m *motion) addVoiced(s *spectrum) {
	if s.second != 0 {
		m.second.add(4 * s.second)
	}
	for b := range s.comb {
		m.comb[b].add(4 * s.comb[b])
	}
	for b := range m.combs {
		m.combs[b].add(4*s.comb[b], 4*s.comb[b+1])
	}
	for b := range m.roughComb {
		m.roughComb[b].add(4*s.ripple[b], 4*s.comb[b])
	}
	f := 10 * s.logF0()
	for k := range m.pitchWith {
		m.pitchWith[k].add(f, s.c[k])
	}
	m.pitchHarm.add(f, 4*s.harmonic)
}

func (m *motion) addSteady(s, o *spectrum) {
	for k := range m.steady {
		m.steady[k].add(s.c[k] - o.c[k])
	}
	m.shimmer.add(2 * (s.c[0] - o.c[0]))
	for b := range m.combStep {
		m.combStep[b].add(4 * (s.comb[b] - o.comb[b]))
	}
}

// countRun follows how long voice and unvoiced speech last in a row.
func (m *motion) countRun(hop int, voiced bool) {
	if m.run > 0 && (voiced != m.runVoiced || hop != m.runAt+1) {
		class := 0
		if m.runVoiced {
			class = 1
		}
		m.runs[class].add(float32(math.Log(float64(m.run))))
		m.run = 0
	}
	m.run++
	m.runVoiced, m.runAt = voiced, hop
}

// edges are quantiles of what happens seldom.
var edges = [...]float64{.01, .05, .25, .75, .95, .99}

var motionNames = func() []string {
	var n []string
	add := func(format string, args ...any) { n = append(n, fmt.Sprintf(format, args...)) }
	for b := range combBands {
		add("comb_mean_%d", b)
		add("comb_std_%d", b)
		add("comb_step_%d", b)
	}
	for b := range combBands - 1 {
		add("comb_%d_with_%d", b, b+1)
	}
	for _, class := range []string{"unvoiced", "voiced"} {
		for b := range rippleBands {
			add("ripple_mean_%d_%s", b, class)
			add("ripple_std_%d_%s", b, class)
		}
		for _, what := range []string{"slant", "gain", "lean", "peaky", "crest", "flatness", "centroid"} {
			add("%s_mean_%s", what, class)
			add("%s_std_%s", what, class)
		}
		for k := range shaped {
			add("std_c%d_%s", k, class)
		}
		add("run_mean_%s", class)
		add("run_std_%s", class)
	}
	for b := range rippleBands {
		add("ripple_with_comb_%d", b)
	}
	for _, s := range spans {
		for k := range moving {
			add("moved_%d_c%d", s, k)
		}
		for k := range 3 {
			add("moved_kurt_%d_c%d", s, k)
		}
	}
	for k := range moving {
		add("steady_c%d", k)
	}
	for _, what := range []string{"shimmer", "attack"} {
		for _, q := range edges {
			add("%s_q%.0f", what, 100*q)
		}
	}
	for _, ms := range []int{40, 80} {
		add("slope_std_%d", ms)
		add("slope_skew_%d", ms)
		add("slope_kurt_%d", ms)
		for _, q := range quantiles {
			add("slope_q%.0f_%d", 100*q, ms)
		}
	}
	for k := range 5 {
		add("pitch_with_c%d", k)
	}
	add("pitch_with_harmonic")
	add("sided")
	add("sided_residual")
	add("second_period_mean")
	add("second_period_std")
	for i := range together {
		for j := i + 2; j < together; j++ {
			add("c%d_with_c%d", i, j)
		}
	}
	return n
}()

// features appends what motionNames name.
func (m *motion) features(out []float64, static *[ceps]moments) []float64 {
	for b := range m.comb {
		out = append(out, m.comb[b].mean(), m.comb[b].std(), m.combStep[b].std())
	}
	for b := range m.combs {
		out = append(out, m.combs[b].correlation())
	}
	for class := range 2 {
		for b := range m.rough[class] {
			out = append(out, m.rough[class][b].mean(), m.rough[class][b].std())
		}
		for _, v := range []*moments{&m.slant[class], &m.gain[class], &m.lean[class], &m.peaky[class], &m.crest[class], &m.flat[class], &m.centre[class]} {
			out = append(out, v.mean(), v.std())
		}
		for k := range m.shape[class] {
			out = append(out, m.shape[class][k].std())
		}
		out = append(out, m.runs[class].mean(), m.runs[class].std())
	}
	for b := range m.roughComb {
		out = append(out, m.roughComb[b].correlation())
	}
	for i := range m.moved {
		for k := range m.moved[i] {
			out = append(out, m.moved[i][k].std()/(static[k].std()+1e-6))
		}
		for k := range 3 {
			out = append(out, m.moved[i][k].kurt())
		}
	}
	for k := range m.steady {
		out = append(out, m.steady[k].std())
	}
	for _, h := range []*histogram{&m.shimmer, &m.attack} {
		for _, q := range edges {
			out = append(out, h.quantile(q))
		}
	}
	for i := range m.slope {
		out = append(out, m.slope[i].std(), m.slope[i].skew(), m.slope[i].kurt())
		for _, q := range quantiles {
			out = append(out, m.slopes[i].quantile(q))
		}
	}
	for k := range m.pitchWith {
		out = append(out, m.pitchWith[k].correlation())
	}
	out = append(out, m.pitchHarm.correlation(), math.Abs(m.sided.mean()), math.Abs(m.sidedLean.mean()),
		m.second.mean(), m.second.std())
	for i := range together {
		for j := i + 2; j < together; j++ {
			out = append(out, m.correlation(i, j, static))
		}
	}
	return out
}

// correlation is that of two coefficients over all speech.
func (m *motion) correlation(i, j int, static *[ceps]moments) float64 {
	x, y := &static[i], &static[j]
	v := x.variance() * y.variance()
	if x.n < 3 || v < 1e-12 {
		return 0
	}
	c := (m.pairs[i][j]/x.n - x.mean()*y.mean()) / math.Sqrt(v)
	return math.Max(-1, math.Min(1, c))
}
