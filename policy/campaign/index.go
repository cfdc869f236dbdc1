package campaign

import (
	"math"
	"math/bits"
	"sync"
	"time"
)

const (
	maxCalls = 1<<16 - 1
	// maxWords of a print are kept, 20 s: a message says what it is by then.
	maxWords = 1250
	// hop is the time from word to word.
	hop = 16 * time.Millisecond
	// stride is the distance of indexed words: neighbours are nearly equal.
	stride = 2
	// threshold is the share of differing bits under which two passages are the
	// same. Unlike speech differs in half of them, never under 0.41 in the tests;
	// the same speech in noise of 10 dB in about 0.2.
	threshold = 0.32
	// nearby is how many words around a hit are compared first, and loosely,
	// before the whole alignment is.
	nearby, loosely = 48, 0.42
	// mostHits of one word are followed.
	mostHits = 24
)

// Index holds the prints of recent calls. It is safe for concurrent use.
type Index struct {
	config Config
	needed int // words that must agree
	mu     sync.RWMutex
	calls  map[string]uint16 // slot of each call
	slots  []entry
	vacant []uint16
	oldest []string // calls in the order they were first added
	table  table
}

type entry struct {
	id    string // empty for a vacant slot
	from  string
	at    time.Time
	lead  time.Duration
	words []uint32
}

// Unanswered is the lead of a call whose answer is not known.
const Unanswered = time.Duration(math.MinInt64)

// New gives an empty index. The configuration is not checked again.
func New(c Config) *Index {
	x := &Index{config: c, needed: int(c.MinSpeech / hop), calls: map[string]uint16{}}
	x.table = newTable(c.MaxCalls * maxWords / stride / 2)
	return x
}

// Add keeps the print of a call for others to be matched with; from is the
// caller's number, empty if withheld, at the time of the call; lead is how long after
// the call's answer the print begins, negative before it. Added again, a call's print
// grows: only the words beyond those known are taken.
func (x *Index) Add(id, from string, print []uint32, at time.Time, lead time.Duration) {
	if x.config.MaxCalls <= 0 || id == "" {
		return
	}
	if len(print) > maxWords {
		print = print[:maxWords]
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expire(at)
	slot, ok := x.calls[id]
	if !ok {
		if silent(print) {
			return
		}
		for len(x.calls) >= x.config.MaxCalls {
			x.dropOldest()
		}
		slot = x.takeSlot()
		x.calls[id] = slot
		x.oldest = append(x.oldest, id)
		x.slots[slot] = entry{id: id, from: from, at: at}
	}
	e := &x.slots[slot]
	e.lead = lead
	known := len(e.words)
	if len(print) <= known {
		return
	}
	e.words = append(make([]uint32, 0, len(print)), e.words...)
	e.words = append(e.words, print[known:]...)
	for pos := known; pos < len(e.words); pos++ {
		if x.indexed(e.words, pos) {
			x.table.insert(e.words[pos], slot, uint16(pos))
		}
	}
}

// Len is the number of calls kept.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.calls)
}

// indexed says whether a word of a print has a posting: speech, every stride,
// and not the same word as before, which a tone in speech would repeat.
func (x *Index) indexed(words []uint32, pos int) bool {
	return words[pos] != 0 && pos%stride == 0 && (pos < stride || words[pos] != words[pos-stride])
}

func (x *Index) takeSlot() uint16 {
	if n := len(x.vacant); n > 0 {
		slot := x.vacant[n-1]
		x.vacant = x.vacant[:n-1]
		return slot
	}
	x.slots = append(x.slots, entry{})
	return uint16(len(x.slots) - 1)
}

// expire drops what is older than MaxAge.
func (x *Index) expire(now time.Time) {
	for len(x.oldest) > 0 {
		slot := x.calls[x.oldest[0]]
		if now.Sub(x.slots[slot].at) <= x.config.MaxAge {
			return
		}
		x.dropOldest()
	}
}

func (x *Index) dropOldest() {
	id := x.oldest[0]
	x.oldest = x.oldest[1:]
	slot := x.calls[id]
	e := &x.slots[slot]
	for pos := range e.words {
		if x.indexed(e.words, pos) {
			x.table.remove(e.words[pos], slot, uint16(pos))
		}
	}
	*e = entry{}
	delete(x.calls, id)
	x.vacant = append(x.vacant, slot)
}

func silent(print []uint32) bool {
	for _, w := range print {
		if w != 0 {
			return false
		}
	}
	return true
}

// agreement gives how many words of two prints agree when word i of a lies on
// word i+d of b: those in stretches of needed words of speech (in both) that
// differ in at most threshold of their bits.
func agreement(a, b []uint32, d, needed int) int {
	window := make([]uint8, needed) // the distances of the last needed pairs
	var pairs, sum, run, matched int
	for i := max(0, -d); i < len(a) && i+d < len(b); i++ {
		if a[i] == 0 || b[i+d] == 0 {
			continue
		}
		dist := bits.OnesCount32(a[i] ^ b[i+d])
		at := pairs % needed
		sum += dist - int(window[at])
		window[at] = uint8(dist)
		pairs++
		run++ // pairs since the last one counted as matched
		if pairs >= needed && float64(sum) <= threshold*32*float64(needed) {
			matched += min(run, needed)
			run = 0
		}
	}
	return matched
}

// likely is a quick look around a hit.
func likely(a, b []uint32, i, d int) bool {
	var pairs, sum int
	for k := max(i-nearby/2, 0, -d); k < min(i+nearby/2, len(a), len(b)-d); k++ {
		if a[k] != 0 && b[k+d] != 0 {
			pairs++
			sum += bits.OnesCount32(a[k] ^ b[k+d])
		}
	}
	return float64(sum) <= loosely*32*float64(pairs)
}
