package turns

import (
	"fmt"
	"time"

	"github.com/portero/portero/policy"
)

// An exchange is what is between the two sides' turns. It is worked out of both
// tracks as a whole, so that it does not hang on which side was heard first.
type exchange struct {
	latency  moments // of answers after the other's end, ms; less than 0 before it
	early    int     // of these, began just before it
	barged   int     // turns that began in the middle of the other's
	cut      int     // times that the other began while the caller spoke
	yielded  int     // of these, the caller stopped
	reaction moments // after so many ms
	echoes   int     // began at once with the other's speech
	starts   int     // of the other side

	spoken, over float64 // s that the caller spoke, and of these over the other's speech
	heard        float64 // s that the other spoke
	lasted       float64 // s from the answer to the last word of either
}

const (
	newTurn      = 500 * time.Millisecond // of silence before a turn
	answerIn     = 4 * time.Second        // later is no answer to what was said
	together     = 300 * time.Millisecond // both began at once: nobody answered
	closing      = 500 * time.Millisecond // before the end: the end was foreseen
	realTurn     = 600 * time.Millisecond // shorter is a cough, or "mhm"
	underway     = 600 * time.Millisecond // speaking for so long when the other begins
	noticeable   = 700 * time.Millisecond // what the other must say to be noticed
	yieldIn      = 2 * time.Second        // later is the end of what was to be said
	stopped      = time.Second            // of silence after it
	leastTurns   = 3                      // answers, for their latency and spread
	leastOver    = 4.0                    // s of speech of either side, for the overlap
	mostHeard    = 0.85                   // of the time: more is music or noise, and no speech
	leastChance  = 4.0                    // s of overlap that chance would give, for it to be told
	heedlessOver = 0.7                    // part of that; people and assistants have a fifth of it
	resolution   = 5.0                    // ms: a deviation is not known better
)

// exchanged compares the tracks from the answer on. What is not over yet is left
// for later.
func exchanged(caller, far *Track, since time.Time) (x exchange) {
	first, next := 0, 0 // of far's spans: the first since then, the first that is not over
	for first < len(far.spans) && far.spans[first].from.Before(since) {
		first++
	}
	next = first
	for i, c := range caller.spans {
		for next < len(far.spans) && far.spans[next].to.Before(c.from) {
			next++
		}
		j := next - 1 // the last that began before
		for k := next; k < len(far.spans) && far.spans[k].from.Before(c.to); k++ {
			x.over += both(c, far.spans[k]).Seconds()
			if !far.spans[k].from.After(c.from) {
				j = k
			}
		}
		if j < first || c.from.Before(since) || i > 0 && c.from.Sub(caller.spans[i-1].to) < newTurn {
			continue // nothing was said before, or it is the same turn
		}
		x.turn(caller, far, i, j)
	}
	x.spoken, x.heard = caller.seconds(since), far.seconds(since)
	for _, t := range []*Track{caller, far} {
		if n := len(t.spans); n > 0 {
			x.lasted = max(x.lasted, t.spans[n-1].to.Sub(since).Seconds())
		}
	}
	for i, f := range far.spans {
		if f.from.Before(since) || i > 0 && f.from.Sub(far.spans[i-1].to) < newTurn {
			continue
		}
		x.starts++
		x.interruption(caller, far, i)
	}
	return x
}

// turn files the caller's turn that begins with span i, after span j of the other's
// began.
func (x *exchange) turn(caller, far *Track, i, j int) {
	c := caller.spans[i]
	f := far.spans[j]
	open := far.open && j == len(far.spans)-1
	switch left := f.to.Sub(c.from); {
	case left <= 0 && !open:
		if -left <= answerIn {
			x.latency.add(float64(-left) / 1e6)
		}
	case c.from.Sub(f.from) < together:
		x.echoes++
	case left <= closing && !open:
		x.early++
		x.latency.add(float64(-left) / 1e6)
	case left > closing && turnEnd(caller, i).Sub(c.from) >= realTurn:
		x.barged++
	}
}

