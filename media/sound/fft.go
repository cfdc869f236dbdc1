package sound

import "math"

// size is the window that is transformed: 32 ms, bins of 31.25 Hz.
const size = 256

// fft transforms size real samples by one complex transform of half the length
// (even samples real, odd ones imaginary), in place.
type fft struct {
	re, im [size / 2]float32
}

var (
	window           [size]float32 // Hann
	splitRe, splitIm [size/4 + 1]float32
	stageRe, stageIm [size / 2]float32 // of the stage that joins halves of h: h … 2h-1
	reversed         [size / 2]uint8
)

func init() {
	for i := range window {
		window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/size))
	}
	for i := range splitRe {
		s, c := math.Sincos(-2 * math.Pi * float64(i) / size)
		splitRe[i], splitIm[i] = float32(c), float32(s)
	}
	for half := 1; half < size/2; half *= 2 {
		for j := range half {
			s, c := math.Sincos(-math.Pi * float64(j) / float64(half))
			stageRe[half+j], stageIm[half+j] = float32(c), float32(s)
		}
	}
	for i := range reversed {
		r := 0
		for bit, v := size/4, i; bit > 0; bit, v = bit>>1, v>>1 {
			r |= bit * (v & 1)
		}
		reversed[i] = uint8(r)
	}
}

// power writes |X(k)|² of the windowed samples for k = 0 … size/2-1.
func (f *fft) power(x *[size]float32, out *[size / 2]float32) {
	const n = size / 2
	for i, r := range reversed {
		f.re[r], f.im[r] = x[2*i]*window[2*i], x[2*i+1]*window[2*i+1]
	}
	// The first two stages need no multiplication: their factors are 1 and -i.
	for k := 0; k < n; k += 4 {
		re, im := (*[4]float32)(f.re[k:]), (*[4]float32)(f.im[k:])
		ar, ai, br, bi := re[0]+re[1], im[0]+im[1], re[0]-re[1], im[0]-im[1]
		cr, ci, dr, di := re[2]+re[3], im[2]+im[3], re[2]-re[3], im[2]-im[3]
		re[0], im[0], re[2], im[2] = ar+cr, ai+ci, ar-cr, ai-ci
		re[1], im[1], re[3], im[3] = br+di, bi-dr, br-di, bi+dr
	}
	for h := 4; h < n; h *= 2 {
		wr, wi := stageRe[h:][:h:h], stageIm[h:][:h:h]
		for start := 0; start < n; start += 2 * h {
			ar, ai := f.re[start:][:h:h], f.im[start:][:h:h]
			br, bi := f.re[start+h:][:h:h], f.im[start+h:][:h:h]
			for j := range ar {
				xr, xi := br[j]*wr[j]-bi[j]*wi[j], br[j]*wi[j]+bi[j]*wr[j]
				br[j], bi[j] = ar[j]-xr, ai[j]-xi
				ar[j], ai[j] = ar[j]+xr, ai[j]+xi
			}
		}
	}
	// X(k) is even + w·odd, and X(n-k) the conjugate of even - w·odd.
	sum := f.re[0] + f.im[0]
	out[0] = sum * sum
	for k := 1; k <= n/2; k++ {
		er, ei, xr, xi := f.halves(k)
		a, b := er+xr, ei+xi
		out[k] = a*a + b*b
		a, b = er-xr, ei-xi
		out[n-k] = a*a + b*b
	}
}

// halves are what the even and the odd samples add to X(k): their sum is X(k), and
// their difference the conjugate of X(n-k).
func (f *fft) halves(k int) (er, ei, xr, xi float32) {
	const n = size / 2
	m := (n - k) % n
	er, ei = (f.re[k]+f.re[m])/2, (f.im[k]-f.im[m])/2
	or, oi := (f.im[k]+f.im[m])/2, (f.re[m]-f.re[k])/2
	wr, wi := splitRe[k], splitIm[k]
	return er, ei, wr*or - wi*oi, wr*oi + wi*or
}

// phase is the argument of X(k), radians, after power; k from 1 to size/2-1.
func (f *fft) phase(k int) float64 {
	const n = size / 2
	if k <= n/2 {
		er, ei, xr, xi := f.halves(k)
		return math.Atan2(float64(ei+xi), float64(er+xr))
	}
	er, ei, xr, xi := f.halves(n - k)
	return math.Atan2(-float64(ei-xi), float64(er-xr))
}
