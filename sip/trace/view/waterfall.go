package view

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/trace"
)

// waterfall is how a verdict came about: from the prior's log-odds of a machine, one
// item of evidence after the other in the order of time, to the verdict's.
type waterfall struct {
	prior   float64 // log-odds
	steps   []step
	verdict float64
	lo, hi  float64 // the range of all that it passes, and at least ±1
}

// step is what one item of evidence does.
type step struct {
	trace.Evidence
	from, to float64       // log-odds
	after    time.Duration // the call's beginning; when it came
}

func newWaterfall(c *trace.Call) *waterfall {
	w := &waterfall{prior: logOdds(c.Verdict.Prior)}
	start := began(c)
	x := w.prior
	w.lo, w.hi = min(x, -1), max(x, 1)
	items := slices.Clone(c.Verdict.Evidence)
	slices.SortStableFunc(items, func(a, b trace.Evidence) int {
		return cmp.Or(timeOf(a).Compare(timeOf(b)), cmp.Compare(math.Abs(b.Effect), math.Abs(a.Effect)))
	})
	for _, e := range items {
		s := step{Evidence: e, from: x, to: x + e.Effect}
		if e.At != nil {
			s.after = e.At.Sub(start)
		}
		x = s.to
		w.lo, w.hi = min(w.lo, x), max(w.hi, x)
		w.steps = append(w.steps, s)
	}
	w.verdict = x
	return w
}

func timeOf(e trace.Evidence) time.Time {
	if e.At == nil {
		return time.Time{}
	}
	return e.At.Time
}

// logOdds bears probabilities that are rounded to certainty.
func logOdds(p float64) float64 { return policy.LogOdds(min(max(p, 1e-6), 1-1e-6)) }
