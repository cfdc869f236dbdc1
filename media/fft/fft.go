// Package fft is the fast Fourier transform of real samples that all who listen
// share. It is pure, and allocates nothing but its tables.
//
// May be added here: another transform. Must not: windows, scales, and what a
// spectrum means.
package fft

import "math"

// Real transforms size real samples by one complex transform of half the length
// (even samples real, odd ones imaginary), which is then split. It holds tables
// only, never changes after New, and serves any number of streams at once.
type Real struct {
	n                int       // length of the complex transform, half of size
	stageRe, stageIm []float32 // of the stage that joins halves of h: h … 2h-1
	splitRe, splitIm []float32 // of the split, 0 … n/2
	reversed         []uint16
}

// New makes the tables for size real samples: a power of two from 16 to 131072. It
// panics at another.
func New(size int) *Real {
	if size < 16 || size > 1<<17 || size&(size-1) != 0 {
		panic("fft: the size is a power of two from 16 to 131072")
	}
	n := size / 2
	r := &Real{n: n, stageRe: make([]float32, n), stageIm: make([]float32, n),
		splitRe: make([]float32, n/2+1), splitIm: make([]float32, n/2+1), reversed: make([]uint16, n)}
	for half := 1; half < n; half *= 2 {
		for j := range half {
			s, c := math.Sincos(-math.Pi * float64(j) / float64(half))
			r.stageRe[half+j], r.stageIm[half+j] = float32(c), float32(s)
		}
	}
	for i := range r.splitRe {
		s, c := math.Sincos(-2 * math.Pi * float64(i) / float64(size))
		r.splitRe[i], r.splitIm[i] = float32(c), float32(s)
	}
	for i := range r.reversed {
		at := 0
		for bit, v := n/2, i; bit > 0; bit, v = bit>>1, v>>1 {
			at |= bit * (v & 1)
		}
		r.reversed[i] = uint16(at)
	}
	return r
}

// Places is where the samples go: sample 2i into re, and 2i+1 into im, at place i
// of what it returns. It is not to be written to.
func (r *Real) Places() []uint16 { return r.reversed }

// Load puts size samples into their places in re and im, of size/2 each.
func (r *Real) Load(x, re, im []float32) {
	re, im = re[:r.n], im[:r.n]
	for i, at := range r.reversed {
		two := (*[2]float32)(x[2*i:])
		re[at], im[at] = two[0], two[1]
	}
}

// Transform transforms what lies in its places, in place. What comes out is that of
// the pairs of samples; Halves, Power and RealPart split it.
func (r *Real) Transform(re, im []float32) {
	n := r.n
	re, im = re[:n], im[:n]
	// The first two stages need no multiplication: their factors are 1 and -i.
	for k := 0; k < n; k += 4 {
		x, y := (*[4]float32)(re[k:]), (*[4]float32)(im[k:])
		ar, ai, br, bi := x[0]+x[1], y[0]+y[1], x[0]-x[1], y[0]-y[1]
		cr, ci, dr, di := x[2]+x[3], y[2]+y[3], x[2]-x[3], y[2]-y[3]
		x[0], y[0], x[2], y[2] = ar+cr, ai+ci, ar-cr, ai-ci
		x[1], y[1], x[3], y[3] = br+di, bi-dr, br-di, bi+dr
	}
	// The others go two at a time, which reads and writes each number half as often.
	h := 4
	for ; 4*h <= n; h *= 4 {
		// Slices of one length spare the bounds checks of the inner loop.
		vr, vi := r.stageRe[h:][:h:h], r.stageIm[h:][:h:h]
		wr, wi := r.stageRe[2*h:][:h:h], r.stageIm[2*h:][:h:h]
		for start := 0; start < n; start += 4 * h {
			ar, ai := re[start:][:h:h], im[start:][:h:h]
			br, bi := re[start+h:][:h:h], im[start+h:][:h:h]
			cr, ci := re[start+2*h:][:h:h], im[start+2*h:][:h:h]
			dr, di := re[start+3*h:][:h:h], im[start+3*h:][:h:h]
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
	if h < n { // one is left over
		wr, wi := r.stageRe[h:][:h:h], r.stageIm[h:][:h:h]
		ar, ai := re[:h:h], im[:h:h]
		br, bi := re[h:][:h:h], im[h:][:h:h]
		for j := range ar {
			xr, xi := br[j]*wr[j]-bi[j]*wi[j], br[j]*wi[j]+bi[j]*wr[j]
			br[j], bi[j] = ar[j]-xr, ai[j]-xi
			ar[j], ai[j] = ar[j]+xr, ai[j]+xi
		}
	}
}

// Halves are what the even and the odd samples add to X(k), k = 0 … size/4: their
// sum is X(k), and their difference the conjugate of X(size/2-k).
func (r *Real) Halves(re, im []float32, k int) (er, ei, xr, xi float32) {
	m := (r.n - k) & (r.n - 1)
	er, ei = (re[k]+re[m])/2, (im[k]-im[m])/2
	or, oi := (im[k]+im[m])/2, (re[m]-re[k])/2
	wr, wi := r.splitRe[k], r.splitIm[k]
	return er, ei, wr*or - wi*oi, wr*oi + wi*or
}

// Power writes |X(k)|², k = 0 … size/2 as far as out reaches.
func (r *Real) Power(re, im, out []float32) {
	n := r.n
	if last := re[0] - im[0]; len(out) > n {
		out[n] = last * last
	}
	sum := re[0] + im[0]
	out[0] = sum * sum
	// What Halves does, from both ends at once.
	wr, wi := r.splitRe[1:n/2+1], r.splitIm[1:n/2+1]
	wi = wi[:len(wr)]
	reK, imK, outK := re[1:][:len(wr)], im[1:][:len(wr)], out[1:][:len(wr)]
	reM, imM, outM := re[n/2 : n][:len(wr)], im[n/2 : n][:len(wr)], out[n/2 : n][:len(wr)]
	for i := range wr {
		m := len(wr) - 1 - i
		er, ei := (reK[i]+reM[m])/2, (imK[i]-imM[m])/2
		or, oi := (imK[i]+imM[m])/2, (reM[m]-reK[i])/2
		xr, xi := wr[i]*or-wi[i]*oi, wr[i]*oi+wi[i]*or
		a, b := er+xr, ei+xi
		outK[i] = a*a + b*b
		a, b = er-xr, ei-xi
		outM[m] = a*a + b*b
	}
}

// RealPart writes the real part of X(k), k = 0 … size/2. Of a power spectrum it is
// the autocorrelation.
func (r *Real) RealPart(re, im, out []float32) {
	n := r.n
	out[0], out[n] = re[0]+im[0], re[0]-im[0]
	wr, wi := r.splitRe[1:n/2+1], r.splitIm[1:n/2+1]
	wi = wi[:len(wr)]
	reK, imK, outK := re[1:][:len(wr)], im[1:][:len(wr)], out[1:][:len(wr)]
	reM, imM, outM := re[n/2 : n][:len(wr)], im[n/2 : n][:len(wr)], out[n/2 : n][:len(wr)]
	for i := range wr {
		m := len(wr) - 1 - i
		er, or, oi := (reK[i]+reM[m])/2, (imK[i]+imM[m])/2, (reM[m]-reK[i])/2
		xr := wr[i]*or - wi[i]*oi
		outK[i], outM[m] = er+xr, er-xr
	}
}
