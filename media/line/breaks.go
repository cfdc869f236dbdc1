package line

import (
	"time"

	"github.com/portero/portero/policy"
)

// breaks finds pauses in sending over which the stream's own clock stood
// still: packets in sequence, one packet time apart by timestamp, but long
// apart by arrival.
//
// A stalled network shows the same gap, but then lets out in a burst what it
// held; so a break counts only when the packets behind it come at their pace.
type breaks struct {
	last packet
	any  bool
	n    int

	behind int       // packets since a possible break, 0 for none
	from   time.Time // arrival of the first packet behind it
}

const (
	leastBreak  = 300 * time.Millisecond
	breakProof  = 5                     // packets behind a break that are watched
	breakPace   = 40 * time.Millisecond // they take at least this long, half of 4 periods of 20 ms
	breaksNeeds = 2
)

func (b *breaks) add(k packet) {
	last, any := b.last, b.any
	b.last, b.any = k, true
	if !any || k.ssrc != last.ssrc || k.pt != last.pt || k.seq != last.seq+1 {
		b.behind = 0
		return
	}
	step := period(k.ts-last.ts, k.pt)
	if step == 0 {
		b.behind = 0
		return
	}
	if k.at.Sub(last.at) >= leastBreak {
		b.behind, b.from = 1, k.at
		return
	}
	if b.behind > 0 {
		if b.behind++; b.behind == breakProof {
			if k.at.Sub(b.from) >= breakPace {
				b.n++
			}
			b.behind = 0
		}
	}
}

func (b *breaks) evidence() (policy.Evidence, bool) {
	return policy.Evidence{Name: "line.discontinuous", LLR: llrClockStops,
		Says: "sends audio only while it has something to play, and its clock stands still between"}, b.n >= breaksNeeds
}
