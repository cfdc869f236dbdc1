package training

import (
	"math"
	"math/rand/v2"

	"github.com/portero/portero/media/codec"
)

// lose drops the share of 20 ms packets, in bursts of about two, and conceals
// them as receivers do: the last pitch periods again, fading over 60 ms (after
// ITU-T G.711 Appendix I), then silence.
func lose(x []float64, share float64, rng *rand.Rand) {
	const packet = codec.Rate / 50
	lost := false
	for at := packet * 2; at+packet <= len(x); at += packet {
		// Two states: half of the lost packets are followed by another.
		p := share
		if lost {
			p = .5
		} else {
			p = share / 2 / math.Max(.1, 1-share)
		}
		was := lost
		lost = rng.Float64() < p
		if !lost {
			continue
		}
		conceal(x, at, packet, was)
	}
}

func conceal(x []float64, at, n int, again bool) {
	best, lag := -1.0, 80
	for l := 40; l <= 120 && at-2*l >= 0; l++ {
		var xy, xx, yy float64
		for i := 1; i <= l; i++ {
			u, v := x[at-i], x[at-i-l]
			xy += u * v
			xx += u * u
			yy += v * v
		}
		if c := xy / math.Sqrt(xx*yy+1e-12); c > best {
			best, lag = c, l
		}
	}
	gain := 1.0
	if again {
		gain = .6
	}
	for i := range n {
		fade := gain * math.Max(0, 1-.5*float64(i)/float64(n))
		x[at+i] = x[at+i-lag] * fade
		if i >= lag { // the period was copied with its fade already
			x[at+i] = x[at+i-lag] * .99
		}
	}
}

// comfort replaces what is under a threshold for longer than 200 ms by white
// noise of its level, as senders with discontinuous transmission do (RFC 3389).
func comfort(x []float64, rng *rand.Rand) {
	const block = codec.Rate / 50
	var db []float64
	loudest := -100.
	for i := 0; i+block <= len(x); i += block {
		p := 1e-10
		for _, v := range x[i : i+block] {
			p += v * v / block
		}
		db = append(db, 10*math.Log10(p))
		loudest = math.Max(loudest, db[len(db)-1])
	}
	quiet := 0
	level := 0.0
	for i, l := range db {
		if l > loudest-35 {
			quiet = 0
			continue
		}
		if quiet++; quiet <= 10 {
			level = l
			continue
		}
		g := math.Pow(10, level/20)
		for j := range block {
			x[i*block+j] = g * rng.NormFloat64()
		}
	}
}

// echo adds the line's echo: late, low and a little muffled.
func echo(x []float64, delay float64, db float64) {
	n := int(delay * codec.Rate)
	g := math.Pow(10, db/20)
	dry := append([]float64(nil), x...)
	for i := n + 1; i < len(x); i++ {
		x[i] += g * (dry[i-n] + dry[i-n-1]) / 2
	}
}

// clip overdrives by db and cuts: a handset held too close.
func clip(x []float64, db float64) {
	peak := 0.0
	for _, v := range x {
		peak = math.Max(peak, math.Abs(v))
	}
	limit := peak * math.Pow(10, -db/20)
	for i, v := range x {
		x[i] = math.Max(-limit, math.Min(limit, v))
	}
}

// under adds part of a recording db under −26 dBFS: music on hold, a room.
func under(x []float64, from []int16, db float64, rng *rand.Rand) {
	if len(from) == 0 {
		return
	}
	at := rng.IntN(len(from))
	n := make([]float64, len(x))
	power := 1e-12
	for i := range n {
		n[i] = float64(from[(at+i)%len(from)]) / 32768
		power += n[i] * n[i]
	}
	g := math.Pow(10, (-26-db)/20) / math.Sqrt(power/float64(len(n)+1))
	for i := range x {
		x[i] += g * n[i]
	}
}
