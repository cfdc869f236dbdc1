package acoustic

import "math"

// fft transforms size real samples by one complex transform of half the length
// (even samples real, odd ones imaginary), in place and without allocating.
// Tables are shared by all observers and never change after start.
type fft struct {
	re, im [size / 2]float32
}

var (
	window               [size]float32     // Hann
	twiddleRe, twiddleIm [size / 2]float32 // of the split into even and odd
	stageRe, stageIm     [size / 2]float32 // of the stage that joins halves of h: h … 2h-1
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
		reversed[i] = uint16(r)
	}
}

// power writes |X(k)|² for k = 0 … size/2-1 of what load left.
func (f *fft) power(out *[size / 2]float32) {
	const n = size / 2
	// The first two stages need no multiplication: their factors are 1 and -i.
	for k := 0; k < n; k += 4 {
		re, im := (*[4]float32)(f.re[k:]), (*[4]float32)(f.im[k:])
		ar, ai, br, bi := re[0]+re[1], im[0]+im[1], re[0]-re[1], im[0]-im[1]
		cr, ci, dr, di := re[2]+re[3], im[2]+im[3], re[2]-re[3], im[2]-im[3]
		re[0], im[0], re[2], im[2] = ar+cr, ai+ci, ar-cr, ai-ci
		re[1], im[1], re[3], im[3] = br+di, bi-dr, br-di, bi+dr
	}
	for half := 4; half < n; half *= 2 {
		// Slices of one length spare the bounds checks of the inner loop.
		wr, wi := stageRe[half:2*half], stageIm[half:2*half]
		for start := 0; start < n; start += 2 * half {
			ar, ai := f.re[start:][:half:half], f.im[start:][:half:half]
			br, bi := f.re[start+half:][:half:half], f.im[start+half:][:half:half]
			for j := range ar {
				xr := br[j]*wr[j] - bi[j]*wi[j]
				xi := br[j]*wi[j] + bi[j]*wr[j]
				br[j], bi[j] = ar[j]-xr, ai[j]-xi
				ar[j], ai[j] = ar[j]+xr, ai[j]+xi
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
