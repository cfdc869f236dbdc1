package training

import (
	"math"
	"testing"
)

// Coders must keep a voice a voice: what comes out resembles what went in by the
// ratio such a coder has, no better and no worse.
func TestCoders(t *testing.T) {
	x := make([]float64, 16000)
	phase := 0.0
	for i := range x {
		phase += 2 * math.Pi * (120 + 20*math.Sin(float64(i)/3000)) / 8000
		for h := 1.0; h < 25; h++ {
			x[i] += .05 * math.Sin(h*phase) / h * (1 + math.Sin(float64(i)/900+h))
		}
	}
	for _, c := range []struct {
		name        string
		code        func([]float64) []float64
		least, most float64 // dB of signal over error
	}{
		{"full rate", func(x []float64) []float64 { return fullRate(x, 3) }, 5, 25},
		{"fewer pulses", func(x []float64) []float64 { return fullRate(x, 4) }, 3, 22},
		{"ADPCM, 4 bits", func(x []float64) []float64 { return adpcm(x, 4) }, 12, 40},
	} {
		y := c.code(x)
		var s, e float64
		for i := 1000; i < len(x); i++ {
			s += x[i] * x[i]
			e += (x[i] - y[i]) * (x[i] - y[i])
		}
		if db := 10 * math.Log10(s/e); db < c.least || db > c.most {
			t.Errorf("%s: %.1f dB of signal over error, want %g to %g", c.name, db, c.least, c.most)
		}
	}
}
