package voice

import (
	"fmt"
	"math"
)

// moments are running sums of a value's powers. Values are of the order of 1 to
// 50, so that plain sums in float64 keep enough digits for hours of speech.
type moments struct{ n, s1, s2, s3, s4 float64 }

func (m *moments) add(v float32) {
	x := float64(v)
	q := x * x
	m.n++
	m.s1 += x
	m.s2 += q
	m.s3 += q * x
	m.s4 += q * q
}

func (m *moments) mean() float64 {
	if m.n == 0 {
		return 0
	}
	return m.s1 / m.n
}

func (m *moments) variance() float64 {
	if m.n < 2 {
		return 0
	}
	mu := m.s1 / m.n
	return math.Max(0, m.s2/m.n-mu*mu)
}

func (m *moments) std() float64 { return math.Sqrt(m.variance()) }

// skew is the third standardised moment, at most ±10.
func (m *moments) skew() float64 {
	v := m.variance()
	if v < 1e-9 {
		return 0
	}
	mu := m.s1 / m.n
	k := m.s3/m.n - 3*mu*m.s2/m.n + 2*mu*mu*mu
	return math.Max(-10, math.Min(10, k/math.Pow(v, 1.5)))
}

// kurt is the fourth standardised moment, at most 30.
func (m *moments) kurt() float64 {
	v := m.variance()
	if v < 1e-9 {
		return 0
	}
	mu := m.s1 / m.n
	k := m.s4/m.n - 4*mu*m.s3/m.n + 6*mu*mu*m.s2/m.n - 3*mu*mu*mu*mu
	return math.Min(30, k/(v*v))
}

// product is a running correlation of two values.
type product struct{ n, x, y, xx, yy, xy float64 }

func (p *product) add(a, b float32) {
	x, y := float64(a), float64(b)
	p.n++
	p.x += x
	p.y += y
	p.xx += x * x
	p.yy += y * y
	p.xy += x * y
}

func (p *product) correlation() float64 {
	if p.n < 3 {
		return 0
	}
	v := (p.xx/p.n - p.x/p.n*p.x/p.n) * (p.yy/p.n - p.y/p.n*p.y/p.n)
	if v < 1e-12 {
		return 0
	}
	return math.Max(-1, math.Min(1, (p.xy/p.n-p.x/p.n*p.y/p.n)/math.Sqrt(v)))
}

// lags, in hops, over which loudness and timbre are compared with themselves.
var lags = [...]int{4, 8, 16, 32}

// quantiles of values whose distributions are far from normal.
var quantiles = [...]float64{.1, .25, .5, .75, .9}

// statistics are what is kept of a caller's speech: the shape of the
// distributions of its spectra, of their motion, of its pitch and its rhythm.
type statistics struct {
	static, delta, accel         [ceps]moments
	harmonic, flatness, centroid moments
	crest, skew, flux            moments
	pitch, pitchStep, pitchBend  moments           // natural log of F0 and its first and second difference
	withLoud                     [6]product        // C0 with C1 … C6
	together                     [ceps - 1]product // motion of neighbouring coefficients
	loudMemory, timbreMemory     [len(lags)]product
	level                        histogram // C0, which is level over mean speech level
	logFlux                      histogram // natural log of flux
	step, bend                   histogram // magnitude of the pitch's differences, natural log
	harmonics                    histogram // harmonic, of 0 to 12

	turns, gaps moments // s of voice between pauses, s of pause
	motion
}

// histogram counts values from -32 to 16 in quarters, for quantiles.
type histogram struct {
	count [192]float64
	n     float64
}

func (h *histogram) add(v float32) {
	i := int((v + 32) * 4)
	h.count[max(0, min(len(h.count)-1, i))]++
	h.n++
}

// quantile is the value below which the share q lies, interpolated.
func (h *histogram) quantile(q float64) float64 {
	left := q * h.n
	for i, c := range h.count {
		if c > 0 && left <= c {
			return -32 + (float64(i)+left/c)/4
		}
		left -= c
	}
	return 0
}

