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
	// The others go two at a time, which reads and writes each number half as often.
	for h := 4; h < n; h *= 4 {
		// Slices of one length spare the bounds checks of the inner loop.
		vr, vi := stageRe[h:][:h:h], stageIm[h:][:h:h]
		wr, wi := stageRe[2*h:][:h:h], stageIm[2*h:][:h:h]
		for start := 0; start < n; start += 4 * h {
			ar, ai := f.re[start:][:h:h], f.im[start:][:h:h]
			br, bi := f.re[start+h:][:h:h], f.im[start+h:][:h:h]
			cr, ci := f.re[start+2*h:][:h:h], f.im[start+2*h:][:h:h]
			dr, di := f.re[start+3*h:][:h:h], f.im[start+3*h:][:h:h]
			for j := range ar {
				xr, xi := br[j]*vr[j]-bi[j]*vi[j], br[j]*vi[j]+bi[j]*vr[j]
				yr, yi := dr[j]*vr[j]-di[j]*vi[j], dr[j]*vi[j]+di[j]*vr[j]
				pr, pi, qr, qi := ar[j]+xr, ai[j]+xi, ar[j]-xr, ai[j]-xi
				sr, si, tr, ti := cr[j]+yr, ci[j]+yi, cr[j]-yr, ci[j]-yi
				xr, xi = sr*wr[j]-si*wi[j], sr*wi[j]+si*wr[j]
				yr, yi = tr*wi[j]+ti*wr[j], ti*wi[j]-tr*wr[j] // a quarter of a turn further
				ar[j], ai[j], cr[j], ci[j] = pr+xr, pi+xi, pr-xr, pi-xi
				br[j], bi[j], dr[j], di[j] = qr+yr, qi+yi, qr-yr, qi-yi
			}
		}
	}
	// X(k) is even + w·odd, and X(n-k) the conjugate of even - w·odd.
	sum, diff := f.re[0]+f.im[0], float32(0)
	out[0] = sum * sum
	for k := 1; k <= n/2; k++ {
		m := n - k
		er, ei := (f.re[k]+f.re[m])/2, (f.im[k]-f.im[m])/2
		or, oi := (f.im[k]+f.im[m])/2, (f.re[m]-f.re[k])/2
		xr, xi := or*twiddleRe[k]-oi*twiddleIm[k], or*twiddleIm[k]+oi*twiddleRe[k]
		sum, diff = er+xr, ei+xi
		out[k] = sum*sum + diff*diff
		sum, diff = er-xr, ei-xi
		out[m] = sum*sum + diff*diff
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
