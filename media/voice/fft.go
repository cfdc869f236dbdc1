package voice

import "math"

// size is the length of the real transform. 256 samples are analysed, the rest
// is zero, so that the autocorrelation does not wrap.
const (
	size = 512
	bins = size/2 + 1
)

// fft is a real fast Fourier transform of fixed size: one complex transform of
// half the length over even and odd samples, then split. It allocates nothing.
type fft struct {
	re, im [size / 2]float32
}

var (
	twiddleRe, twiddleIm [size / 4]float32 // of the complex transform
	splitRe, splitIm     [bins]float32     // of the split
	reversed             [size / 2]uint16
)

func init() {
	for i := range twiddleRe {
		s, c := math.Sincos(-2 * math.Pi * float64(i) / (size / 2))
		twiddleRe[i], twiddleIm[i] = float32(c), float32(s)
	}
	for i := range splitRe {
		s, c := math.Sincos(-2 * math.Pi * float64(i) / size)
		splitRe[i], splitIm[i] = float32(c), float32(s)
	}
	for i := range reversed {
		r := 0
		for b, v := size/4, i; b > 0; b, v = b>>1, v>>1 {
			if v&1 == 1 {
				r |= b
			}
		}
		reversed[i] = uint16(r)
	}
}

// power writes |X(k)|² of x for k = 0 … size/2.
func (f *fft) power(x *[size]float32, out *[bins]float32) {
	f.transform(x)
	for k := range out {
		re, im := f.bin(k)
		out[k] = re*re + im*im
	}
}

// real writes the real part of X(k) of x for k = 0 … size/2.
func (f *fft) real(x *[size]float32, out *[bins]float32) {
	f.transform(x)
	for k := range out {
		out[k], _ = f.bin(k)
	}
}

// bin is X(k) of the real input, out of the transform of its even and odd halves.
func (f *fft) bin(k int) (re, im float32) {
	a, b := k%(size/2), (size/2-k)%(size/2)
	er, ei := (f.re[a]+f.re[b])/2, (f.im[a]-f.im[b])/2
	or, oi := (f.im[a]+f.im[b])/2, (f.re[b]-f.re[a])/2
	wr, wi := splitRe[k], splitIm[k]
	return er + wr*or - wi*oi, ei + wr*oi + wi*or
}

func (f *fft) transform(x *[size]float32) {
	for i, r := range reversed {
		f.re[i], f.im[i] = x[2*r], x[2*r+1]
	}
	const n = size / 2
	for half := 1; half < n; half *= 2 {
		step := n / 2 / half
		for start := 0; start < n; start += 2 * half {
			re, im := f.re[start:start+2*half], f.im[start:start+2*half]
			for j, t := 0, 0; j < half; j, t = j+1, t+step {
				wr, wi := twiddleRe[t], twiddleIm[t]
				br, bi := re[j+half], im[j+half]
				tr, ti := wr*br-wi*bi, wr*bi+wi*br
				ar, ai := re[j], im[j]
				re[j], im[j] = ar+tr, ai+ti
				re[j+half], im[j+half] = ar-tr, ai-ti
			}
		}
	}
}
