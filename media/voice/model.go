package voice

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Model turns features into a log-likelihood ratio: the mean of boosted trees and
// of a linear model that tells people from several kinds of synthesis, both
// trained to give log-odds at even priors, then calibrated on speakers and sources
// that neither saw.
type Model struct {
	Made     string      `json:"made"`     // how: corpus, seed, rounds
	Features []string    `json:"features"` // names, must be those of this package
	Mean     []float64   `json:"mean"`     // of each feature, for the linear model
	Scale    []float64   `json:"scale"`    // standard deviation of each feature
	Classes  []string    `json:"classes"`  // of the linear model: human and kinds of synthesis
	Weights  [][]float64 `json:"weights"`  // of each class, of the standardised features, cut at ±4
	Bias     []float64   `json:"bias"`     // of each class
	Strange  float64     `json:"strange"`  // the strangeness of speech over which nothing is said
	Trees    []Tree      `json:"trees"`
	Blend    float64     `json:"blend"` // share of the trees, 0..1
	Cal      Calibration `json:"calibration"`
}

// Tree is a binary decision tree. Node i has children Left[i] and Left[i]+1; a
// leaf has Left 0.
type Tree struct {
	Feature []int     `json:"f"`
	Cut     []float64 `json:"c"` // the left child if the feature is less than this
	Left    []int     `json:"l"`
	Value   []float64 `json:"v"` // log-odds: a leaf's, and what an inner node would have as a leaf
}

// Calibration makes a log-likelihood ratio of the raw log-odds. Its offset does
// not depend on the length of speech: that would say which class of the training
// data had longer clips, not which voice is synthetic.
type Calibration struct {
	Slope  float64 `json:"slope"`  // at 1 s of speech
	Growth float64 `json:"growth"` // of the slope with the natural log of the seconds
	Offset float64 `json:"offset"` // added after
	Least  float64 `json:"least"`  // the lowest and the highest ratio that
	Most   float64 `json:"most"`   // held-out data supports

	// The variance of held-out ratios among clips of one speaker or synthesizer:
	// Between + Within / seconds of speech.
	Between float64 `json:"between"`
	Within  float64 `json:"within"`
}

// The seconds of speech at which calibration was measured.
const minCalibrated, maxCalibrated = 1.5, 30.0

// Apply gives the log-likelihood ratio of raw log-odds after the given speech, s.
func (c Calibration) Apply(raw, seconds float64) float64 {
	v := c.slope(seconds)*raw + c.Offset
	return math.Max(c.Least, math.Min(c.Most, v))
}

func (c Calibration) slope(seconds float64) float64 {
	return c.Slope + c.Growth*math.Log(math.Max(minCalibrated, math.Min(maxCalibrated, seconds)))
}

// Spread is how far the ratio of another stretch of the same voice, as long as
// the given speech, s, lies off: one standard deviation.
func (c Calibration) Spread(seconds float64) float64 {
	return math.Sqrt(c.Between + c.Within/math.Max(minCalibrated, seconds))
}

// ReadModel reads a model as Write wrote it and checks that it fits this package.
func ReadModel(r io.Reader) (*Model, error) {
	m := &Model{}
	if err := json.NewDecoder(r).Decode(m); err != nil {
		return nil, fmt.Errorf("voice model: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("voice model: %w", err)
	}
	return m, nil
}

// Write writes the model as JSON.
func (m *Model) Write(w io.Writer) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("voice model: %w", err)
	}
	if _, err = w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("voice model: %w", err)
	}
	return nil
}

