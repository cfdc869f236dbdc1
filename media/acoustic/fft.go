package acoustic

import "math"

// fft transforms size real samples by one complex transform of half the length
// (even samples real, odd ones imaginary), in place and without allocating.
// Tables are shared by all observers and never change after start.
type fft struct {
	re, im [size / 2]float32
}

var (
	window               [size]float32 // Hann
	twiddleRe, twiddleIm [size / 2]float32
	reversed             [size / 2]uint16
)

func init() {
	for i := range window {
		window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/size))
	}
	for i := range twiddleRe {
		s, c := math.Sincos(-2 * math.Pi * float64(i) / size)
		twiddleRe[i], twiddleIm[i] = float32(c), float32(s)
	}
	for i := range reversed {
		r := 0
		for bit, v := size/4, i; bit > 0; bit, v = bit>>1, v>>1 {
			r |= bit * (v & 1)
		}
		reversed[i] = uint16(r)
	}
}

// power writes |X(k)|² for k = 0 … size/2-1 of what load left.
func (f *fft) power(out *[size / 2]float32) {
	const n = size / 2
	for half := 1; half < n; half *= 2 {
		step := n / half // twiddle index step in the table of size entries: size/(2*half)
		for start := 0; start < n; start += 2 * half {
			for j, t := start, 0; j < start+half; j, t = j+1, t+step {
				wr, wi := twiddleRe[t], twiddleIm[t]
				k := j + half
				xr := f.re[k]*wr - f.im[k]*wi
				xi := f.re[k]*wi + f.im[k]*wr
				f.re[k], f.im[k] = f.re[j]-xr, f.im[j]-xi
				f.re[j], f.im[j] = f.re[j]+xr, f.im[j]+xi
			}
		}
	}
	for k := range out {
		m := (n - k) % n
		er, ei := (f.re[k]+f.re[m])/2, (f.im[k]-f.im[m])/2
		or, oi := (f.im[k]+f.im[m])/2, (f.re[m]-f.re[k])/2
		xr := er + or*twiddleRe[k] - oi*twiddleIm[k]
		xi := ei + or*twiddleIm[k] + oi*twiddleRe[k]
		out[k] = xr*xr + xi*xi
	}
}

// load takes the samples of a ring from its oldest on, windowed.
func (f *fft) load(ring *[size]int16, oldest int) {
	for i := range size / 2 {
		a := (oldest + 2*i) % size
		b := (a + 1) % size
		r := reversed[i]
		f.re[r] = float32(ring[a]) * window[2*i]
		f.im[r] = float32(ring[b]) * window[2*i+1]
	}
}
