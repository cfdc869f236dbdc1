package voice

import (
	"math"
	"math/rand/v2"
	"testing"
)

// ringOf is the last window of a signal as the listener keeps it, turned.
func ringOf(f func(i int) float64) (*[window]float32, int) {
	var r [window]float32
	const at = 77
	for i := range r {
		r[(at+i)%window] = float32(f(i))
	}
	return &r, at
}

func TestPitch(t *testing.T) {
	var a analyser
	for _, hz := range []float64{80, 100, 147, 220, 310, 390} {
		r, at := ringOf(func(i int) float64 {
			v := 0.0
			for h := 1.0; h*hz < 3400; h++ {
				v += math.Cos(2*math.Pi*h*hz*float64(i)/rate+h) / h
			}
			return 0.1 * v
		})
		var s spectrum
		a.analyse(r, at, 0, &s)
		if math.Abs(float64(s.f0)/hz-1) > 0.02 {
			t.Errorf("%g Hz heard as %g", hz, s.f0)
		}
		if s.harmonic < 0.8 {
			t.Errorf("%g Hz: a pure period gives %g, want nearly 1", hz, s.harmonic)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	r, at := ringOf(func(int) float64 { return 0.1 * rng.NormFloat64() })
	var s spectrum
	if a.analyse(r, at, 0, &s); s.f0 != 0 {
		t.Errorf("noise has a pitch of %g Hz", s.f0)
	}
}

// A gain, with the reference following it, changes no coefficient.
func TestCepstraLevel(t *testing.T) {
	var a analyser
	rng := rand.New(rand.NewPCG(2, 1))
	noise := make([]float64, window)
	for i := range noise {
		noise[i] = 0.05 * rng.NormFloat64()
	}
	var quiet, loud spectrum
	r, at := ringOf(func(i int) float64 { return noise[i] })
	p := a.analyse(r, at, 0, &quiet)
	a.analyse(r, at, p, &quiet)
	r, at = ringOf(func(i int) float64 { return 4*noise[i] + 0.3 })
	a.analyse(r, at, 16*p, &loud)
	for k := range quiet.c {
		if math.Abs(float64(quiet.c[k]-loud.c[k])) > 1e-3 {
			t.Errorf("C%d is %g, and %g 12 dB louder", k, quiet.c[k], loud.c[k])
		}
	}
	if math.Abs(float64(quiet.crest-loud.crest)) > 1e-2 || math.Abs(float64(quiet.flatness-loud.flatness)) > 1e-3 {
		t.Errorf("crest %g and %g, flatness %g and %g: level and offset must not matter", quiet.crest, loud.crest, quiet.flatness, loud.flatness)
	}
}

func TestSilenceIsFinite(t *testing.T) {
	var a analyser
	var s spectrum
	r, at := ringOf(func(int) float64 { return 0 })
	a.analyse(r, at, 0, &s)
	for k, v := range s.c {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			t.Errorf("C%d of silence is %g", k, v)
		}
	}
	if s.f0 != 0 || math.IsNaN(float64(s.flatness)) || math.IsNaN(float64(s.crest)) || math.IsNaN(float64(s.skew)) {
		t.Errorf("silence is %+v", s)
	}
}
