package training

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync"

	"github.com/portero/portero/media/codec"
)

// Condition is a line over which every clip is measured, alike for both classes.
type Condition struct {
	Name string
	over func(pcm []int16, noises Noises, rng *rand.Rand) []int16
}

// Conditions are the lines that are measured. The first is the reference.
func Conditions() []Condition {
	levelled26 := func(pcm []int16) []float64 { return levelled(floats(pcm), -26) }
	return []Condition{
		{"µ-law", func(pcm []int16, _ Noises, _ *rand.Rand) []int16 { return CleanLine(pcm) }},
		{"A-law", func(pcm []int16, _ Noises, _ *rand.Rand) []int16 {
			return codec.Companded(quantise(levelled26(pcm)), codec.ALaw)
		}},
		// A mobile's coder, a trunk of the other law, and this line.
		{"double transcoding", func(pcm []int16, _ Noises, _ *rand.Rand) []int16 {
			x := codec.Companded(quantise(fullRate(levelled26(pcm), 3)), codec.ALaw)
			return codec.Companded(x, codec.MuLaw)
		}},
		{"3 % loss", func(pcm []int16, _ Noises, rng *rand.Rand) []int16 {
			x := levelled26(pcm)
			lose(x, .03, rng)
			return codec.Companded(quantise(x), codec.MuLaw)
		}},
		{"20 dB noise", func(pcm []int16, n Noises, rng *rand.Rand) []int16 { return WithNoise(pcm, n.Noise, 20, rng) }},
		{"10 dB noise", func(pcm []int16, n Noises, rng *rand.Rand) []int16 { return WithNoise(pcm, n.Noise, 10, rng) }},
	}
}

// Measured is what a listener has of a clip over a condition's line at a moment.
type Measured struct {
	Row
	Condition int // index in Conditions
}

// MeasureRows listens to every clip over every condition. Over the reference
// line rows are taken at each stage, else at the end only.
func MeasureRows(clips []Clip, conditions []Condition, noises Noises, seed uint64) []Measured {
	byClip := make([][]Measured, len(clips))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				for k, c := range conditions {
					h := fnv.New64a()
					h.Write([]byte(clips[i].Path))
					pcm := c.over(clips[i].PCM, noises, rand.New(rand.NewPCG(seed+uint64(k), h.Sum64())))
					for _, r := range Moments(pcm) {
						if r.Clip = i; k == 0 || r.Stage == AtEnd {
							byClip[i] = append(byClip[i], Measured{r, k})
						}
					}
				}
			}
		})
	}
	for i := range clips {
		next <- i
	}
	close(next)
	wg.Wait()
	var rows []Measured
	for _, r := range byClip {
		rows = append(rows, r...)
	}
	return rows
}

// CallSeconds is the least length of a call that Calls joins, s.
const CallSeconds = 30.0

// Calls joins the clips of each speaker or synthesizer of a source to callers'
// sides of calls: clips at −26 dBFS with pauses of 0.4 to 3 s between them, in
// which the line has noise at −70 dBFS. Speakers with less than CallSeconds give
// none. Paths name the first clip.
func Calls(clips []Clip, seed uint64) []Clip {
	type key struct {
		source, speaker string
		synthetic       bool
	}
	by := map[key][]int{}
	for i := range clips {
		k := key{clips[i].Source, clips[i].Speaker, clips[i].Synthetic}
		by[k] = append(by[k], i)
	}
	keys := make([]key, 0, len(by))
	for k := range by {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		return fmt.Sprint(a) < fmt.Sprint(b)
	})
	var calls []Clip
	for n, k := range keys {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		call := clips[by[k][0]]
		call.PCM = nil
		for _, i := range by[k] {
			if len(call.PCM) == 0 {
				call.Path = "call of " + clips[i].Path
			}
			x := levelled(floats(clips[i].PCM), -26)
			pause := make([]float64, int((.4+2.6*rng.Float64())*codec.Rate))
			for j := range pause {
				pause[j] = 3e-4 * rng.NormFloat64()
			}
			call.PCM = append(append(call.PCM, quantise(x)...), quantise(pause)...)
			if float64(len(call.PCM)) >= CallSeconds*codec.Rate {
				calls = append(calls, call)
				call.PCM = nil
			}
		}
	}
	return calls
}
