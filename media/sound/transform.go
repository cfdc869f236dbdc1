package sound

import (
	"math"

	"github.com/portero/portero/media/fft"
)

// size is the window that is transformed: 32 ms, bins of 31.25 Hz.
const size = 256

var (
	transform = fft.New(size)
	window    [size]float32 // Hann
)

func init() {
	for i := range window {
		window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/size))
	}
}

// transformed is the transform of a window.
type transformed struct{ re, im [size / 2]float32 }

// power writes |X(k)|² of the windowed samples for k = 0 … size/2-1.
func (t *transformed) power(x *[size]float32, out *[size / 2]float32) {
	for i, at := range transform.Places() {
		t.re[at], t.im[at] = x[2*i]*window[2*i], x[2*i+1]*window[2*i+1]
	}
	transform.Transform(t.re[:], t.im[:])
	transform.Power(t.re[:], t.im[:], out[:])
}

// phase is the argument of X(k), radians, after power; k from 1 to size/2-1.
func (t *transformed) phase(k int) float64 {
	const n = size / 2
	if k <= n/2 {
		er, ei, xr, xi := transform.Halves(t.re[:], t.im[:], k)
		return math.Atan2(float64(ei+xi), float64(er+xr))
	}
	er, ei, xr, xi := transform.Halves(t.re[:], t.im[:], n-k)
	return math.Atan2(-float64(ei-xi), float64(er-xr))
}
