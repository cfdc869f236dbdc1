package acoustic

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/portero/portero/policy"
)

// Repeats finds speech that is heard again later in the same call: a message that
// plays in a loop, or a sentence that a program has kept. Nobody says three seconds
// twice so that their prints agree bit by bit.
//
// It is asked whenever a print has grown, and looks at what is new only. The zero
// value is ready.
type Repeats struct {
	looked int // words of the print that were compared
	found  []repeat
	clear  int // no new place is looked for before this word: it belongs to the last
}

// repeat is a stretch and where it was before.
type repeat struct {
	from, to int // words
	lag      int
	speech   int // words of it that are of speech
}

const (
	leastLag     = 96 // words, 1.5 s: less is a sound that is held
	probeStep    = 32 // words from probe to probe
	probeWords   = 8
	probeStride  = 4
	probeBits    = 0.27 // of its bits that may differ; of other speech it is half
	stretchBits  = 0.25 // the same, of the whole stretch
	stretchEnd   = 0.40 // and of its last quarter of a second, where it ends
	leastStretch = 3 * time.Second
	mostRepeats  = 16
)

// Look compares what is new of a print with all that was before. The print is one
// that Observer.Print has given, and later ones of the same Observer.
func (r *Repeats) Look(print []uint32) {
	const reach = probeWords * probeStride
	for ; r.looked+reach <= len(print); r.looked += probeStep {
		if i := r.looked; i >= r.clear && i >= leastLag && len(r.found) < mostRepeats {
			r.probe(print, i)
		}
	}
	if n := len(r.found); n > 0 { // the last may go on
		if x := stretch(print, r.found[n-1].from, r.found[n-1].from, r.found[n-1].lag); x.speech > r.found[n-1].speech {
			r.found[n-1] = x
			r.clear = x.to
		}
	}
}

// probe looks for a quarter of a second, before.
func (r *Repeats) probe(print []uint32, i int) {
	var probe [probeWords]uint32
	words := 0
	for k := range probe {
		if probe[k] = print[i+k*probeStride]; probe[k] != 0 {
			words++
		}
	}
	if words < probeWords-1 {
		return
	}
	best := repeat{}
	for lag := leastLag; lag <= i; lag += 2 {
		if !probed(&probe, print[i-lag:]) {
			continue
		}
		for d := max(lag-1, leastLag); d <= min(lag+1, i); d++ {
			if x := stretch(print, r.clear, i, d); x.speech > best.speech {
				best = x
			}
		}
	}
	if time.Duration(best.speech)*Hop >= leastStretch {
		r.found = append(r.found, best)
		r.clear = best.to
	}
}

// probed says whether a probe is like the print from its first word on.
func probed(probe *[probeWords]uint32, print []uint32) bool {
	differ, n := 0, 0
	for k, w := range probe {
		v := print[k*probeStride]
		if w == 0 || v == 0 {
			continue
		}
		differ += bits.OnesCount32(w ^ v)
		if n++; n == 3 && differ > 3*32*2/5 {
			return false
		}
	}
	return n >= probeWords-2 && float64(differ) <= probeBits*32*float64(n)
}

// stretch is how far the print around word i, and from word first on, agrees with
// itself lag words before.
func stretch(print []uint32, first, i, lag int) repeat {
	x := repeat{from: i, to: i, lag: lag}
	differ := 0
	for _, step := range [...]int{1, -1} {
		var last [16]int
		sum, n := 0, 0
		j := i
		if step < 0 {
			j = i - 1
		}
		for quiet := 0; j >= max(first, lag) && j < len(print); j += step {
			if print[j] == 0 || print[j-lag] == 0 {
				if quiet++; quiet > 100 {
					break
				}
				continue
			}
			quiet = 0
			d := bits.OnesCount32(print[j] ^ print[j-lag])
			sum += d - last[n%len(last)]
			last[n%len(last)] = d
			if n++; n >= len(last) && float64(sum) > stretchEnd*32*float64(len(last)) {
				break
			}
			x.speech++
			differ += d
			x.from, x.to = min(x.from, j), max(x.to, j+1)
		}
	}
	if float64(differ) > stretchBits*32*float64(x.speech) {
		return repeat{}
	}
	return x
}

// The weights. A program that says the same sentence again speaks so, and so does
// a recording that begins anew; so does, with one sentence, somebody whose speech
// device has it ready. One repeat alone therefore leaves a call undecided.
const (
	llrRepeat       = 1.5
	recordingRepeat = 0.5
	llrLoop         = 2.5
	recordingLoop   = 1.5
	leastLoop       = 8 * time.Second // of speech heard before: no sentence
)

// Evidence gives what the repeats say; nothing if there is none.
func (r *Repeats) Evidence() []policy.Evidence {
	if len(r.found) == 0 {
		return nil
	}
	words, longest := 0, repeat{}
	for _, x := range r.found {
		words += x.speech
		if x.speech > longest.speech {
			longest = x
		}
	}
	all := time.Duration(words) * Hop
	e := policy.Evidence{Name: "sound.repeats", LLR: llrRepeat, Recording: recordingRepeat,
		Says: fmt.Sprintf("said %.0f s again as before, sound for sound, %.0f s later", (time.Duration(longest.speech) * Hop).Seconds(), (time.Duration(longest.lag) * Hop).Seconds())}
	if all >= leastLoop {
		e.LLR, e.Recording = llrLoop, recordingLoop
		e.Says = fmt.Sprintf("%.0f s of what was said are what was said before, sound for sound, %.0f s later: it plays in a loop", all.Seconds(), (time.Duration(longest.lag) * Hop).Seconds())
	}
	return []policy.Evidence{e}
}
