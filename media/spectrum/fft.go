package spectrum

import "math"

const (
	// Size is the length of a window, samples: 32 ms at 8 kHz.
	Size = 256
	// Bins is how many bands there are from 0 Hz up to half the sampling rate.
	Bins = Size / 2
)

var (
	window  [Size]float32 // Hann
	cosines [Size / 2]float32
	sines   [Size / 2]float32
	swapped [Size]uint16 // bit-reversed order
)

func init() {
	for i := range window {
		window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/Size))
	}
	for i := range cosines {
		s, c := math.Sincos(-2 * math.Pi * float64(i) / Size)
		cosines[i], sines[i] = float32(c), float32(s)
	}
	for i := range swapped {
		r := 0
		for bit, v := Size/2, i; bit > 0; bit, v = bit>>1, v>>1 {
			r |= bit * (v & 1)
		}
		swapped[i] = uint16(r)
	}
}

// Power is the power spectrum of Size samples under a Hann window, scaled so that a
// full-scale sine in the middle of a band has 1 in it.
func Power(pcm []int16, out *[Bins]float32) {
	var re, im [Size]float32
	for i, v := range pcm[:Size] {
		re[swapped[i]] = float32(v) / 32768 * window[i]
	}
	// Danielson and Lanczos: transforms of h points are joined to those of 2h.
	for h := 1; h < Size; h *= 2 {
		for start := 0; start < Size; start += 2 * h {
			for j := range h {
				c, s := cosines[j*(Size/2/h)], sines[j*(Size/2/h)]
				a, b := start+j, start+j+h
				xr, xi := re[b]*c-im[b]*s, re[b]*s+im[b]*c
				re[a], im[a], re[b], im[b] = re[a]+xr, im[a]+xi, re[a]-xr, im[a]-xi
			}
		}
	}
	const scale = 16.0 / (Size * Size) // |X| of a sine is Size/4 under this window
	for k := range out {
		out[k] = (re[k]*re[k] + im[k]*im[k]) * scale
	}
}
