package judge

import (
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portero/portero/media/acoustic"
	"github.com/portero/portero/policy/campaign"
)

// minSpeech is how much speech a print must hold before it is compared or kept.
const minSpeech = 3 * time.Second

// recognise compares what the caller said with what other calls said, and keeps
// it for them. It does so whenever the print has grown, so that the second call
// of a message is known while it still speaks.
func (c *Call) recognise(at time.Time) {
	x := c.bench.Campaigns
	if x == nil {
		return
	}
	print := c.ear.words()
	if len(print) == c.printed {
		return
	}
	c.printed = len(print)
	if speech(print) < minSpeech {
		return
	}
	c.bench.hops.meet(c, print)
	lead := campaign.Unanswered
	if c.answered.past(at) {
		lead = c.ear.began.Sub(c.answered.at)
	}
	m := x.Match(c.campaignID, c.facts.From, print, at, lead)
	c.facts.Campaign = m.Calls
	c.campaign = m.Evidence()
	if !c.twin {
		x.Add(c.campaignID, c.facts.From, print, at, lead)
	}
}

// speech is how much of a print is speech.
func speech(print []uint32) time.Duration {
	n := 0
	for _, w := range print {
		if w != 0 {
			n++
		}
	}
	return time.Duration(n) * acoustic.Hop
}

// hops knows the calls that are going on, to find those that are one call heard
// at two places of its way: a capture at a B2BUA holds both of its legs, with
// different Call-IDs and perhaps numbers, and the same speech at the same
// moment. Without it every such call would be a campaign of itself. Two calls
// of a campaign do not play in step to a few hundredths of a second.
type hops struct {
	mu    sync.Mutex
	calls map[*Call]hop
}

// names counts the calls of all benches: a campaign index may outlive a bench.
var names atomic.Uint64

type hop struct {
	id    string
	began time.Time // first frame
	print []uint32
}

const (
	// hopDelay is the most by which a frame is later at the second place.
	hopDelay = 48 * time.Millisecond
	// hopBits is the share of differing bits under which two places hear the
	// same: transcoding leaves most bits as they are, other speech half.
	hopBits = 0.25
	// hopLeast and hopMost are how many words are compared.
	hopLeast, hopMost = int(minSpeech / 2 / acoustic.Hop), int(minSpeech / acoustic.Hop)
)

// newName names a call in the campaign index.
func newName() string { return strconv.FormatUint(names.Add(1), 10) }

// leave forgets a call that has ended.
func (h *hops) leave(c *Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.calls, c)
}

// meet makes the print known, and finds out whether the call is one that is
// known already.
func (h *hops) meet(c *Call, print []uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.twin {
		return
	}
	mine := hop{id: c.campaignID, began: c.ear.began, print: print}
	if _, known := h.calls[c]; !known {
		for call, other := range h.calls {
			if mine.began.Sub(other.began) > lastTick {
				delete(h.calls, call) // nobody ended it
				continue
			}
			if mine.same(other) {
				c.twin, c.campaignID = true, other.id
				return
			}
		}
	}
	if h.calls == nil {
		h.calls = map[*Call]hop{}
	}
	h.calls[c] = mine
}

// same says whether two prints are in step.
func (p hop) same(q hop) bool {
	apart := q.began.Sub(p.began)
	for d := -hopDelay; d <= hopDelay; d += acoustic.Hop {
		if agrees(p.print, q.print, -int((apart+d)/acoustic.Hop)) {
			return true
		}
	}
	return false
}

// agrees says whether word i of a is like word i+d of b, as far as speech is in
// both.
func agrees(a, b []uint32, d int) bool {
	pairs, differ := 0, 0
	for i := max(0, -d); i < len(a) && i+d < len(b) && pairs < hopMost; i++ {
		if a[i] != 0 && b[i+d] != 0 {
			pairs++
			differ += bits.OnesCount32(a[i] ^ b[i+d])
		}
	}
	return pairs >= hopLeast && float64(differ) <= hopBits*32*float64(pairs)
}
