package campaign_test

import (
	"math"
	"math/rand/v2"

	"github.com/portero/portero/media/codec"
)

// speech makes a passage with the properties of speech that prints rest on:
// syllables of moving pitch through moving formants, noise between some, pauses.
// Another seed is another passage.
func speech(seed uint64, seconds float64) []int16 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]int16, 0, int(seconds*codec.Rate))
	phase := 0.0
	var state [3][2]float64
	for len(out) < cap(out) {
		n := codec.Rate * (8 + r.IntN(20)) / 100
		voiced, pause := r.Float64() < 0.8, r.Float64() < 0.15
		f0, bend := 90+120*r.Float64(), 0.7+0.6*r.Float64()
		from := [3]float64{300 + 500*r.Float64(), 900 + 1300*r.Float64(), 2300 + 700*r.Float64()}
		to := [3]float64{300 + 500*r.Float64(), 900 + 1300*r.Float64(), 2300 + 700*r.Float64()}
		for i := 0; i < n && len(out) < cap(out); i++ {
			x := float64(i) / float64(n)
			source := 0.3 * r.NormFloat64()
			if voiced {
				phase += f0 * (1 + x*(bend-1)) / codec.Rate
				if phase >= 1 {
					phase--
					source += 8
				}
			}
			y := 0.0
			for k := range state {
				w := 2 * math.Pi * (from[k] + x*(to[k]-from[k])) / codec.Rate
				v := source + 1.9*math.Cos(w)*state[k][0] - 0.9025*state[k][1]
				state[k][1], state[k][0] = state[k][0], v
				y += v / float64(k+1)
			}
			level := 180 * math.Sin(math.Pi*x)
			if pause {
				level = 1
			}
			out = append(out, int16(max(-32000, min(32000, level*y))))
		}
	}
	return out
}
