package voice

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A pure period repeats in every band, noise in none, and breath over a voice
// lowers only the bands that it is in.
func TestCombs(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	last := 0.0
	pulses := func(breath float64) func(i int) float64 {
		return func(i int) float64 {
			v := 0.0
			for h := 1.0; h*125 < 3600; h++ {
				v += math.Cos(2*math.Pi*h*125*float64(i)/rate+h*h) / 8
			}
			w := rng.NormFloat64()
			v += breath * (w - last) // rises with frequency
			last = w
			return .1 * v
		}
	}
	look := func(f func(int) float64) spectrum {
		var a analyser
		var s spectrum
		r, at := ringOf(f)
		a.analyse(r, at, 0, &s)
		return s
	}
	clean, breathy := look(pulses(0)), look(pulses(.25))
	for b := range clean.comb {
		if clean.comb[b] < .85 {
			t.Errorf("band %d of pulses has %.2f, want nearly 1", b, clean.comb[b])
		}
	}
	if breathy.comb[0] < .75 || breathy.comb[3] > .75*breathy.comb[0] {
		t.Errorf("breath above: %v, want much lower in the last band than in the first", breathy.comb)
	}
	if n := look(func(int) float64 { return .1 * rng.NormFloat64() }); n.comb != [combBands]float32{} {
		t.Errorf("noise repeats: %v", n.comb)
	}
}

// The log periodogram of noise spreads by 1.28 around its mean, a click's by nothing.
func TestRipples(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	var a analyser
	sum, n := 0.0, 0.0
	for range 200 {
		var s spectrum
		r, at := ringOf(func(int) float64 { return .1 * rng.NormFloat64() })
		a.analyse(r, at, 0, &s)
		for _, v := range s.ripple {
			sum += float64(v)
			n++
		}
		if s.slant > .5 {
			t.Fatalf("noise leans to peaks by %.2f: its log spectrum has troughs", s.slant)
		}
	}
	// The mean over eleven bins takes a little of the spread away.
	if mean := sum / n; mean < .95 || mean > 1.35 {
		t.Errorf("noise has ripples of %.2f, want about 1.2", mean)
	}
	var s spectrum
	r, at := ringOf(func(i int) float64 {
		if i == window/2 {
			return .5
		}
		return 0
	})
	a.analyse(r, at, 0, &s)
	for b, v := range s.ripple {
		if v > .1 {
			t.Errorf("a click has ripples of %.2f in band %d, want none", v, b)
		}
	}
}

// What a predictor leaves of pulses through a resonance is peaky, of noise through
// it not; the gain is the resonance's.
func TestPredict(t *testing.T) {
	through := func(source func(i int) float64) spectrum {
		var y1, y2 float64
		x := make([]float64, window+400)
		for i := range x {
			y := source(i) + 1.7*math.Cos(2*math.Pi*700/rate)*y1 - .7225*y2
			y2, y1 = y1, y
			x[i] = .02 * y
		}
		r, at := ringOf(func(i int) float64 { return x[i+400] })
		var a analyser
		var s spectrum
		a.analyse(r, at, 0, &s)
		return s
	}
	rng := rand.New(rand.NewPCG(9, 1))
	pulses := through(func(i int) float64 {
		if i%64 == 0 {
			return 5
		}
		return 0
	})
	noise := through(func(int) float64 { return rng.NormFloat64() })
	if pulses.peaky < 2*noise.peaky || noise.peaky > 5 {
		t.Errorf("residual of pulses has kurtosis %.1f, of noise %.1f", pulses.peaky, noise.peaky)
	}
	if noise.gain < .7 || noise.gain > 3 {
		t.Errorf("prediction gain %.2f of noise through a resonance", noise.gain)
	}
	silent := through(func(int) float64 { return 0 })
	if silent.gain != 0 || silent.peaky != 3 {
		t.Errorf("silence: gain %g, kurtosis %g", silent.gain, silent.peaky)
	}
}
