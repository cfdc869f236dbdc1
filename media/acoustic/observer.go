package acoustic

import (
	"math"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/fft"
)

const (
	// Hop is the time from word to word of a print.
	Hop = hop * time.Second / codec.Rate
	// MaxWords bounds a print: 60 s. What is heard later costs nothing and
	// leaves no trace.
	MaxWords = 60 * codec.Rate / hop

	hop   = 128  // samples, 16 ms
	size  = 2048 // samples in a window, 256 ms: long against the hop, so that prints taken at another phase agree
	bands = 33   // one more than bits in a word
	span  = 12   // hops between the windows compared, 192 ms: of 1 to 16 the one where noise flips few bits and words still differ

	low, high = 300.0, 3300.0 // Hz, inside every telephone band
)

var (
	transform = fft.New(size)
	window    [size]float32 // Hann
)

// edges has the first bin of each band, logarithmically spaced.
var edges [bands + 1]int

func init() {
	for i := range window {
		window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/size))
	}
	for i := range edges {
		edges[i] = int(math.Round(low * math.Pow(high/low, float64(i)/bands) * size / codec.Rate))
	}
}

// Observer takes the print of one stream of 8 kHz samples in frames of any
// length. It holds about 50 KB, all of it from the start, and is not safe for
// concurrent use.
type Observer struct {
	ring   [size]int16
	next   int     // where the next sample goes, which is also the oldest
	zeros  int     // samples of exact silence in a row
	phase  int     // samples since the last hop
	energy float64 // of the hop so far

	re, im   [size / 2]float32 // of the transform
	spectrum [size / 2]float32
	history  [span + 1][bands]float32 // energies of the bands, by hop modulo its length
	shape    [bands]float32           // shares of the bands in the last window
	hops     int

	words []uint32
	block block
}

// New gives an observer that has heard nothing.
func New() *Observer {
	return &Observer{words: make([]uint32, 0, MaxWords)}
}

// Frame takes the next samples.
func (o *Observer) Frame(pcm []int16) {
	if len(o.words) == MaxWords {
		return
	}
	for _, s := range pcm {
		o.sample(s)
	}
}

// Gap takes the place of samples that never came, lost or not sent, so that
// what follows stays where it was; more than the print's whole length is cut.
func (o *Observer) Gap(samples int) {
	for range min(samples, MaxWords*hop) {
		if len(o.words) == MaxWords {
			return
		}
		o.sample(0)
	}
}

// Print gives the words of the whole blocks of 2 s heard so far, one each Hop;
// 0 stands where there was no speech. The words given do not change any more
// and may be kept.
func (o *Observer) Print() []uint32 {
	n := len(o.words) - o.block.n
	return o.words[:n:n]
}

func (o *Observer) sample(s int16) {
	o.ring[o.next] = s
	if o.next++; o.next == size {
		o.next = 0
	}
	if s == 0 {
		o.zeros++
	} else {
		o.zeros = 0
	}
	o.energy += float64(s) * float64(s)
	if o.phase++; o.phase == hop {
		o.endHop()
		o.phase, o.energy = 0, 0
	}
}

// transform leaves |X(k)|² of the windowed ring in spectrum.
func (o *Observer) transform() {
	for i, at := range transform.Places() {
		a := (o.next + 2*i) % size
		b := (a + 1) % size
		o.re[at] = float32(o.ring[a]) * window[2*i]
		o.im[at] = float32(o.ring[b]) * window[2*i+1]
	}
	transform.Transform(o.re[:], o.im[:])
	transform.Power(o.re[:], o.im[:], o.spectrum[:])
}

func (o *Observer) endHop() {
	if len(o.words) == MaxWords {
		return
	}
	now := &o.history[o.hops%(span+1)]
	var m measure
	m.power = o.energy/(hop*32768*32768) + 1e-9
	m.level = 10 * math.Log10(m.power) // −90 at least
	if o.zeros < size {
		o.transform()
		m.loudness, m.flux = o.fold(now)
		m.tonality = tonality(&o.spectrum)
	} else {
		*now = [bands]float32{}
	}
	var word uint32
	if o.hops >= span {
		then := &o.history[(o.hops-span)%(span+1)]
		for b := range bands - 1 {
			if now[b]-now[b+1]-(then[b]-then[b+1]) > 0 {
				word |= 1 << b
			}
		}
		word = max(word, 1) // 0 says no speech
	}
	o.hops++
	o.words = append(o.words, word)
	if o.block.add(m) {
		o.block.judge(o.words[len(o.words)-blockHops:])
	}
}

// fold sums the spectrum into bands and gives their total and how much the
// shares have moved since the last window.
func (o *Observer) fold(into *[bands]float32) (total, flux float64) {
	var sum float32
	for b := range bands {
		var e float32
		for _, p := range o.spectrum[edges[b]:edges[b+1]] {
			e += p
		}
		into[b] = e
		sum += e
	}
	for b := range bands {
		share := into[b] / (sum + 1)
		flux += math.Abs(float64(share - o.shape[b]))
		o.shape[b] = share
	}
	return float64(sum), flux
}
