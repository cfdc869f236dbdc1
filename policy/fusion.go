package policy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Fusion turns evidence into a verdict by Bayes' rule on log-odds:
//
//	log-odds(machine) = prior + Σ over families clamp(weight · Σ llr, min, max)
//
// The items of one family (the name up to the first dot) observe the same thing
// in several ways; adding them up as if they were independent would let three
// views of one studio-quiet line outvote everything else. A family's cap says
// how much its whole kind of observation may weigh.
//
// A Fusion is immutable once parsed, and safe for concurrent use.
type Fusion struct {
	Version int    `json:"version"` // 1
	Note    string `json:"note"`    // where the figures come from
	// Prior is the probability of a machine before anything is known of a
	// call, 0..1 exclusive, when the configuration sets none.
	Prior float64 `json:"prior"`
	// MachineAt is the posterior at and above which a call is a machine's.
	MachineAt float64 `json:"machine_at"`
	// HumanAt is the posterior at and below which it may be a human's.
	HumanAt float64 `json:"human_at"`
	// HumanEvidence is the sum of fused ratios, without sign, that must speak
	// for a human before one is said to be there: a low prior alone says
	// nothing about this caller.
	HumanEvidence float64 `json:"human_evidence"`
	// Limit bounds the fused sum either way: no amount of evidence is certain.
	Limit float64 `json:"limit"`
	// Families by name.
	Families map[string]Family `json:"families"`
	// Other is the family of names that Families lacks.
	Other Family `json:"other"`
}

// Family says how much one kind of observation weighs.
type Family struct {
	Weight float64 `json:"weight"` // factor on each item's ratio, 0..4
	Min    float64 `json:"min"`    // the least the family may add, at most 0
	Max    float64 `json:"max"`    // the most it may add, at least 0
}

// Contribution is the part that one item of evidence has in a verdict.
type Contribution struct {
	Evidence
	Weight float64 `json:"weight"` // of its family
	// Effect is what the item adds to the log-odds after weights and caps; the
	// effects of all items sum up to posterior minus prior log-odds.
	Effect float64 `json:"effect"`
}

//go:embed fusion.json
var builtinFusion []byte

// DefaultFusion is the built-in fusion.
func DefaultFusion() *Fusion {
	f, err := ParseFusion(builtinFusion)
	if err != nil {
		panic("the built-in fusion.json is broken: " + err.Error()) // a test holds it
	}
	return f
}

// ParseFusion reads a fusion file (JSON, the shape of Fusion) and reports every
// mistake in it. Unknown keys are mistakes.
func ParseFusion(b []byte) (*Fusion, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var f Fusion
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("fusion: not readable as JSON of the known keys: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("fusion: something follows the JSON object; remove it")
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return &f, nil
}

func (f *Fusion) check() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("fusion: "+format, args...))
	}
	if f.Version != 1 {
		fault("version is %d; this door reads version 1", f.Version)
	}
	open := func(name string, p float64) {
		if !(p > 0 && p < 1) {
			fault("%s is %v; allowed is more than 0 and less than 1", name, p)
		}
	}
	open("prior", f.Prior)
	open("machine_at", f.MachineAt)
	open("human_at", f.HumanAt)
	if f.HumanAt >= f.MachineAt {
		fault("human_at (%v) must be below machine_at (%v)", f.HumanAt, f.MachineAt)
	}
	if !(f.HumanEvidence >= 0 && f.HumanEvidence <= 20) {
		fault("human_evidence is %v; allowed is 0 to 20", f.HumanEvidence)
	}
	if !(f.Limit > 0 && f.Limit <= 20) {
		fault("limit is %v; allowed is more than 0, up to 20", f.Limit)
	}
	family := func(path string, w Family) {
		if !(w.Weight >= 0 && w.Weight <= 4) {
			fault("%s.weight is %v; allowed is 0 to 4", path, w.Weight)
		}
		if !(w.Min <= 0 && w.Min >= -20) {
			fault("%s.min is %v; allowed is -20 to 0", path, w.Min)
		}
		if !(w.Max >= 0 && w.Max <= 20) {
			fault("%s.max is %v; allowed is 0 to 20", path, w.Max)
		}
	}
	if len(f.Families) == 0 {
		fault("families is empty; name at least one family of evidence")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Families)) {
		if name == "" || strings.Contains(name, ".") {
			fault("families has %q; a family is the part of an evidence's name before the first dot", name)
		}
		family("families."+name, f.Families[name])
	}
	family("other", f.Other)
	return errors.Join(errs...)
}

