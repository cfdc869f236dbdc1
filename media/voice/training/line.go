package training

import (
	"math"
	"math/rand/v2"

	"github.com/portero/portero/media/codec"
)

func sqrt(x float64) float64 { return math.Sqrt(x) }

// CleanLine is pcm over the reference line: speech at −26 dBFS, µ-law.
func CleanLine(pcm []int16) []int16 {
	return codec.Companded(quantise(levelled(floats(pcm), -26)), codec.MuLaw)
}

// Noises are recordings to mix in.
type Noises struct {
	Noise [][]int16 // rooms, streets, babble, pauses of lines
	Music [][]int16 // music on hold
}

// Line is pcm over a telephone line drawn from rng: a handset's band and tilt,
// clipping, noise, music, echo, level, comfort noise, a coder before the line,
// loss with concealment, one or two companding laws. Both classes get the same
// lines, so that none of this tells them apart.
func Line(pcm []int16, noises Noises, rng *rand.Rand) []int16 {
	x := floats(pcm)
	if rng.Float64() < 0.5 {
		tilt(x, 0.5*(2*rng.Float64()-1))
	}
	if rng.Float64() < 0.4 {
		highPass(x, 150+200*rng.Float64())
		highPass(x, 150+200*rng.Float64())
	}
	if rng.Float64() < 0.3 {
		lowPass(x, 2900+600*rng.Float64())
	}
	if rng.Float64() < 0.08 {
		clip(x, 2+8*rng.Float64())
	}
	x = levelled(x, -26)
	if rng.Float64() < 0.6 {
		addNoise(x, noises.Noise, 15+27*rng.Float64(), rng)
	}
	if rng.Float64() < 0.06 && len(noises.Music) > 0 {
		under(x, noises.Music[rng.IntN(len(noises.Music))], 18+15*rng.Float64(), rng)
	}
	if rng.Float64() < 0.1 {
		echo(x, .02+.15*rng.Float64(), -18-20*rng.Float64())
	}
	gain := math.Pow(10, (24*rng.Float64()-13)/20)
	for i := range x {
		x[i] *= gain
	}
	if rng.Float64() < 0.1 {
		comfort(x, rng)
	}
	law := codec.MuLaw
	if rng.Float64() < 0.4 {
		law = codec.ALaw
	}
	x = coded(x, law, rng)
	if rng.Float64() < 0.15 {
		lose(x, .05*rng.Float64(), rng)
	}
	return codec.Companded(quantise(x), law)
}

// coded is x through what may lie before the last line: a mobile's coder, an
// older trunk's, the other companding law.
func coded(x []float64, last codec.Law, rng *rand.Rand) []float64 {
	switch p := rng.Float64(); {
	case p < .10:
		return fullRate(x, 3)
	case p < .16:
		return fullRate(x, 4)
	case p < .21:
		return adpcm(x, 4)
	case p < .31:
		other := codec.MuLaw
		if last == codec.MuLaw {
			other = codec.ALaw
		}
		return floats(codec.Companded(quantise(x), other))
	}
	return x
}

// WithNoise is pcm at −26 dBFS with noise at the given ratio, dB, over µ-law.
func WithNoise(pcm []int16, noises [][]int16, snr float64, rng *rand.Rand) []int16 {
	x := levelled(floats(pcm), -26)
	addNoise(x, noises, snr, rng)
	return codec.Companded(quantise(x), codec.MuLaw)
}

// levelled brings speech to a level, dBFS, as root mean square of the 20 ms
// blocks within 30 dB of the loudest.
func levelled(x []float64, db float64) []float64 {
	const block = 160
	var powers []float64
	loudest := 0.0
	for i := 0; i+block <= len(x); i += block {
		p := 0.0
		for _, v := range x[i : i+block] {
			p += v * v
		}
		powers = append(powers, p/block)
		loudest = math.Max(loudest, p/block)
	}
	sum, n := 0.0, 0.0
	for _, p := range powers {
		if p > loudest/1000 {
			sum += p
			n++
		}
	}
	if n == 0 {
		return x
	}
	g := math.Pow(10, db/20) / math.Sqrt(sum/n)
	for i := range x {
		x[i] *= g
	}
	return x
}

// addNoise adds noise snr dB under −26 dBFS: a recording, white or pink.
func addNoise(x []float64, noises [][]int16, snr float64, rng *rand.Rand) {
	n := make([]float64, len(x))
	if len(noises) > 0 && rng.Float64() < 0.6 {
		from := noises[rng.IntN(len(noises))]
		at := rng.IntN(len(from))
		for i := range n {
			n[i] = float64(from[(at+i)%len(from)]) / 32768
		}
	} else {
		pink := rng.Float64() < 0.5
		// A sum of three first-order low-passes falls by about 3 dB an octave.
		var a, b, c float64
		for i := range n {
			w := rng.NormFloat64()
			if pink {
				a = 0.99*a + 0.1*w
				b = 0.96*b + 0.3*w
				c = 0.57*c + w
				w = a + b + c
			}
			n[i] = w
		}
	}
	power := 1e-12
	for _, v := range n {
		power += v * v
	}
	g := math.Pow(10, (-26-snr)/20) / math.Sqrt(power/float64(len(n)+1))
	for i := range x {
		x[i] += g * n[i]
	}
}

// tilt raises (by > 0) or lowers high frequencies by a first difference.
func tilt(x []float64, by float64) {
	last := 0.0
	for i, v := range x {
		x[i] = v - by*last
		last = v
	}
}

// highPass and lowPass are second-order Butterworth filters, cut-off in Hz.
func highPass(x []float64, hz float64) { biquad(x, hz, true) }
func lowPass(x []float64, hz float64)  { biquad(x, hz, false) }

func biquad(x []float64, hz float64, high bool) {
	s, c := math.Sincos(2 * math.Pi * hz / codec.Rate)
	alpha := s / math.Sqrt2
	b0, b1 := (1-c)/2, 1-c
	if high {
		b0, b1 = (1+c)/2, -(1 + c)
	}
	a0, a1, a2 := 1+alpha, -2*c, 1-alpha
	var x1, x2, y1, y2 float64
	for i, v := range x {
		y := (b0*v + b1*x1 + b0*x2 - a1*y1 - a2*y2) / a0
		x2, x1, y2, y1 = x1, v, y1, y
		x[i] = y
	}
}

func floats(pcm []int16) []float64 {
	x := make([]float64, len(pcm))
	for i, v := range pcm {
		x[i] = float64(v) / 32768
	}
	return x
}

func quantise(x []float64) []int16 {
	out := make([]int16, len(x))
	for i, v := range x {
		out[i] = int16(math.Max(-32768, math.Min(32767, math.Round(v*32768))))
	}
	return out
}
