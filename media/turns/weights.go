package turns

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// Weights say how likely what is observed is with people, assistants and
// recordings; the ratios follow from them. They are immutable once parsed.
type Weights struct {
	Version int    `json:"version"` // 1
	Note    string `json:"note"`    // where the figures come from
	// Recordings is the share of machines that are recordings, 0..1, by which
	// Assistant and Recording below make up the machine.
	Recordings float64 `json:"recordings"`
	// Spread is of the deviation of a call's response latencies: log-normal, centre
	// in ms, spread of the natural logarithm.
	Spread Sizes `json:"spread"`
	// Latency is of the mean of a call's response latencies: normal, ms.
	Latency Sizes `json:"latency"`
	// Anticipates is the share of answers that begin just before the other's end.
	Anticipates Shares `json:"anticipates"`
	// BargeIn is the share of turns that begin in the middle of the other's.
	BargeIn Shares `json:"barge_in"`
	// Yields is the share of interruptions after which the caller stops.
	Yields Shares `json:"yields"`
	// Heedless is the share of calls in which the caller speaks as if there were no
	// other side; nothing is said where they do not.
	Heedless Shares `json:"heedless"`
	// Overlap is of the part of the caller's speech that is over the other's:
	// log-normal.
	Overlap Sizes `json:"overlap"`
	// Held is the share of callers whose keys are held unevenly long.
	Held Shares `json:"held"`
}

// Shares are the probabilities of something that happens or does not.
type Shares struct {
	Human     float64 `json:"human"`
	Assistant float64 `json:"assistant"`
	Recording float64 `json:"recording"`
	Cap       float64 `json:"cap"` // of the ratio, either way
}

// Sizes are the densities of something that is measured. Machine stands for both
// kinds, or Assistant and Recording are told apart.
type Sizes struct {
	Human     Mixture `json:"human"`
	Machine   Mixture `json:"machine,omitempty"`
	Assistant Mixture `json:"assistant,omitempty"`
	Recording Mixture `json:"recording,omitempty"`
	Cap       float64 `json:"cap"`
}

// Mixture is a density made of several.
type Mixture []Part

// Part is one density of a Mixture.
type Part struct {
	Weight float64 `json:"weight"`
	Centre float64 `json:"centre"`
	Spread float64 `json:"spread"`
}

//go:embed weights.json
var builtIn []byte

// DefaultWeights are the built-in ones.
func DefaultWeights() *Weights {
	w, err := ParseWeights(builtIn)
	if err != nil {
		panic("the built-in weights.json is broken: " + err.Error()) // a test holds it
	}
	return w
}

// ParseWeights reads a file of weights (JSON, the shape of Weights) and reports
// every mistake in it. Unknown keys are mistakes.
func ParseWeights(b []byte) (*Weights, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var w Weights
	if err := dec.Decode(&w); err != nil {
		return nil, fmt.Errorf("turns: not readable as JSON of the known keys: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("turns: something follows the JSON object; remove it")
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("turns: "+format, args...)) }
	if w.Version != 1 {
		fault("version is %d; this door reads version 1", w.Version)
	}
	probability := func(path string, p float64) {
		if !(p > 0 && p < 1) {
			fault("%s is %v; allowed is more than 0 and less than 1", path, p)
		}
	}
	limit := func(path string, c float64) {
		if !(c >= 0 && c <= 10) {
			fault("%s.cap is %v; allowed is 0 to 10", path, c)
		}
	}
	probability("recordings", w.Recordings)
	for _, s := range []struct {
		path string
		Shares
	}{{"anticipates", w.Anticipates}, {"barge_in", w.BargeIn}, {"yields", w.Yields}, {"heedless", w.Heedless}, {"held", w.Held}} {
		probability(s.path+".human", s.Human)
		probability(s.path+".assistant", s.Assistant)
		probability(s.path+".recording", s.Recording)
		limit(s.path, s.Cap)
	}
	for _, s := range []struct {
		path  string
		apart bool
		Sizes
	}{{"spread", false, w.Spread}, {"latency", false, w.Latency}, {"overlap", true, w.Overlap}} {
		s.Human.check(s.path+".human", true, fault)
		s.Machine.check(s.path+".machine", !s.apart, fault)
		s.Assistant.check(s.path+".assistant", s.apart, fault)
		s.Recording.check(s.path+".recording", s.apart, fault)
		limit(s.path, s.Cap)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return &w, nil
}

func (m Mixture) check(path string, wanted bool, fault func(format string, args ...any)) {
	if (len(m) > 0) != wanted {
		fault("%s has %d parts; at least one is needed of human and machine, for overlap of human, assistant and recording, and none of others", path, len(m))
		return
	}
	sum := 0.0
	for i, p := range m {
		if !(p.Weight > 0 && p.Spread > 0 && p.Centre > 0) || math.IsInf(p.Centre+p.Spread, 0) {
			fault("%s[%d]: weight, centre and spread must be more than 0", path, i)
		}
		sum += p.Weight
	}
	if wanted && math.Abs(sum-1) > 0.01 {
		fault("the weights of %s add up to %v, not to 1", path, sum)
	}
}

// happened is the ratio of k out of n.
func (w *Weights) happened(s Shares, k, n int) (llr, recording float64) {
	log := func(p float64) float64 { return float64(k)*math.Log(p) + float64(n-k)*math.Log(1-p) }
	return w.ratio(log(s.Human), log(s.Assistant), log(s.Recording), s.Cap)
}

// ratio makes the two ratios of the logarithms of three likelihoods.
func (w *Weights) ratio(human, assistant, recording, limit float64) (llr, rec float64) {
	machine := logSum(math.Log(1-w.Recordings)+assistant, math.Log(w.Recordings)+recording)
	return clamp(machine-human, limit), clamp(recording-assistant, limit)
}

// normal and logNormal are the logarithms of densities at x.
func (m Mixture) normal(x float64) float64 {
	sum := math.Inf(-1)
	for _, p := range m {
		z := (x - p.Centre) / p.Spread
		sum = logSum(sum, math.Log(p.Weight/p.Spread)-z*z/2)
	}
	return sum
}

func (m Mixture) logNormal(x float64) float64 {
	sum := math.Inf(-1)
	for _, p := range m {
		z := math.Log(x/p.Centre) / p.Spread
		sum = logSum(sum, math.Log(p.Weight/p.Spread)-z*z/2)
	}
	return sum
}

// deviation is the logarithm of the density of a sample deviation s of n values
// whose true deviation is log-normal: the chi distribution, summed up over it.
func (m Mixture) deviation(s float64, n int) float64 {
	const steps, reach = 24, 3.0
	nu := float64(n - 1)
	sum := math.Inf(-1)
	for _, p := range m {
		for i := range steps + 1 {
			z := reach * (2*float64(i)/steps - 1)
			sigma := p.Centre * math.Exp(z*p.Spread)
			sum = logSum(sum, math.Log(p.Weight)-z*z/2-nu*math.Log(sigma)-nu*s*s/(2*sigma*sigma))
		}
	}
	return sum
}

// logSum is the logarithm of the sum of what two logarithms stand for.
func logSum(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

func clamp(x, limit float64) float64 { return min(max(x, -limit), limit) }
