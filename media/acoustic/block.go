package acoustic

import "math"

const (
	blockHops = 125 // 2 s

	// Bounds of speech, from the training clips of the speech corpus at −26 dBFS
	// over µ-law: 88 % of human and 93 % of synthetic blocks lie inside, pauses
	// counted;
	// music on hold, tones, hum and steady noise fail at least one.

	// leastLevel also keeps out what comes back of our own prompts from a caller's
	// loudspeaker, some 20 dB under speech at −26: it would be the same in all calls.
	leastLevel    = -45.0 // dBFS
	leastFlux     = 0.15  // mean movement of the bands' shares a hop; music moves less, in steps
	leastSwing    = 4.5   // dB, standard deviation of the level; music and noise are steadier
	mostTonality  = 0.80  // share of the two strongest partials; call-progress tones have all in them
	belowLoudest  = 300.0 // power ratio to the block's loudest window, 25 dB: quieter words are of the room, not of the voice
	partialWidth  = 4     // bins each side of a partial, 16 Hz: the window's main lobe and a little vibrato
	firstToneBin  = 60    // 234 Hz
	behindToneBin = 900   // 3516 Hz
)

// measure is what one window adds to its block.
type measure struct {
	level    float64 // dBFS of the newest hop
	power    float64 // the same as a power, 1 for full scale
	loudness float64 // power of the whole window in the bands
	flux     float64
	tonality float64
}

// block decides whether 2 s of words are of speech.
type block struct {
	n                       int
	level, levels           float64 // sum and sum of squares, dB
	power                   float64
	flux, tonality, loudest float64
	loudness                [blockHops]float64
}

// add reports whether the block is full.
func (b *block) add(m measure) bool {
	b.loudness[b.n] = m.loudness
	b.loudest = max(b.loudest, m.loudness)
	b.level += m.level
	b.levels += m.level * m.level
	b.power += m.power
	b.flux += m.flux
	b.tonality += m.tonality
	b.n++
	return b.n == blockHops
}

// judge empties the words without speech and begins anew.
func (b *block) judge(words []uint32) {
	n := float64(blockHops)
	mean := b.level / n
	swing := math.Sqrt(max(0, b.levels/n-mean*mean))
	speech := 10*math.Log10(b.power/n) >= leastLevel && b.flux/n >= leastFlux && swing >= leastSwing && b.tonality/n <= mostTonality
	for i := range words {
		if !speech || b.loudness[i]*belowLoudest < b.loudest {
			words[i] = 0
		}
	}
	*b = block{}
}

// tonality is the share of the two strongest partials in the power between
// firstToneBin and behindToneBin.
func tonality(spectrum *[size / 2]float32) float64 {
	var all float32
	first := firstToneBin
	for k := firstToneBin; k < behindToneBin; k++ {
		all += spectrum[k]
		if spectrum[k] > spectrum[first] {
			first = k
		}
	}
	second := -1
	for k := firstToneBin; k < behindToneBin; k++ {
		if (k < first-2*partialWidth || k > first+2*partialWidth) && (second < 0 || spectrum[k] > spectrum[second]) {
			second = k
		}
	}
	var top float32
	for _, k := range [...]int{first, second} {
		for i := k - partialWidth; i <= k+partialWidth; i++ {
			top += spectrum[i]
		}
	}
	return float64(top / (all + 1))
}
