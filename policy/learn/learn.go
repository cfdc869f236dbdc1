package learn

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"

	"github.com/portero/portero/policy"
)

// Call is a call whose caller is known.
type Call struct {
	Evidence []policy.Evidence // of its final verdict
	Machine  bool              // an assistant or a recording called, else a person
	Group    string            // calls of one group, a caller's, are never on both sides of a test
}

const (
	// MinCalls are the people, and the machines, that are needed at least.
	MinCalls = 20
	// minWith is how many calls of either kind must have a family before its weight
	// is learnt.
	minWith = 10
	// trust is how far weights may be thought to lie from what they were, as a
	// standard deviation: few calls move them little.
	trust = 0.5
	// folds of the calls, of which each is judged by weights learnt from the others.
	folds = 5

	most   = 4.0 // a weight, as policy.Fusion allows
	sweeps = 12  // over the families
)

// Result is what was learnt.
type Result struct {
	Fusion           *policy.Fusion
	People, Machines int
	Families         []Family
	Before           Measure // with the weights as they were
	After            Measure // each call by weights that were learnt without its group
}

// Family is what became of a family.
type Family struct {
	Name             string
	People, Machines int // calls that have it
	Old, New         policy.Family
	Kept             string // why it stayed as it was; empty when it was learnt
}

// Measure says what fused ratios are worth on calls whose callers are known.
type Measure struct {
	Cllr   float64 // bits that the ratios cost, 0 for perfect ones, 1 for none
	Wrong  float64 // share of the people who are taken for machines, at the fusion's prior
	Caught float64 // share of the machines that are
}

// Fit learns the weights of a fusion.
func Fit(base *policy.Fusion, calls []Call) (*Result, error) {
	r := &Result{}
	for _, c := range calls {
		if c.Machine {
			r.Machines++
		} else {
			r.People++
		}
	}
	if r.People < MinCalls || r.Machines < MinCalls {
		return nil, fmt.Errorf("%d calls of people and %d of machines; at least %d of each are needed", r.People, r.Machines, MinCalls)
	}
	r.Fusion, r.Families = fit(base, calls)
	r.Before = measure(calls, func(int) *policy.Fusion { return base })
	var by [folds]*policy.Fusion
	for k := range by {
		rest := slices.DeleteFunc(slices.Clone(calls), func(c Call) bool { return c.fold() == k })
		by[k], _ = fit(base, rest)
	}
	r.After = measure(calls, func(i int) *policy.Fusion { return by[calls[i].fold()] })
	return r, nil
}

// fold is the part that a call is in.
func (c Call) fold() int {
	h := fnv.New32a()
	h.Write([]byte(c.Group))
	return int(h.Sum32() % folds)
}

// fit lowers the cost of the weights, one family after the other, again and again.
func fit(base *policy.Fusion, calls []Call) (*policy.Fusion, []Family) {
	p := newProblem(base, calls)
	for moved, n := 1.0, 0; moved > 0.01 && n < sweeps; n++ {
		moved = 0
		for i := range p.families {
			if p.families[i].Kept == "" {
				was := p.families[i].New.Weight
				p.improve(i)
				moved = max(moved, math.Abs(p.families[i].New.Weight-was))
			}
		}
	}
	out := *base
	out.Families = maps.Clone(base.Families)
	for i := range p.families {
		f := &p.families[i]
		f.New.Weight = math.Round(100*f.New.Weight) / 100
		if f.Kept == "" {
			out.Families[f.Name] = f.New
		}
	}
	return &out, p.families
}

// problem is the calls by their families.
type problem struct {
	families []Family
	sums     [][]float64 // of each family: the ratios of each call, before weights
	machine  []bool
	share    [2]float64 // what a call of a person, and of a machine, counts
	limit    float64
}

