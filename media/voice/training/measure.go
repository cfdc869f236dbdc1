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
}

// Figures tell how well scores part synthetic from human speech.
type Figures struct {
	Human, Synthetic int
	AUC              float64 // area under the ROC curve, 0.5 is chance
	EER              float64 // error rate where both errors are equal, 0..1
	Within           float64 // mean AUC inside sources that hold both classes, weighted by clips
	WithinClips      int     // clips in such sources
	At1, At5         float64 // share of synthetic clips over the score that 1 % and 5 % of humans exceed
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
	f.EER, f.At1, f.At5 = rates(s, f.Human, f.Synthetic)
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

// rates finds the equal error rate and the hits at 1 % and 5 % false alarms.
func rates(s []Scored, human, synthetic int) (eer, at1, at5 float64) {
	if human == 0 || synthetic == 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	eer = 1
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
		if d := math.Abs(alarms - misses); d < closest {
			closest, eer = d, (alarms+misses)/2
		}
	}
	return eer, at1, at5
}
