package voice

import "math"

// What is measured inside a window beside its smooth spectrum: how periodic each
// band is, how rough the spectrum is around its envelope, and what a linear
// predictor leaves. Vocoders are too regular in one of these or another.
const (
	combBands   = 4
	rippleBands = 3
	order       = 10 // of the linear predictor
)

var (
	combEdges   = [combBands + 1]int{hzBin(100), hzBin(700), hzBin(1400), hzBin(2300), hzBin(3500)}
	rippleEdges = [rippleBands + 1]int{hzBin(200), hzBin(1200), hzBin(2300), hzBin(3500)}
)

func hzBin(hz float64) int { return int(math.Round(hz * size / rate)) }

// fine is what a window looks like at close range.
type fine struct {
	comb   [combBands]float32   // share of the band's power that repeats with the voice's period, -1..1; 0 unvoiced
	ripple [rippleBands]float32 // spread of the log power around its mean over ±156 Hz, nepers of power
	slant  float32              // skewness of that over the whole band
	gain   float32              // of the predictor: natural log of power over residual power
	peaky  float32              // kurtosis of the residual, at most 30
	lean   float32              // magnitude of the residual's skewness, at most 5

	signedLean float32 // the residual's skewness, at most ±5
}

// combs measures how periodic the bands are, of a window whose power spectrum
// is in a.power and whose pitch is f0, Hz.
func (a *analyser) combs(f0 float32, f *fine) {
	f.comb = [combBands]float32{}
	if f0 == 0 {
		return
	}
	lag := rate / float64(f0)
	turn := 2 * math.Pi * lag / size // of the phase, a bin
	shape := float64(windowACF[min(maxLag, int(lag+.5))])
	step := 2 * math.Cos(turn)
	for b := range f.comb {
		from, to := combEdges[b], combEdges[b+1]
		last, now := math.Cos(turn*float64(from-1)), math.Cos(turn*float64(from))
		var sum, all float64
		for _, p := range a.power[from:to] {
			sum += float64(p) * now
			all += float64(p)
			last, now = now, step*now-last
		}
		f.comb[b] = float32(sum / (all + 1e-20) / shape)
	}
}

// ripples measures how far the log power of every second bin lies from the mean
// of the eleven around it.
func (a *analyser) ripples(floor float64, f *fine) {
	const around = 5
	var logs [bins / 2]float32
	first, end := rippleEdges[0]/2-around, rippleEdges[rippleBands]/2+around+1
	for i := first; i < end; i++ {
		logs[i] = float32(math.Log(float64(a.power[2*i]) + floor))
	}
	var sum float32
	for _, l := range logs[first : first+2*around+1] {
		sum += l
	}
	var q2, q3, n float32
	for b := range f.ripple {
		var s2, count float32
		for i := rippleEdges[b] / 2; i < rippleEdges[b+1]/2; i++ {
			d := logs[i] - sum/(2*around+1)
			s2 += d * d
			q3 += d * d * d
			count++
			sum += logs[i+around+1] - logs[i-around]
		}
		f.ripple[b] = float32(math.Sqrt(float64(s2 / count)))
		q2 += s2
		n += count
	}
	v := float64(q2/n) + 1e-6
	f.slant = float32(float64(q3/n) / math.Pow(v, 1.5))
}

// predict fits a linear predictor to the window (autocorrelation method) and
// looks at what it leaves. x is the window times Hann, raw without.
func (a *analyser) predict(raw *[window]float32, f *fine) {
	var r [order + 1]float64
	for lag := range r {
		var s float32
		for i := lag; i < window; i++ {
			s += a.x[i] * a.x[i-lag]
		}
		r[lag] = float64(s)
	}
	f.gain, f.peaky, f.lean, f.signedLean = 0, 3, 0, 0
	if r[0] < 1e-12 {
		return
	}
	r[0] *= 1.0001 // noise 40 dB down keeps the predictor stable
	var c [order + 1]float64
	c[0] = 1
	left := r[0]
	for i := 1; i <= order; i++ {
		k := r[i]
		for j := 1; j < i; j++ {
			k += c[j] * r[i-j]
		}
		k = -k / left
		for j := 1; j <= i/2; j++ {
			c[j], c[i-j] = c[j]+k*c[i-j], c[i-j]+k*c[j]
		}
		c[i] = k
		left *= 1 - k*k
	}
	f.gain = float32(math.Log(r[0] / left))
	var w [order + 1]float32
	for i, v := range c {
		w[i] = float32(v)
	}
	var m2, m3, m4 float32
	for i := order; i < window; i++ {
		e := raw[i]
		for j := 1; j <= order; j++ {
			e += w[j] * raw[i-j]
		}
		q := e * e
		m2 += q
		m3 += q * e
		m4 += q * q
	}
	const n = window - order
	m2 = m2/n + 1e-14
	f.peaky = min(30, m4/n/(m2*m2))
	f.signedLean = float32(math.Max(-5, math.Min(5, float64(m3/n)/math.Pow(float64(m2), 1.5))))
	f.lean = float32(math.Abs(float64(f.signedLean)))
}
