package voice

import (
	"math"

	"github.com/portero/portero/media/fft"
)

// The analysis window and what is measured in it.
const (
	window  = 256 // samples: 32 ms, Hann
	filters = 24  // linear triangles from lowHz to highHz
	ceps    = 20  // C0 … C19
	lowHz   = 200.0
	highHz  = 3650.0

	minLag = rate / 420 // the voice's period is sought between 420 and 65 Hz
	maxLag = rate / 65

	octaveCost  = 0.001 // a sample of lag, off the height of a peak when peaks are compared
	voicedAt    = 0.45  // height from which a peak is a voice's, at lag 0
	voicedSlope = 0.002 // and what is added to that, a sample of lag

	// bandFloor is added to each filter's power, in parts of the mean speech
	// power: −50 dB. It hides whether a line is digitally silent, and keeps the
	// logarithm of nothing out of the statistics.
	bandFloor = 1e-5

	// binsPerBand is about how many bins' power a filter adds up.
	binsPerBand = 9
)

// spectrum is what one window of speech looks like.
type spectrum struct {
	c        [ceps]float32 // linear-frequency cepstral coefficients, natural log
	f0       float32       // Hz, 0 if not voiced
	harmonic float32       // height of the autocorrelation's peak, 0..1
	flatness float32       // geometric over arithmetic mean of the filters' power, natural log
	centroid float32       // kHz
	crest    float32       // kurtosis of the samples
	skew     float32       // magnitude of the samples' skewness
	signed   float32       // the samples' skewness, at most ±5
	second   float32       // height of the autocorrelation after two periods over that after one; 0 if not voiced or too long
	loud     bool          // of the hop at the window's middle
	fine
}

// size is the length of the real transform. A window of samples is analysed, the
// rest is zero, so that the autocorrelation does not wrap.
const (
	size = 512
	bins = size/2 + 1
)

var transform = fft.New(size)

// analyser turns windows of samples into spectra.
type analyser struct {
	re, im [size / 2]float32 // of the transform of x
	x      [size]float32
	power  [bins]float32
	acf    [bins]float32
	raw    [window]float32 // without mean and Hann
}

var (
	hann      [window]float32
	windowACF [maxLag + 2]float32 // autocorrelation of the window, of 1 at lag 0
	cosines   [ceps][filters]float32
	triangles [filters]triangle
)

// triangle is one filter: weights of the power spectrum's bins from first on.
type triangle struct {
	first  int
	weight []float32
}

func init() {
	for i := range hann {
		hann[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/window))
	}
	for lag := range windowACF {
		var sum, all float64
		for i := range hann {
			all += float64(hann[i]) * float64(hann[i])
			if i+lag < window {
				sum += float64(hann[i]) * float64(hann[i+lag])
			}
		}
		windowACF[lag] = float32(sum / all)
	}
	for k := range cosines {
		for i := range cosines[k] {
			cosines[k][i] = float32(math.Cos(math.Pi*float64(k)*(float64(i)+0.5)/filters) / math.Sqrt(filters))
		}
	}
	step := (highHz - lowHz) / (filters + 1)
	for i := range triangles {
		mid := lowHz + float64(i+1)*step
		t := &triangles[i]
		for k := range bins {
			w := 1 - math.Abs(float64(k)*rate/size-mid)/step
			if w <= 0 {
				continue
			}
			if t.weight == nil {
				t.first = k
			}
			t.weight = append(t.weight, float32(w))
		}
	}
}

// transform leaves the transform of x in re and im.
func (a *analyser) transform() {
	transform.Load(a.x[:], a.re[:], a.im[:])
	transform.Transform(a.re[:], a.im[:])
}