// timbre is how much the spectrum's shape varies: the root of the summed
// variances of C1 … C5.
func (s *statistics) timbre() float64 {
	v := 0.0
	for k := 1; k <= 5; k++ {
		v += s.static[k].variance()
	}
	return math.Sqrt(v)
}

// featureNames are the names of features, in order. A model carries the names
// it was made for.
var featureNames = func() []string {
	var n []string
	cs := func(what string) {
		for k := range ceps {
			n = append(n, fmt.Sprintf("%s_c%d", what, k))
		}
	}
	cs("std")
	cs("std_delta")
	cs("std_accel")
	cs("skew")
	cs("kurt")
	cs("kurt_delta")
	cs("motion") // std_delta over std
	n = append(n,
		"harmonic_mean", "harmonic_std", "harmonic_skew",
		"flatness_mean", "flatness_std", "centroid_std", "centroid_skew",
		"crest_mean", "crest_std", "skew_mean", "flux_mean", "flux_std", "flux_skew",
		"voiced_share", "pitch_std", "pitch_skew", "pitch_step_std", "pitch_step_kurt", "pitch_bend_std", "pitch_motion",
		"level_q90_q10", "level_q75_q25", "level_q50_q10", "level_q99_q90")
	for _, what := range []string{"log_flux", "step", "bend", "harmonics"} {
		for _, q := range quantiles {
			n = append(n, fmt.Sprintf("%s_q%.0f", what, 100*q))
		}
	}
	for k := 1; k < 7; k++ {
		n = append(n, fmt.Sprintf("loud_with_c%d", k))
	}
	for k := range ceps - 1 {
		n = append(n, fmt.Sprintf("motion_c%d_with_c%d", k, k+1))
	}
	for _, l := range lags {
		n = append(n, fmt.Sprintf("loud_memory_%d", l), fmt.Sprintf("timbre_memory_%d", l))
	}
	n = append(n, "run_mean", "run_std", "gap_mean", "gap_std", "speech_share")
	return append(n, motionNames...)
}()

// features writes the features to out and returns it.
func (s *statistics) features(out []float64, a *Activity) []float64 {
	out = out[:0]
	each := func(m *[ceps]moments, f func(*moments) float64) {
		for k := range m {
			out = append(out, f(&m[k]))
		}
	}
	each(&s.static, (*moments).std)
	each(&s.delta, (*moments).std)
	each(&s.accel, (*moments).std)
	each(&s.static, (*moments).skew)
	each(&s.static, (*moments).kurt)
	each(&s.delta, (*moments).kurt)
	for k := range s.static {
		out = append(out, s.delta[k].std()/(s.static[k].std()+1e-6))
	}
	out = append(out,
		s.harmonic.mean(), s.harmonic.std(), s.harmonic.skew(),
		s.flatness.mean(), s.flatness.std(), s.centroid.std(), s.centroid.skew(),
		s.crest.mean(), s.crest.std(), s.skew.mean(), s.flux.mean(), s.flux.std(), s.flux.skew(),
		s.pitch.n/(s.harmonic.n+1e-6), s.pitch.std(), s.pitch.skew(),
		s.pitchStep.std(), s.pitchStep.kurt(), s.pitchBend.std(), s.pitchStep.std()/(s.pitch.std()+1e-6),
		s.level.quantile(.9)-s.level.quantile(.1), s.level.quantile(.75)-s.level.quantile(.25),
		s.level.quantile(.5)-s.level.quantile(.1), s.level.quantile(.99)-s.level.quantile(.9))
	for _, h := range []*histogram{&s.logFlux, &s.step, &s.bend, &s.harmonics} {
		for _, q := range quantiles {
			out = append(out, h.quantile(q))
		}
	}
	for k := range s.withLoud {
		out = append(out, s.withLoud[k].correlation())
	}
	for k := range s.together {
		out = append(out, s.together[k].correlation())
	}
	for i := range lags {
		out = append(out, s.loudMemory[i].correlation(), s.timbreMemory[i].correlation())
	}
	share := 0.0
	if a.hops > 0 {
		share = float64(a.loudHops) / float64(a.speech+1)
	}
	out = append(out, s.turns.mean(), s.turns.std(), s.gaps.mean(), s.gaps.std(), share)
	return s.motion.features(out, &s.static)
}