func (m *Model) check() error {
	n := len(featureNames)
	switch {
	case !slices.Equal(m.Features, featureNames):
		return errors.New("made for other features than this program computes: train it anew with `portero voice train`")
	case len(m.Mean) != n || len(m.Scale) != n:
		return fmt.Errorf("mean and scale have %d and %d values, %d are needed", len(m.Mean), len(m.Scale), n)
	case len(m.Classes) < 2 || len(m.Classes) > maxClasses || m.Classes[0] != Human:
		return fmt.Errorf("classes are %q: human and 1 to %d kinds of synthesis are needed", m.Classes, maxClasses-1)
	case len(m.Weights) != len(m.Classes) || len(m.Bias) != len(m.Classes):
		return fmt.Errorf("weights and bias are of %d and %d classes, %d are needed", len(m.Weights), len(m.Bias), len(m.Classes))
	case !(m.Strange > .5):
		return fmt.Errorf("strange is %g: over 0.5 is needed, or nothing would be judged", m.Strange)
	case m.Blend < 0 || m.Blend > 1:
		return fmt.Errorf("blend is %g, 0 to 1 is allowed", m.Blend)
	case m.Cal.Least > 0 || m.Cal.Most < 0:
		return fmt.Errorf("calibration's least is %g and most %g: 0 must lie between", m.Cal.Least, m.Cal.Most)
	case m.Cal.Slope+m.Cal.Growth*math.Log(minCalibrated) <= 0 || m.Cal.Slope+m.Cal.Growth*math.Log(maxCalibrated) <= 0:
		return fmt.Errorf("calibration's slope is %g with growth %g: it must be positive from %g to %g s of speech", m.Cal.Slope, m.Cal.Growth, minCalibrated, maxCalibrated)
	}
	for k, w := range m.Weights {
		if len(w) != n {
			return fmt.Errorf("weights[%d] has %d values, %d are needed", k, len(w), n)
		}
	}
	for i, s := range m.Scale {
		if s <= 0 {
			return fmt.Errorf("scale[%d] is %g: it must be positive", i, s)
		}
	}
	for i, t := range m.Trees {
		if err := t.check(n); err != nil {
			return fmt.Errorf("trees[%d]: %w", i, err)
		}
	}
	return nil
}

func (t *Tree) check(features int) error {
	n := len(t.Left)
	if n == 0 || len(t.Feature) != n || len(t.Cut) != n || len(t.Value) != n {
		return errors.New("f, c, l and v must be of one length, not 0")
	}
	for i, l := range t.Left {
		// Children lie behind their parent, so that every walk ends.
		if l != 0 && (l <= i || l+1 >= n || t.Feature[i] < 0 || t.Feature[i] >= features) {
			return fmt.Errorf("node %d: children at %d of %d nodes, feature %d of %d", i, l, n, t.Feature[i], features)
		}
	}
	return nil
}

func (t *Tree) value(x []float64) float64 {
	i := 0
	for t.Left[i] != 0 {
		next := t.Left[i]
		if !(x[t.Feature[i]] < t.Cut[i]) {
			next++
		}
		i = next
	}
	return t.Value[i]
}

// Human is the name of the first class.
const Human = "human"

const maxClasses = 8

// standardised is feature i as the linear model takes it.
func (m *Model) standardised(i int, x float64) float64 {
	return math.Max(-4, math.Min(4, (x-m.Mean[i])/m.Scale[i]))
}

// Strangeness is how unlike the speech that the model learnt from features are:
// their mean distance from what is usual, in standard deviations, each at most 8.
// Speech has about 0.7, music 1.2 to 2.
func (m *Model) Strangeness(x []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += math.Min(8, math.Abs(v-m.Mean[i])/m.Scale[i])
	}
	return sum / float64(len(x))
}

// planes writes the linear model's log-odds of each class.
func (m *Model) planes(x []float64, z *[maxClasses]float64) {
	copy(z[:], m.Bias)
	for i, v := range x {
		v = m.standardised(i, v)
		for k, w := range m.Weights {
			z[k] += w[i] * v
		}
	}
}

// Linear is the linear model's log-odds of any synthesis over human speech.
func (m *Model) Linear(x []float64) float64 {
	var z [maxClasses]float64
	m.planes(x, &z)
	sum := 0.0
	for k := 1; k < len(m.Bias); k++ {
		sum += math.Exp(z[k] - z[0])
	}
	return math.Log(sum + 1e-30)
}

// Boosted is the trees' log-odds.
func (m *Model) Boosted(x []float64) float64 {
	sum := 0.0
	for i := range m.Trees {
		sum += m.Trees[i].value(x)
	}
	return sum
}

// Raw is the blend of both, log-odds before calibration.
func (m *Model) Raw(x []float64) float64 {
	return m.Blend*m.Boosted(x) + (1-m.Blend)*m.Linear(x)
}

// LLR is the calibrated log-likelihood ratio, machine over human, natural log,
// of features taken after the given speech, s.
func (m *Model) LLR(x []float64, seconds float64) float64 {
	return m.Cal.Apply(m.Raw(x), seconds)
}
