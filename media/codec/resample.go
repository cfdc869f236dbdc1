package codec

import "math"

// The resampler's filter: a Kaiser-windowed sinc. Flat to 0.45 of the lower
// rate (3.6 kHz of 8 kHz), 80 dB down at half of it.
const (
	stopDB    = 80.0
	kaiser    = 7.857 // β for stopDB: 0.1102·(stopDB − 8.7)
	edge      = 0.475 // −6 dB point, of the lower rate
	width     = 0.05  // from the end of the pass band to the stop band, of the lower rate
	maxPhases = 4096  // fractions of a sample beyond this are rounded: −69 dB at 0.45 of the rate
)

// Resample changes the sampling rate of x by a polyphase FIR filter of linear
// phase whose delay is taken out: sample i of the result lies i/to seconds into
// x. The result has ceil(len(x)·to/from) samples. With equal rates it is x itself.
func Resample(x []float32, from, to int) []float32 {
	if from == to || len(x) == 0 {
		return x
	}
	g := gcd(from, to)
	up, down := int64(to/g), int64(from/g)
	phases := int(min(up, maxPhases))

	// In samples of x: the filter's half length and cut-off.
	low := math.Min(1, float64(to)/float64(from))
	half := int(math.Ceil((stopDB - 8) / (14.36 * width) / 2 / low))
	taps := polyphase(phases, half, edge*low)

	n := (int64(len(x))*up + down - 1) / down
	out := make([]float32, n)
	for i := range out {
		at := int64(i) * down
		k, frac := int(at/up), at%up
		p := int((frac*int64(phases) + up/2) / up) // exact unless up > maxPhases
		if p == phases {
			p, k = 0, k+1
		}
		h := taps[p*2*half : (p+1)*2*half]
		first := k - half + 1 // x index under h[0]
		lo, hi := max(0, -first), min(2*half, len(x)-first)
		var sum float32
		for j := lo; j < hi; j++ {
			sum += h[j] * x[first+j]
		}
		out[i] = sum
	}
	return out
}

// polyphase is the filter, 2·half taps for each fraction p/phases of a sample;
// cut is its −6 dB point in cycles per sample. Each phase has gain 1 at 0 Hz.
func polyphase(phases, half int, cut float64) []float32 {
	taps := make([]float32, phases*2*half)
	one := bessel0(kaiser)
	row := make([]float64, 2*half)
	for p := range phases {
		sum := 0.0
		for j := range row {
			t := float64(j-half+1) - float64(p)/float64(phases) // from the output sample
			v := 0.0
			if w := t / float64(half); w > -1 && w < 1 {
				v = bessel0(kaiser*math.Sqrt(1-w*w)) / one
			}
			if s := 2 * math.Pi * cut * t; s != 0 {
				v *= math.Sin(s) / s
			}
			row[j] = v
			sum += v
		}
		for j, v := range row {
			taps[p*2*half+j] = float32(v / sum)
		}
	}
	return taps
}

// bessel0 is the modified Bessel function of the first kind, order 0.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
