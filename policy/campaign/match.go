package campaign

import (
	"fmt"
	"time"

	"github.com/portero/portero/policy"
)

// Match says with how many other calls a call shares its speech.
type Match struct {
	Calls   int     // other calls with the same speech
	Numbers int     // different numbers among them, the call's own left out; withheld ones count as one
	Seconds float64 // speech in the longest agreement, s
	InStep  float64 // the same, of those that come at the same moment after the answer, s
}

// Match compares a call's print with all other calls that are kept; its arguments
// are those of Add. It does not keep the print itself. A call is never matched with
// itself.
//
// It looks up each word and its 32 neighbours at one flipped bit, and costs
// less than 1 µs a word: ask when there is something new, not at every frame.
func (x *Index) Match(id, from string, print []uint32, at time.Time, lead time.Duration) Match {
	if len(print) > maxWords {
		print = print[:maxWords]
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	own, known := x.calls[id]

	type alignment struct {
		slot uint16
		d    int32
	}
	seen := map[alignment]struct{}{}
	matched := map[uint16]int{}
	inStep := 0
	for i, word := range print {
		if word == 0 {
			continue
		}
		hit := func(slot, pos uint16) {
			if known && slot == own || at.Sub(x.slots[slot].at) > x.config.MaxAge {
				return
			}
			d := int(pos) - i
			// One alignment shows in neighbouring offsets too: take the first.
			key := alignment{slot, int32(d)}
			if _, ok := seen[key]; ok {
				return
			}
			words := x.slots[slot].words
			if !likely(print, words, i, d) {
				return
			}
			seen[key] = struct{}{}
			n := agreement(print, words, d, x.needed)
			matched[slot] = max(matched[slot], n)
			if together(lead, x.slots[slot].lead, d) {
				inStep = max(inStep, n)
			}
		}
		x.table.find(word, mostHits, hit)
		for bit := range 32 {
			x.table.find(word^1<<bit, mostHits, hit)
		}
	}

	m := Match{InStep: float64(inStep) * hop.Seconds()}
	numbers := map[string]struct{}{}
	for slot, n := range matched {
		if n == 0 {
			continue
		}
		m.Calls++
		if other := x.slots[slot].from; other != from || other == "" {
			numbers[other] = struct{}{}
		}
		m.Seconds = max(m.Seconds, float64(n)*hop.Seconds())
	}
	m.Numbers = len(numbers)
	return m
}

// sameMoment is how far apart after the answer two calls say the same when a
// recording begins with the answer: what networks and the starts of streams add.
const sameMoment = 150 * time.Millisecond

// together says whether words that are d apart in two prints are at the same moment
// after the answers of their calls.
func together(a, b time.Duration, d int) bool {
	if a == Unanswered || b == Unanswered {
		return false
	}
	return (b - a + time.Duration(d)*hop).Abs() <= sameMoment
}

// The weights. No person says the same passage twice so that 3 s agree bit by
// bit, but one call may come in twice (a loop, a transfer back), then by one
// number; an own prompt echoing from loudspeakers would come by many.
const (
	llrOtherNumber       = 4.0
	recordingOtherNumber = 3.0
	llrSameNumber        = 1.5
	recordingSameNumber  = 2.0
	// A program may say its first sentence at a fixed moment; only a recording goes
	// on in step with itself, whatever it was told meanwhile.
	recordingInStep = 1.0
	leastInStep     = 8.0 // s
)

// Evidence gives what the match says; nothing if there is none.
func (m Match) Evidence() []policy.Evidence {
	if m.Calls == 0 {
		return nil
	}
	e := policy.Evidence{Name: "campaign.same_speech", LLR: llrOtherNumber, Recording: recordingOtherNumber}
	calls := fmt.Sprintf("%d other calls", m.Calls)
	if m.Calls == 1 {
		calls = "another call"
	}
	switch m.Numbers {
	case 0:
		e.LLR, e.Recording = llrSameNumber, recordingSameNumber
		calls += " from the same number"
	case 1:
		calls += " from another number"
	default:
		calls += fmt.Sprintf(" from %d numbers", m.Numbers)
	}
	e.Says = fmt.Sprintf("the same %.0f s of speech were heard in %s", m.Seconds, calls)
	if m.InStep >= leastInStep {
		e.Recording += recordingInStep
		e.Says += ", at the same moment after the answer"
	}
	return []policy.Evidence{e}
}
