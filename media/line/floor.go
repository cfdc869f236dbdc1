package line

import (
	"math"

	"github.com/portero/portero/policy"
)

// floor keeps how often each frame level occurred, in steps of 1 dB, exact
// silence left out: enough for its percentiles at any moment.
type floor struct {
	n     int
	count [97]int // of frames at −96 … 0 dBFS
}

const (
	floorNeeds = 200 // frames, 4 s at 20 ms
	leastVoice = -45 // dBFS that the loud frames reach if somebody speaks
	noisyUnder = 22  // dB from background to voice
)

func (f *floor) add(pcm []int16) {
	var sum float64
	for _, s := range pcm {
		sum += float64(s) * float64(s)
	}
	db := 10 * math.Log10(sum/float64(len(pcm))/(32768*32768)+1e-10)
	f.count[min(96, max(0, int(db+96.5)))]++
	f.n++
}

// percentile gives the level under which a share of the frames lies, dBFS.
func (f *floor) percentile(share float64) int {
	left := int(share * float64(f.n))
	for i, c := range f.count {
		if left -= c; left < 0 {
			return i - 96
		}
	}
	return 0
}

func (f *floor) evidence() (policy.Evidence, bool) {
	if f.n < floorNeeds {
		return policy.Evidence{}, false
	}
	background, voice := f.percentile(0.10), f.percentile(0.95)
	ok := voice >= leastVoice && voice-background < noisyUnder && voice-background > steady
	return policy.Evidence{Name: "line.noise_floor", LLR: llrNoisy,
		Says: "there is a background close under the voice, as of a room or street"}, ok
}

// steady is the least distance of background and voice for anybody to be
// speaking at all: a tone or hiss has none.
const steady = 6