// analyse measures the window of samples at ring[at:], which wraps. ref is the
// mean power of speech so far in the same unit as the first result, the power
// in the filters; 0 while there was none.
func (a *analyser) analyse(ring *[window]float32, at int, ref float64, s *spectrum) float64 {
	var mean float32
	for _, v := range ring {
		mean += v
	}
	mean /= window
	var m2, m3, m4 float32
	for i := range window {
		v := ring[(at+i)%window] - mean
		q := v * v
		m2 += q
		m3 += q * v
		m4 += q * q
		a.raw[i] = v
		a.x[i] = v * hann[i]
	}
	m2 = m2/window + 1e-20
	s.crest = m4 / window / (m2 * m2)
	s.signed = float32(math.Max(-5, math.Min(5, float64(m3/window)/math.Pow(float64(m2), 1.5))))
	s.skew = float32(math.Abs(float64(m3/window) / math.Pow(float64(m2), 1.5)))
	a.predict(&a.raw, &s.fine)
	a.transform()
	transform.Power(a.re[:], a.im[:], a.power[:])
	total := a.cepstra(ref, s)
	a.ripples((ref+1e-12)*bandFloor/binsPerBand+1e-12, &s.fine)
	a.pitch(s)
	a.combs(s.f0, &s.fine)
	return total
}

// cepstra fills in what follows from the power spectrum.
func (a *analyser) cepstra(ref float64, s *spectrum) float64 {
	var band, logs [filters]float32
	var total, weighted float64
	for i := range triangles {
		t := &triangles[i]
		var sum float32
		for j, w := range t.weight {
			sum += w * a.power[t.first+j]
		}
		band[i] = sum
		total += float64(sum)
		weighted += float64(sum) * float64(i)
	}
	if ref == 0 {
		ref = total
	}
	floor := ref*bandFloor + 1e-12
	var logSum float64
	for i, b := range band {
		l := math.Log((float64(b) + floor) / (ref + 1e-12))
		logs[i] = float32(l)
		logSum += l
	}
	for k := range s.c {
		var sum float32
		for i, w := range cosines[k] {
			sum += w * logs[i]
		}
		s.c[k] = sum
	}
	all := total + filters*floor
	s.flatness = float32(logSum/filters - math.Log(all/filters/(ref+1e-12)))
	step := (highHz - lowHz) / (filters + 1)
	s.centroid = float32((lowHz + step*(1+weighted/(total+floor))) / 1000)
	return total
}

// pitch finds the voice's period as the peak of the autocorrelation, which is
// the transform of the power spectrum, with the window's taken out.
func (a *analyser) pitch(s *spectrum) {
	// Below 80 Hz is hum; above 2 kHz periods are told by the window's noise.
	const first, last = 80 * size / rate, 2000 * size / rate
	a.x = [size]float32{}
	for k := first; k < last; k++ {
		a.x[k], a.x[size-k] = a.power[k], a.power[k]
	}
	a.transform()
	transform.RealPart(a.re[:], a.im[:], a.acf[:])
	a.x = [size]float32{}
	s.f0, s.harmonic, s.second = 0, 0, 0
	zero := a.acf[0]
	if zero <= 0 {
		return
	}
	value := func(lag int) float64 { return float64(a.acf[lag] / (zero * windowACF[lag])) }
	best, height, period := 0.0, 0.0, 0.0
	for lag := minLag; lag <= maxLag; lag++ {
		if a.acf[lag] < a.acf[lag-1] || a.acf[lag] < a.acf[lag+1] {
			continue
		}
		// A parabola through the peak: short periods lie between samples.
		l, m, r := value(lag-1), value(lag), value(lag+1)
		shift := 0.0
		if d := l - 2*m + r; d < 0 {
			shift = math.Max(-0.5, math.Min(0.5, (l-r)/(2*d)))
			m -= (l - r) * shift / 4
		}
		// A little preference for short periods keeps the octave.
		if v := m - octaveCost*float64(lag); v > best {
			best, height, period = v, m, float64(lag)+shift
		}
	}
	s.harmonic = float32(math.Min(1, height))
	// Long lags compare few samples: noise reaches higher there.
	if period > 0 && height > voicedAt+voicedSlope*period {
		s.f0 = float32(rate / period)
		if two := int(2*period + .5); two <= maxLag {
			s.second = float32(math.Max(value(two-1), math.Max(value(two), value(min(maxLag, two+1)))) / height)
		}
	}
}
