package voice

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

func TestFFT(t *testing.T) {
	var f fft
	var x [size]float32
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	var re, power [bins]float32
	f.real(&x, &re)
	f.power(&x, &power)
	for k := range bins {
		var want complex128
		for i, v := range x {
			want += complex(float64(v), 0) * cmplx.Exp(complex(0, -2*math.Pi*float64(k*i)/size))
		}
		if math.Abs(real(want)-float64(re[k])) > 1e-3 {
			t.Errorf("bin %d: real part %g, want %g", k, re[k], real(want))
		}
		if p := cmplx.Abs(want); math.Abs(p*p-float64(power[k])) > 1e-3*(1+p*p) {
			t.Errorf("bin %d: power %g, want %g", k, power[k], p*p)
		}
	}
}
