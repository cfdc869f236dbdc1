package line

import (
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

// silence counts exact silence: frames in which no sample differs from the
// next. A quiet line flickers between the smallest codewords (µ-law FF and 7F,
// A-law D5 and 55); one that does not move at all was never near a microphone,
// or was muted or gated.
type silence struct {
	samples int // all
	still   int // in still runs of at least leastStill
	run     int // the present still run
	live    int // samples that were not still
	runs    int // still runs of at least leastStill
}

const (
	leastStill   = codec.Rate / 5 // 200 ms
	silenceNeeds = 4 * codec.Rate
	liveNeeds    = codec.Rate // 1 s of something else: pure silence is nobody speaking
	stillShare   = 0.15
	stillRuns    = 2
)

func (s *silence) add(n int, dead bool) {
	s.samples += n
	if !dead {
		s.live += n
		s.run = 0
		return
	}
	before := s.run
	s.run += n
	switch {
	case s.run < leastStill:
	case before < leastStill:
		s.still += s.run
		s.runs++
	default:
		s.still += n
	}
}

func (s *silence) evidence() (policy.Evidence, bool) {
	ok := s.samples >= silenceNeeds && s.live >= liveNeeds && s.runs >= stillRuns &&
		float64(s.still) >= stillShare*float64(s.samples)
	return policy.Evidence{Name: "line.digital_silence", LLR: llrDigitalSilence,
		Says: "the pauses are exactly silent, without any background"}, ok
}

// constant reports whether a frame holds one value only, by its codewords
// where there are any.
func constant(f *codec.Frame) bool {
	if len(f.Codewords) > 0 {
		for _, c := range f.Codewords {
			if c != f.Codewords[0] {
				return false
			}
		}
		return true
	}
	for _, s := range f.PCM {
		if s != f.PCM[0] {
			return false
		}
	}
	return true
}
