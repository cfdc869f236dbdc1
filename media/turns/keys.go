package turns

import (
	"fmt"
	"math"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

// keys is the rhythm of key presses, kept as sums so that any number of keys
// takes the same memory.
//
// What is measured is the interval from key to key and the length of the tone.
// A sender reports both in steps of its packet time, 20 ms or 160 timestamp
// units (RFC 4733 section 2.5.1.2), and the network adds a few ms: a machine's
// constant 250 ms shows as 240 and 260. People's intervals deviate by 30 ms and
// more.
//
// The tone's length alone says little: many telephones send the same length
// however long the key is held.
type keys struct {
	last     time.Time
	n        int // keys
	gaps     moments
	lengths  moments
	min, max time.Duration // of the intervals
}

// moments are count, mean and sum of squared deviations (Welford's method).
type moments struct {
	n    int
	mean float64
	m2   float64
}

func (m *moments) add(x float64) {
	m.n++
	d := x - m.mean
	m.mean += d / float64(m.n)
	m.m2 += d * (x - m.mean)
}

// deviation is the sample standard deviation.
func (m *moments) deviation() float64 {
	if m.n < 2 {
		return 0
	}
	return math.Sqrt(m.m2 / float64(m.n-1))
}

const (
	// group is the longest interval that still belongs to one run of keys; a
	// longer one is thinking, listening, or the next menu.
	group = 2 * time.Second
	// even is how far apart a timer's intervals are at most: the network's
	// jitter where the period is a multiple of the packet time, one step of
	// packet time more where it is not.
	even, stepped = 10 * time.Millisecond, 28 * time.Millisecond
	// leastHeld is how many keys say something of how long they are held.
	leastHeld = 4
	// humanDeviation is what no timer shows, ms.
	humanDeviation = 30.0
)

func (k *keys) add(d codec.Digit) {
	if d.At.Before(k.last) {
		return
	}
	if k.n > 0 {
		if gap := d.At.Sub(k.last); gap <= group {
			if k.gaps.n == 0 || gap < k.min {
				k.min = gap
			}
			if gap > k.max {
				k.max = gap
			}
			k.gaps.add(float64(gap) / 1e6)
		}
	}
	k.n++
	k.last = d.At
	if !d.InBand {
		k.lengths.add(float64(d.Duration) / 1e6)
	}
}

// evidence needs three keys in a row, that is two intervals.
func (k *keys) evidence(e []policy.Evidence, w *Weights) []policy.Evidence {
	if k.gaps.n >= 2 {
		dev := k.gaps.deviation()
		switch spread := k.max - k.min; {
		case spread <= stepped:
			llr := regular(k.gaps.n, spread <= even)
			if k.lengths.n >= 3 && k.lengths.deviation() > humanDeviation {
				llr /= 2 // even intervals, uneven presses: a rhythmic person
			}
			e = append(e, policy.Evidence{Name: "keys.regular", LLR: llr,
				Says: fmt.Sprintf("pressed %d keys as evenly as a timer: one every %s, within %s", k.gaps.n+1, rough(k.gaps.mean), spread.Round(time.Millisecond))})
		case dev >= humanDeviation:
			llr := -min(0.75*float64(k.gaps.n-1), 2.0)
			e = append(e, policy.Evidence{Name: "keys.human", LLR: llr,
				Says: fmt.Sprintf("pressed %d keys at uneven times, as people do: one every %s, deviating by %s", k.gaps.n+1, rough(k.gaps.mean), rough(dev))})
		}
	}
	if k.lengths.n >= leastHeld {
		uneven, says := 0, fmt.Sprintf("held %d keys equally long: %s each", k.lengths.n, rough(k.lengths.mean))
		if dev := k.lengths.deviation(); dev > humanDeviation {
			uneven, says = 1, fmt.Sprintf("held %d keys unevenly long: %s each, deviating by %s", k.lengths.n, rough(k.lengths.mean), rough(dev))
		}
		llr, _ := w.happened(w.Held, uneven, 1)
		e = append(e, policy.Evidence{Name: "keys.held", LLR: llr, Says: says})
	}
	return e
}

// regular weighs n even intervals: ln 0.6, as not every machine keeps a timer,
// over the chance that a person whose intervals deviate by 80 ms hits such a
// spread; capped where the doubt is about that assumption itself.
func regular(n int, even bool) float64 {
	chance := [...]float64{2: 0.19, 3: 0.045} // by simulation, see the tests
	if even {
		chance = [...]float64{2: 0.07, 3: 0.006}
	}
	if n >= len(chance) {
		return 3.5
	}
	return min(math.Log(0.6/chance[n]), 3.5)
}
