package upstream

import (
	"cmp"
	"slices"
	"time"
)

// option is one address of one target, as the choice sees it.
type option struct {
	target           int // which of the destination's
	priority, weight int // the target's
	address          int // which of the target's
	srv              Address
	state            State
	until            time.Time
}

// choose picks one of the options: of those that are up, a target of the lowest
// priority by weight, and of its addresses one of the lowest SRV priority by
// weight (RFC 2782). If none is up, the least bad: who refuses before who is
// silent before who is down, and of these who will be well soonest. It returns
// -1 without options. Random gives 0 to n-1.
func choose(options []option, random func(n int) int) int {
	if len(options) == 1 {
		return 0
	}
	well := make([]int, 0, len(options))
	for i, o := range options {
		if o.state == Up {
			well = append(well, i)
		}
	}
	if len(well) == 0 {
		return leastBad(options)
	}
	well = lowest(well, func(i int) int { return options[i].priority })
	t := options[byShare(targetsOf(options, well), func(i int) int { return options[i].weight }, random)].target
	well = slices.DeleteFunc(well, func(i int) bool { return options[i].target != t })
	well = lowest(well, func(i int) int { return int(options[i].srv.priority) })
	return byWeight(well, func(i int) int { return int(options[i].srv.weight) }, random)
}

// leastBad is the option that is worth a try when none is well.
func leastBad(options []option) int {
	best := -1
	for i, o := range options {
		if best < 0 || cmp.Or(cmp.Compare(o.state, options[best].state), o.until.Compare(options[best].until),
			cmp.Compare(o.priority, options[best].priority)) < 0 {
			best = i
		}
	}
	return best
}

// lowest keeps the indexes for which of is least.
func lowest(indexes []int, of func(i int) int) []int {
	least := of(slices.MinFunc(indexes, func(a, b int) int { return cmp.Compare(of(a), of(b)) }))
	return slices.DeleteFunc(indexes, func(i int) bool { return of(i) != least })
}

// targetsOf keeps one index a target.
func targetsOf(options []option, indexes []int) []int {
	var out []int
	for _, i := range indexes {
		if !slices.ContainsFunc(out, func(j int) bool { return options[j].target == options[i].target }) {
			out = append(out, i)
		}
	}
	return out
}

// byShare picks in exact proportion to the weights, which are more than 0.
func byShare(indexes []int, weight func(i int) int, random func(n int) int) int {
	sum := 0
	for _, i := range indexes {
		sum += weight(i)
	}
	n := random(sum)
	for _, i := range indexes {
		if n -= weight(i); n < 0 {
			return i
		}
	}
	return indexes[len(indexes)-1]
}

// byWeight is RFC 2782's choice ("Usage rules"): records of weight 0 stand
// first and have a very small chance beside others; all of weight 0 have the
// same.
func byWeight(indexes []int, weight func(i int) int, random func(n int) int) int {
	sum := 0
	for _, i := range indexes {
		sum += weight(i)
	}
	if sum == 0 {
		return indexes[random(len(indexes))]
	}
	ordered := slices.Clone(indexes)
	slices.SortStableFunc(ordered, func(a, b int) int { return cmp.Compare(min(weight(a), 1), min(weight(b), 1)) })
	n, running := random(sum+1), 0
	for _, i := range ordered {
		if running += weight(i); running >= n {
			return i
		}
	}
	return ordered[len(ordered)-1]
}