func newProblem(base *policy.Fusion, calls []Call) *problem {
	p := &problem{limit: base.Limit, machine: make([]bool, len(calls))}
	byName := map[string][]float64{}
	people, machines := 0, 0
	for i, c := range calls {
		if p.machine[i] = c.Machine; c.Machine {
			machines++
		} else {
			people++
		}
		for _, e := range policy.Sorted(c.Evidence) {
			name := policy.FamilyOf(e.Name)
			if byName[name] == nil {
				byName[name] = make([]float64, len(calls))
			}
			byName[name][i] += e.LLR
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		w, known := base.Families[name]
		if !known {
			w = base.Other
		}
		p.families = append(p.families, Family{Name: name, Old: w, New: w})
		p.sums = append(p.sums, byName[name])
	}
	even := float64(min(people, machines))
	p.share = [2]float64{even / float64(max(people, 1)), even / float64(max(machines, 1))}
	for k := range p.families {
		f := &p.families[k]
		for i, s := range p.sums[k] {
			switch {
			case s == 0:
			case p.machine[i]:
				f.Machines++
			default:
				f.People++
			}
		}
		switch _, known := base.Families[f.Name]; {
		case !known:
			f.Kept = "no weight of its own in the file"
		case f.Old.Weight == 0:
			f.Kept = "it weighs nothing on purpose"
		case f.People < minWith || f.Machines < minWith:
			f.Kept = fmt.Sprintf("at least %d calls of either kind must have it", minWith)
		default:
			// What n calls of people never showed may still come once in n.
			f.New.Max = min(f.Old.Max, round(math.Log(float64(people+1))))
			f.New.Min = max(f.Old.Min, -round(math.Log(float64(machines+1))))
		}
	}
	return p
}

func round(x float64) float64 { return math.Round(10*x) / 10 }

// part is what a family adds to a call with a weight.
func (p *problem) part(k, i int, weight float64) float64 {
	f := &p.families[k].New
	return min(max(weight*p.sums[k][i], f.Min), f.Max)
}

// cost is what a weight of one family costs on the calls, to which the others add
// rest, and for being another than it was.
func (p *problem) cost(k int, weight float64, rest []float64) float64 {
	sum := 0.0
	for i, machine := range p.machine {
		s := min(max(rest[i]+p.part(k, i, weight), -p.limit), p.limit)
		if machine {
			sum += p.share[1] * math.Log1p(math.Exp(-s))
		} else {
			sum += p.share[0] * math.Log1p(math.Exp(s))
		}
	}
	d := (weight - p.families[k].Old.Weight) / trust
	return sum + d*d/2
}

// improve finds the weight of one family that costs least, the others being as they
// are: on a grid, since caps make hills, and then between its neighbours.
func (p *problem) improve(k int) {
	rest := make([]float64, len(p.machine))
	for i := range rest {
		for j := range p.families {
			if j != k {
				rest[i] += p.part(j, i, p.families[j].New.Weight)
			}
		}
	}
	w := &p.families[k].New.Weight
	at := func(x float64) float64 { return p.cost(k, x, rest) }
	const step = most / 16
	best, least := *w, at(*w)
	for x := 0.0; x <= most; x += step {
		if c := at(x); c < least {
			best, least = x, c
		}
	}
	for d := step / 2; d > 0.002; d /= 2 {
		for _, x := range [...]float64{max(0, best-d), min(most, best+d)} {
			if c := at(x); c < least {
				best, least = x, c
			}
		}
	}
	*w = best
}

// measure judges each call by the fusion for it.
func measure(calls []Call, by func(i int) *policy.Fusion) (m Measure) {
	var cost, taken, n [2]float64
	for i, c := range calls {
		f := by(i)
		s := 0.0
		for _, x := range f.Contributions(c.Evidence) {
			s += x.Effect
		}
		k, sign := 0, 1.0
		if c.Machine {
			k, sign = 1, -1.0
		}
		n[k]++
		cost[k] += math.Log1p(math.Exp(sign*s)) / math.Ln2
		if policy.Probability(policy.LogOdds(f.Prior)+s) >= f.MachineAt {
			taken[k]++
		}
	}
	return Measure{Cllr: (cost[0]/n[0] + cost[1]/n[1]) / 2, Wrong: taken[0] / n[0], Caught: taken[1] / n[1]}
}
