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
	stageRe, stageIm [size / 2]float32 // of the stage that joins halves of h: h … 2h-1
	splitRe, splitIm [bins]float32     // of the split
	reversed         [size / 2]uint16
)

func init() {
	for half := 1; half < size/2; half *= 2 {
		for j := range half {
			s, c := math.Sincos(-math.Pi * float64(j) / float64(half))
			stageRe[half+j], stageIm[half+j] = float32(c), float32(s)
		}
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
	for k := 0; k <= size/4; k++ {
		er, ei, xr, xi := f.halves(k)
		a, b := er+xr, ei+xi
		out[k] = a*a + b*b
		a, b = er-xr, ei-xi
		out[size/2-k] = a*a + b*b
	}
}

// real writes the real part of X(k) of x for k = 0 … size/2.
func (f *fft) real(x *[size]float32, out *[bins]float32) {
	f.transform(x)
	for k := 0; k <= size/4; k++ {
		er, _, xr, _ := f.halves(k)
		out[k], out[size/2-k] = er+xr, er-xr
	}
}

// halves are what the even and the odd samples add to X(k): their sum is X(k), and
// their difference the conjugate of X(size/2-k).
func (f *fft) halves(k int) (er, ei, xr, xi float32) {
	m := (size/2 - k) & (size/2 - 1)
	er, ei = (f.re[k]+f.re[m])/2, (f.im[k]-f.im[m])/2
	or, oi := (f.im[k]+f.im[m])/2, (f.re[m]-f.re[k])/2
	wr, wi := splitRe[k], splitIm[k]
	return er, ei, wr*or - wi*oi, wr*oi + wi*or
}

func (f *fft) transform(x *[size]float32) {
	for i, r := range reversed {
		f.re[i], f.im[i] = x[2*r], x[2*r+1]
	}
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
}