// interruption files the other side's turn that begins with span i, if it began
// while the caller spoke.
func (x *exchange) interruption(caller, far *Track, i int) {
	f := span{far.spans[i].from, turnEnd(far, i)}
	for k, c := range caller.spans {
		if f.from.Sub(c.from) < underway || !f.from.Before(c.to) {
			continue
		}
		if f.to.Sub(f.from) < noticeable {
			return
		}
		end := c.to
		last := k == len(caller.spans)-1
		for !last && caller.spans[k+1].from.Sub(end) < stopped {
			k++
			end = caller.spans[k].to
			last = k == len(caller.spans)-1
		}
		after := end.Sub(f.from)
		if after > yieldIn {
			x.cut++
		} else if !last || !caller.open {
			x.cut++
			x.yielded++
			x.reaction.add(float64(after) / 1e6)
		}
		return
	}
}

// turnEnd is the end of the turn that begins with span i.
func turnEnd(t *Track, i int) time.Time {
	for ; i+1 < len(t.spans) && t.spans[i+1].from.Sub(t.spans[i].to) < newTurn; i++ {
	}
	return t.spans[i].to
}

// echo says whether the line sends back what the other side says.
func (x *exchange) echo() bool { return 2*x.echoes > x.starts }

// heedless says whether the caller speaks as if there were no other side: over it as
// long as by chance, and stopping for none of its turns but a few.
func (x *exchange) heedless() bool {
	chance := x.spoken * x.heard / max(x.lasted, 1)
	return chance >= leastChance && x.heard <= mostHeard*x.lasted && x.over >= heedlessOver*chance &&
		x.cut >= leastTurns && 3*x.yielded <= x.cut
}

// evidence is what follows from the exchange.
func (x *exchange) evidence(w *Weights) (e []policy.Evidence) {
	if x.echo() {
		return nil
	}
	if n := x.latency.n; n >= leastTurns {
		mean, dev := x.latency.mean, max(x.latency.deviation(), resolution)
		e = append(e, policy.Evidence{
			Name: "turns.latency", LLR: clamp(w.Latency.Machine.normal(mean)-w.Latency.Human.normal(mean), w.Latency.Cap),
			Says: fmt.Sprintf("answered %d times, %s after the other's end on average", n, rough(mean)),
		}, policy.Evidence{
			Name: "turns.spread", LLR: clamp(w.Spread.Machine.deviation(dev, n)-w.Spread.Human.deviation(dev, n), w.Spread.Cap),
			Says: fmt.Sprintf("the %d latencies of the answers deviate by %s", n, rough(dev)),
		})
	}
	if x.heedless() { // what follows the other's end by chance is no answer
		e = nil
	}
	add := func(name string, s Shares, k, n int, says string) {
		llr, rec := w.happened(s, k, n)
		e = append(e, policy.Evidence{Name: name, LLR: llr, Recording: rec, Says: says})
	}
	answers, barged := x.latency.n, x.barged
	if x.heedless() {
		answers, barged = 0, 0
		add("turns.heedless", w.Heedless, 1, 1, fmt.Sprintf("spoke over the other for %.0f s, as much as by chance: takes no heed of what is said", x.over))
	}
	if answers >= leastTurns {
		add("turns.anticipates", w.Anticipates, x.early, answers,
			fmt.Sprintf("began %d of %d answers just before the other's end", x.early, answers))
	}
	if n := answers + barged; n >= leastTurns {
		add("turns.barge_in", w.BargeIn, barged, n,
			fmt.Sprintf("began %d of %d turns in the middle of what the other said", barged, n))
	}
	if x.cut > 0 {
		says := fmt.Sprintf("was interrupted %s and did not stop", times(x.cut))
		if x.yielded > 0 {
			says = fmt.Sprintf("was interrupted %s and stopped %s, after %s on average", times(x.cut), times(x.yielded), rough(x.reaction.mean))
		}
		add("turns.interrupted", w.Yields, x.yielded, x.cut, says)
	}
	if x.spoken >= leastOver && x.heard >= leastOver && x.heard <= mostHeard*x.lasted {
		share := max(x.over/x.spoken, 0.005)
		llr, rec := w.ratio(w.Overlap.Human.logNormal(share), w.Overlap.Assistant.logNormal(share), w.Overlap.Recording.logNormal(share), w.Overlap.Cap)
		e = append(e, policy.Evidence{Name: "turns.overlap", LLR: llr, Recording: rec,
			Says: fmt.Sprintf("spoke over the other for %.1f s of %.0f s", x.over, x.spoken)})
	}
	return e
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// rough is a time as people compare it, to 10 ms.
func rough(ms float64) time.Duration {
	return time.Duration(ms * 1e6).Round(10 * time.Millisecond)
}
