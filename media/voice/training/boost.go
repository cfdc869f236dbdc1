package training

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/portero/portero/media/voice"
)

// Boosting is how trees are grown: gradient boosting of the logistic loss over
// features cut into classes of equal frequency.
type Boosting struct {
	Rounds   int     // trees
	Depth    int     // splits from root to leaf
	Rate     float64 // shrinkage of each tree
	Leaf     float64 // least sum of second derivatives in a leaf
	Ridge    float64 // added to that sum in a leaf's value
	Rows     float64 // share of clips that a tree sees
	Features float64 // share of features that a tree sees
}

const maxBins = 48

// binned are the features of all rows as class numbers, by feature.
type binned struct {
	class [][]uint8
	cuts  [][]float64 // cuts[f][b] parts class b from b+1
}

func bin(x [][]float64) *binned {
	features := len(x[0])
	b := &binned{class: make([][]uint8, features), cuts: make([][]float64, features)}
	values := make([]float64, len(x))
	for f := range features {
		for i := range x {
			values[i] = x[i][f]
		}
		slices.Sort(values)
		var cuts []float64
		for q := 1; q < maxBins; q++ {
			v := values[q*len(values)/maxBins]
			if v > values[0] && (len(cuts) == 0 || v > cuts[len(cuts)-1]) {
				cuts = append(cuts, v)
			}
		}
		b.cuts[f] = cuts
		b.class[f] = make([]uint8, len(x))
		for i := range x {
			at, found := slices.BinarySearch(cuts, x[i][f])
			if found {
				at++ // a value equal to the cut is not less than it
			}
			b.class[f][i] = uint8(at)
		}
	}
	return b
}

// boost grows trees on rows x with labels y, weights w, drawing by groups.
func boost(x [][]float64, y, w []float64, group []int, o Boosting, rng *rand.Rand) []voice.Tree {
	b := bin(x)
	score := make([]float64, len(x))
	grad, hess := make([]float64, len(x)), make([]float64, len(x))
	groups := 0
	for _, g := range group {
		groups = max(groups, g+1)
	}
	in := make([]bool, groups)
	var trees []voice.Tree
	for range o.Rounds {
		for i := range x {
			p := 1 / (1 + math.Exp(-score[i]))
			grad[i] = w[i] * (y[i] - p)
			hess[i] = w[i] * p * (1 - p)
		}
		for g := range in {
			in[g] = rng.Float64() < o.Rows
		}
		var rows []int32
		for i := range x {
			if in[group[i]] {
				rows = append(rows, int32(i))
			}
		}
		features := rng.Perm(len(x[0]))[:max(1, int(o.Features*float64(len(x[0]))))]
		g := grower{b: b, grad: grad, hess: hess, features: features, o: o}
		g.grow(rows, 0)
		for i := range x {
			score[i] += g.value(i)
		}
		trees = append(trees, g.tree)
	}
	return trees
}

type grower struct {
	b          *binned
	grad, hess []float64
	features   []int
	o          Boosting
	tree       voice.Tree
	class      []uint8 // of each inner node's cut
}

func (g *grower) node() int {
	g.tree.Feature = append(g.tree.Feature, 0)
	g.tree.Cut = append(g.tree.Cut, 0)
	g.tree.Left = append(g.tree.Left, 0)
	g.tree.Value = append(g.tree.Value, 0)
	g.class = append(g.class, 0)
	return len(g.class) - 1
}

func (g *grower) grow(rows []int32, depth int) {
	g.node()
	g.split(0, rows, depth)
}

func (g *grower) split(at int, rows []int32, depth int) {
	var sumG, sumH float64
	for _, i := range rows {
		sumG += g.grad[i]
		sumH += g.hess[i]
	}
	g.tree.Value[at] = math.Round(1e5*g.o.Rate*sumG/(sumH+g.o.Ridge)) / 1e5
	if depth == g.o.Depth {
		return
	}
	type sums struct{ g, h float64 }
	best, feature, class := 1e-6, -1, 0
	for _, f := range g.features {
		var hist [maxBins]sums
		cl := g.b.class[f]
		for _, i := range rows {
			h := &hist[cl[i]]
			h.g += g.grad[i]
			h.h += g.hess[i]
		}
		var lg, lh float64
		for c := range g.b.cuts[f] {
			lg += hist[c].g
			lh += hist[c].h
			rg, rh := sumG-lg, sumH-lh
			if lh < g.o.Leaf || rh < g.o.Leaf {
				continue
			}
			gain := lg*lg/(lh+g.o.Ridge) + rg*rg/(rh+g.o.Ridge) - sumG*sumG/(sumH+g.o.Ridge)
			if gain > best {
				best, feature, class = gain, f, c
			}
		}
	}
	if feature < 0 {
		return
	}
	var left, right []int32
	for _, i := range rows {
		if int(g.b.class[feature][i]) <= class {
			left = append(left, i)
		} else {
			right = append(right, i)
		}
	}
	l := g.node()
	r := g.node()
	g.tree.Feature[at], g.tree.Cut[at], g.tree.Left[at] = feature, g.b.cuts[feature][class], l
	g.class[at] = uint8(class)
	g.split(l, left, depth+1)
	g.split(r, right, depth+1)
}

// value is the tree's value for row i.
func (g *grower) value(i int) float64 {
	at := 0
	for g.tree.Left[at] != 0 {
		next := g.tree.Left[at]
		if g.b.class[g.tree.Feature[at]][i] > g.class[at] {
			next++
		}
		at = next
	}
	return g.tree.Value[at]
}
