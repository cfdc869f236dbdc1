package training

import (
	"math"
	"sort"
)

// Scored is one clip's held-out score.
type Scored struct {
	Score     float64
	Synthetic bool
	Source    string
	Kind      string
	Speaker   string
	Language  string
}

// Figures tell how well scores part synthetic from human speech.
type Figures struct {
	Human, Synthetic int
	AUC              float64 // area under the ROC curve, 0.5 is chance
	EER              float64 // error rate where both errors are equal, 0..1
	Within           float64 // mean AUC inside sources that hold both classes, weighted by clips
	WithinClips      int     // clips in such sources
	At1, At5         float64 // share of synthetic clips over the score that 1 % and 5 % of humans exceed
	At95             float64 // share of human clips over the score that 95 % of synthetic clips exceed
	Cllr, MinCllr    float64 // cost of the scores as log-likelihood ratios, bits, and the least that any monotone map of them has
}

// Measure gives the figures of scores.
func Measure(s []Scored) Figures {
	s = append([]Scored(nil), s...)
	sort.SliceStable(s, func(i, j int) bool { return s[i].Score > s[j].Score })
	var f Figures
	for _, c := range s {
		if c.Synthetic {
			f.Synthetic++
		} else {
			f.Human++
		}
	}
	f.AUC = auc(s)
	f.EER, f.At1, f.At5, f.At95 = rates(s, f.Human, f.Synthetic)
	f.Cllr, f.MinCllr = cllr(s), minCllr(s)
	bySource := map[string][]Scored{}
	for _, c := range s {
		bySource[c.Source] = append(bySource[c.Source], c)
	}
	names := make([]string, 0, len(bySource))
	for n := range bySource {
		names = append(names, n)
	}
	sort.Strings(names) // sums in one order give one result
	for _, n := range names {
		g := bySource[n]
		if a := auc(g); !math.IsNaN(a) {
			f.Within += a * float64(len(g))
			f.WithinClips += len(g)
		}
	}
	f.Within /= math.Max(1, float64(f.WithinClips))
	return f
}

// auc is the share of pairs in which the synthetic clip scores higher, ties
// half; NaN without both classes. s is sorted, highest first.
func auc(s []Scored) float64 {
	var pairs, won, synth, human float64
	for i := 0; i < len(s); {
		var ts, th float64
		j := i
		for ; j < len(s) && s[j].Score == s[i].Score; j++ {
			if s[j].Synthetic {
				ts++
			} else {
				th++
			}
		}
		won += th*synth + th*ts/2
		synth += ts
		human += th
		i = j
	}
	pairs = synth * human
	if pairs == 0 {
		return math.NaN()
	}
	return won / pairs
}

// rates finds the equal error rate, the hits at 1 % and 5 % false alarms, and the
// false alarms at 95 % hits.
func rates(s []Scored, human, synthetic int) (eer, at1, at5, at95 float64) {
	if human == 0 || synthetic == 0 {
		return math.NaN(), math.NaN(), math.NaN(), math.NaN()
	}
	eer, at95 = 1, 1
	var h, y float64
	closest := math.Inf(1)
	for _, c := range s {
		if c.Synthetic {
			y++
		} else {
			h++
		}
		alarms, misses := h/float64(human), 1-y/float64(synthetic)
		if alarms <= 0.01 {
			at1 = 1 - misses
		}
		if alarms <= 0.05 {
			at5 = 1 - misses
		}
		if misses <= 0.05 && alarms < at95 {
			at95 = alarms
		}
		if d := math.Abs(alarms - misses); d < closest {
			closest, eer = d, (alarms+misses)/2
		}
	}
	return eer, at1, at5, at95
}

// cllr is the cost of log-likelihood ratios (Brümmer, 2006), bits: 0 for an
// oracle, 1 for a system that says nothing, more for one that misleads.
func cllr(s []Scored) float64 {
	var sum, n [2]float64
	for _, c := range s {
		k, v := 0, c.Score
		if c.Synthetic {
			k, v = 1, -v
		}
		sum[k] += math.Log1p(math.Exp(v)) / math.Ln2
		n[k]++
	}
	return (sum[0]/n[0] + sum[1]/n[1]) / 2
}

// minCllr is the cost after the best monotone map (pool adjacent violators). s is
// sorted, highest first.
func minCllr(s []Scored) float64 {
	var n [2]float64
	for _, c := range s {
		if c.Synthetic {
			n[1]++
		} else {
			n[0]++
		}
	}
	type pool struct{ human, synthetic float64 }
	var pools []pool
	for i := len(s) - 1; i >= 0; {
		var p pool
		for score := s[i].Score; i >= 0 && s[i].Score == score; i-- {
			if s[i].Synthetic {
				p.synthetic++
			} else {
				p.human++
			}
		}
		pools = append(pools, p)
		for k := len(pools) - 1; k > 0 && pools[k].synthetic*pools[k-1].human <= pools[k-1].synthetic*pools[k].human; k-- {
			pools[k-1].human += pools[k].human
			pools[k-1].synthetic += pools[k].synthetic
			pools = pools[:k]
		}
	}
	cost := 0.0
	for _, p := range pools {
		a, b := p.human/n[0], p.synthetic/n[1]
		if a > 0 {
			cost += a * math.Log2((a+b)/a) / 2
		}
		if b > 0 {
			cost += b * math.Log2((a+b)/b) / 2
		}
	}
	return cost
}

// Point is one point of a detection error trade-off: the shares of humans over
// and of synthetic clips under a score.
type Point struct{ Alarms, Misses float64 }

// Tradeoff gives the points of scores, from no alarms to no misses.
func Tradeoff(s []Scored) []Point {
	s = append([]Scored(nil), s...)
	sort.SliceStable(s, func(i, j int) bool { return s[i].Score > s[j].Score })
	var n, over [2]float64
	for _, c := range s {
		n[label(&Clip{Synthetic: c.Synthetic})]++
	}
	points := []Point{{0, 1}}
	for i, c := range s {
		over[label(&Clip{Synthetic: c.Synthetic})]++
		if i+1 < len(s) && s[i+1].Score == c.Score {
			continue
		}
		points = append(points, Point{over[0] / math.Max(1, n[0]), 1 - over[1]/math.Max(1, n[1])})
	}
	return points
}
