package training

import "math"

// fullRate is x through a coder and decoder built like GSM 06.10 (RPE-LTP): per
// 20 ms eight reflection coefficients, per 5 ms a long-term predictor and every
// third sample of what is left, in three bits. Numbers are kept in floating
// point and the tables are this program's, so the bits are not GSM's; what it
// does to a voice is. spacing is of the samples that are kept: 3 is GSM's, 4
// loses about as much as narrow-band AMR at its lower rates.
func fullRate(x []float64, spacing int) []float64 {
	const frame, sub, poles = 160, 40, 8
	out := make([]float64, len(x))
	pre, post := 0.0, 0.0
	var analysis, synthesis [poles]float64 // lattice states
	history := make([]float64, 120+sub)    // reconstructed residual
	for at := 0; at+frame <= len(x); at += frame {
		s := make([]float64, frame)
		for i := range s {
			s[i] = x[at+i] - 0.86*pre
			pre = x[at+i]
		}
		k := reflections(s, poles)
		for i := range k { // log-area ratios in 6, 6, 5, 5, 4, 4, 3, 3 bits
			step := [poles]float64{.05, .05, .1, .1, .18, .18, .3, .3}[i]
			lar := math.Round(math.Atanh(k[i])*2/step) * step
			k[i] = math.Tanh(lar / 2)
		}
		for from := 0; from < frame; from += sub {
			residual := make([]float64, sub)
			for i := range residual { // analysis lattice
				f, b := s[from+i], s[from+i]
				for j := range k {
					last := analysis[j]
					analysis[j] = b
					f, b = f+k[j]*last, last+k[j]*f
				}
				residual[i] = f
			}
			coded := excitation(residual, history, spacing)
			copy(history, history[sub:])
			copy(history[120:], coded)
			for i, e := range coded { // synthesis lattice
				for j := poles - 1; j >= 0; j-- {
					e -= k[j] * synthesis[j]
					if j < poles-1 {
						synthesis[j+1] = synthesis[j] + k[j]*e
					}
				}
				synthesis[0] = e
				post = e + 0.86*post
				out[at+from+i] = post
			}
		}
	}
	return out
}

// excitation codes 5 ms of residual: a long-term prediction with one of four
// gains from the reconstructed 15 ms before, and a regular grid of pulses.
func excitation(r, history []float64, spacing int) []float64 {
	past := history[len(history)-120:]
	best, gain, bestLag := 0.0, 0.0, 40
	for lag := 40; lag <= 120; lag++ {
		var xy, yy float64
		for i, v := range r {
			p := past[120-lag+i]
			xy += v * p
			yy += p * p
		}
		if xy > 0 && yy > 0 && xy*xy/yy > best {
			best, gain, bestLag = xy*xy/yy, xy/yy, lag
		}
	}
	gain = [...]float64{.1, .35, .65, 1}[int(math.Max(0, math.Min(3, math.Floor(gain*4-.3))))]
	if best == 0 {
		gain = 0
	}
	out := make([]float64, len(r))
	left := make([]float64, len(r))
	for i := range r {
		out[i] = gain * past[120-bestLag+i]
		left[i] = r[i] - out[i]
	}
	grid, most := 0, -1.0
	for g := range spacing {
		e := 0.0
		for i := g; i < len(left); i += spacing {
			e += left[i] * left[i]
		}
		if e > most {
			grid, most = g, e
		}
	}
	peak := 1e-9
	for i := grid; i < len(left); i += spacing {
		peak = math.Max(peak, math.Abs(left[i]))
	}
	peak = math.Exp2(math.Ceil(8*math.Log2(peak)) / 8)
	for i := grid; i < len(left); i += spacing {
		q := math.Floor(left[i]/peak*4) + .5 // three bits
		out[i] += math.Max(-3.5, math.Min(3.5, q)) / 4 * peak
	}
	return out
}

// reflections are the reflection coefficients of s (Schur by way of Levinson).
func reflections(s []float64, n int) []float64 {
	r := make([]float64, n+1)
	for lag := range r {
		for i := lag; i < len(s); i++ {
			r[lag] += s[i] * s[i-lag]
		}
	}
	k := make([]float64, n)
	if r[0] < 1e-10 {
		return k
	}
	r[0] *= 1.0005
	a := make([]float64, n+1)
	a[0] = 1
	left := r[0]
	for i := 1; i <= n; i++ {
		v := r[i]
		for j := 1; j < i; j++ {
			v += a[j] * r[i-j]
		}
		v = -v / left
		for j := 1; j <= i/2; j++ {
			a[j], a[i-j] = a[j]+v*a[i-j], a[i-j]+v*a[j]
		}
		a[i] = v
		left *= 1 - v*v
		k[i-1] = math.Max(-.995, math.Min(.995, v))
	}
	return k
}

// adpcm is x through a coder built like G.726: an adaptive quantiser of the
// difference to what two poles and six zeros predict, bits a sample.
func adpcm(x []float64, bits int) []float64 {
	const zeros = 6
	var b, d [zeros]float64
	var a, y [2]float64
	levels := math.Exp2(float64(bits - 1))
	step := 0.01
	out := make([]float64, len(x))
	for i, v := range x {
		p := a[0]*y[0] + a[1]*y[1]
		for j := range b {
			p += b[j] * d[j]
		}
		q := math.Floor((v-p)/step) + .5
		q = math.Max(.5-levels, math.Min(levels-.5, q))
		e := q * step
		o := math.Max(-1, math.Min(1, p+e))
		// Sign-sign adaptation with leakage, as the recommendation has it.
		for j := range b {
			b[j] = b[j]*(1-1./256) + sign(e)*sign(d[j])/128
		}
		a[1] = math.Max(-.75, math.Min(.75, a[1]*(1-1./128)+sign(e)*sign(y[1])/128))
		a[0] = math.Max(a[1]-.9375, math.Min(.9375-a[1], a[0]*(1-1./256)+3*sign(e)*sign(y[0])/256))
		copy(d[1:], d[:zeros-1])
		d[0] = e
		y[1], y[0] = y[0], o
		// Outer levels widen the step, inner ones narrow it.
		share := math.Abs(q) / levels
		step *= math.Exp(.12 * (2*share*share*share*1.5 - .35*(1-share)))
		step = math.Max(1e-4, math.Min(.2, step))
		out[i] = o
	}
	return out
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
