package voice

import (
	"math"
	"slices"
	"strings"
)

// aspect is a family of features and what they hear, as one would say it.
type aspect struct {
	words    string
	prefixes []string // of feature names; the longest that fits decides
}

var aspects = []aspect{
	{"the range of loudness and timbre", []string{"std_c", "std_c0", "level_", "flatness", "centroid", "skew_c", "kurt_c"}},
	{"the speed at which the timbre moves", []string{"std_delta", "std_accel", "kurt_delta", "motion_c", "log_flux", "flux", "moved_", "moved_kurt"}},
	{"the steadiness of held sounds", []string{"steady_", "shimmer", "comb_step", "second_period"}},
	{"the onset of sounds", []string{"attack"}},
	{"the movement of the pitch", []string{"pitch", "step", "bend", "slope"}},
	{"the regularity of the vibration", []string{"harmonic", "harmonics", "comb_", "voiced_share"}},
	{"the fine grain of the spectrum", []string{"ripple", "slant"}},
	{"the shape of the glottal pulses", []string{"gain_", "lean", "peaky", "crest", "skew_mean", "sided"}},
	{"the way parts of the spectrum go together", []string{"c0_with", "c1_with", "c2_with", "c3_with", "c4_with", "c5_with", "c6_with", "c7_with", "c8_with", "loud_with"}},
	{"the rhythm of speech and pauses", []string{"run_", "gap_", "speech_share", "loud_memory", "timbre_memory"}},
}

// aspectOf is the index in aspects of each feature.
var aspectOf = func() []int {
	of := make([]int, len(featureNames))
	for i, name := range featureNames {
		longest := -1
		for a := range aspects {
			for _, p := range aspects[a].prefixes {
				if strings.HasPrefix(name, p) && len(p) > longest {
					longest, of[i] = len(p), a
				}
			}
		}
	}
	return of
}()

// Reason is a part of a score: one aspect of the voice and how far it moved the
// log-likelihood ratio, towards a machine if positive.
type Reason struct {
	What string
	LLR  float64
}

// contributions writes to out what each feature adds to the raw log-odds: in the
// linear model its weighted distance from the mean, of the kinds of synthesis as
// likely as they are, in a tree the change of the
// expected value at the nodes that ask for it.
func (m *Model) contributions(x, out []float64) {
	var z, share [maxClasses]float64
	m.planes(x, &z)
	sum := 0.0
	for k := 1; k < len(m.Bias); k++ {
		share[k] = math.Exp(z[k] - z[0])
		sum += share[k]
	}
	for i := range out {
		w := -m.Weights[0][i]
		for k := 1; k < len(m.Bias); k++ {
			w += share[k] / (sum + 1e-30) * m.Weights[k][i]
		}
		out[i] = (1 - m.Blend) * w * m.standardised(i, x[i])
	}
	for t := range m.Trees {
		tree := &m.Trees[t]
		for i := 0; tree.Left[i] != 0; {
			next := tree.Left[i]
			if !(x[tree.Feature[i]] < tree.Cut[i]) {
				next++
			}
			out[tree.Feature[i]] += m.Blend * (tree.Value[next] - tree.Value[i])
			i = next
		}
	}
}

// Reasons are the three aspects of the voice that moved the score of the speech
// so far most, the strongest first; none while the Listener abstains.
func (l *Listener) Reasons() []Reason {
	if l.Abstains() != "" {
		return nil
	}
	if x := l.Features(); l.strange(x) == "" {
		return l.reasons(x)
	}
	return nil
}

func (l *Listener) reasons(x []float64) []Reason {
	each := make([]float64, len(x))
	l.model.contributions(x, each)
	slope := l.model.Cal.slope(l.activity.SpeechSeconds())
	reasons := make([]Reason, len(aspects))
	for i := range aspects {
		reasons[i].What = aspects[i].words
	}
	for i, c := range each {
		reasons[aspectOf[i]].LLR += slope * c
	}
	slices.SortStableFunc(reasons, func(a, b Reason) int {
		switch x, y := math.Abs(a.LLR), math.Abs(b.LLR); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return reasons[:3]
}

// because says which way each reason points.
func because(reasons []Reason) string {
	var b strings.Builder
	for i, r := range reasons {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(r.What)
		if r.LLR > 0 {
			b.WriteString(" is like a machine's")
		} else {
			b.WriteString(" is like a person's")
		}
	}
	return b.String()
}
