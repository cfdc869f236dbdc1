package spectrum

import (
	"math"

	"github.com/portero/portero/media/fft"
)

const (
	// Size is the length of a window, samples: 32 ms at 8 kHz.
	Size = 256
	// Bins is how many bands there are from 0 Hz up to half the sampling rate.
	Bins = Size / 2
)

var (
	transform = fft.New(Size)
	window    [Size]float32 // Hann
)

func init() {
	for i := range window {
		window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/Size))
	}
}

// Power is the power spectrum of Size samples under a Hann window, scaled so that a
// full-scale sine in the middle of a band has 1 in it.
func Power(pcm []int16, out *[Bins]float32) {
	var re, im [Size / 2]float32
	for i, at := range transform.Places() {
		re[at] = float32(pcm[2*i]) / 32768 * window[2*i]
		im[at] = float32(pcm[2*i+1]) / 32768 * window[2*i+1]
	}
	transform.Transform(re[:], im[:])
	transform.Power(re[:], im[:], out[:])
	const scale = 16.0 / (Size * Size) // |X| of a sine is Size/4 under this window
	for k := range out {
		out[k] *= scale
	}
}