// FamilyOf is the family of an evidence's name: what stands before the first dot.
func FamilyOf(name string) string {
	family, _, _ := strings.Cut(name, ".")
	return family
}

// family is the weight of a named family.
func (f *Fusion) family(name string) Family {
	if w, ok := f.Families[name]; ok {
		return w
	}
	return f.Other
}

// Contributions returns each item with its part in the verdict, sorted by name.
// Of items with the same name the last one counts. A ratio that is not a number
// counts as 0: a broken observer must not decide.
func (f *Fusion) Contributions(ev []Evidence) []Contribution {
	out := make([]Contribution, 0, len(ev))
	for _, e := range Sorted(ev) {
		w := f.family(FamilyOf(e.Name)).Weight
		out = append(out, Contribution{Evidence: e, Weight: w, Effect: w * e.LLR})
	}
	sums := make(map[string]float64, len(f.Families))
	for _, c := range out {
		sums[FamilyOf(c.Name)] += c.Effect
	}
	total := 0.0
	for i := range out {
		name := FamilyOf(out[i].Name)
		w, sum := f.family(name), sums[name]
		out[i].Effect = share(out[i].Effect, sum, min(max(sum, w.Min), w.Max))
		total += out[i].Effect
	}
	limited := min(max(total, -f.Limit), f.Limit)
	for i := range out {
		out[i].Effect = share(out[i].Effect, total, limited)
	}
	return out
}

// share is an item's part of a clamped sum, in proportion, so that the effects
// still add up.
func share(effect, sum, clamped float64) float64 {
	if sum == clamped {
		return effect
	}
	return effect * clamped / sum
}

// Verdict fuses the evidence with the prior log-odds of a machine at a moment.
// Without evidence the class is Unknown and PMachine the prior.
func (f *Fusion) Verdict(priorLogOdds float64, ev []Evidence, at time.Time) Verdict {
	v := Verdict{At: at, Class: Unknown, Evidence: Sorted(ev)}
	fused, recording := 0.0, 0.0
	for _, c := range f.Contributions(v.Evidence) {
		fused += c.Effect
		recording += c.Weight * c.Recording
	}
	v.PMachine = Probability(priorLogOdds + fused)
	switch {
	case len(v.Evidence) == 0:
	case v.PMachine >= f.MachineAt:
		v.Class = Assistant
		if recording > 0 {
			v.Class = Recording
		}
	case v.PMachine <= f.HumanAt && -fused >= f.HumanEvidence:
		v.Class = Human
	}
	return v
}

// Spared is the verdict on a caller who is not to be taken for a machine, whatever
// was observed: nothing that speaks for one weighs, neither does a prior that is
// higher than the file's, and the class is Human or Unknown.
func (f *Fusion) Spared(priorLogOdds float64, ev []Evidence, at time.Time) Verdict {
	ev = Sorted(ev)
	for i := range ev {
		ev[i].LLR, ev[i].Recording = min(ev[i].LLR, 0), 0
	}
	v := f.Verdict(f.SparedPrior(priorLogOdds), ev, at)
	if v.Class != Human {
		v.Class = Unknown
	}
	return v
}

// SparedPrior is the prior that Spared goes by instead of a higher one, log-odds.
func (f *Fusion) SparedPrior(logOdds float64) float64 { return min(logOdds, LogOdds(f.Prior)) }

// Sorted returns a copy of the evidence sorted by name, one item a name (the
// last one given), with every ratio a finite number.
func Sorted(ev []Evidence) []Evidence {
	out := make([]Evidence, 0, len(ev))
	for i, e := range ev {
		if slices.ContainsFunc(ev[i+1:], func(l Evidence) bool { return l.Name == e.Name }) {
			continue
		}
		e.LLR, e.Recording = finite(e.LLR), finite(e.Recording)
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Evidence) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// finite is a ratio that arithmetic and JSON can bear: 0 for what is not a
// number, and at most e^100 either way.
func finite(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, -100), 100)
}

// LogOdds is ln(p/(1-p)).
func LogOdds(p float64) float64 { return math.Log(p / (1 - p)) }

// Probability is the inverse of LogOdds.
func Probability(logOdds float64) float64 { return 1 / (1 + math.Exp(-logOdds)) }
