package training

import (
	"fmt"
	"math"
	"sort"

	"github.com/portero/portero/media/voice"
)

// MovesAt is the ratio from which the score alone moves a call by the default
// policy: the log-odds from its prior of 0.2 to the 0.8 at which it calls a
// machine a machine (policy/fusion.json).
var MovesAt = 2 * math.Log(4)

// Judge gives the log-likelihood ratio of a clip's features after the given
// speech, s; NaN if it says nothing.
type Judge func(c *Clip, x []float64, seconds float64) float64

// By is the judgement of a model, calibrated by cal.
func By(m *voice.Model, cal voice.Calibration, x []float64, seconds float64) float64 {
	if m.Strangeness(x) > m.Strange {
		return math.NaN()
	}
	return cal.Apply(m.Raw(x), seconds)
}

// Evaluation is what a judge is worth.
type Evaluation struct {
	Sections []Section
	Groups   []Group // of people: who is over 0 and over MovesAt
	Sources  []Group // of both classes
	Voices   []Group // synthesizers, the least recognised first
	Clips    []Scored
	Calls    []Scored
}

// Section is a table of figures.
type Section struct {
	Name  string
	Lines []Entry
}

// Entry is the figures of one selection of scores.
type Entry struct {
	Name string
	Figures
	Judged float64 // share of the clips that got a score, 0..1; the rest abstained
}

// Group is the scores of clips that belong together.
type Group struct {
	Name      string
	Synthetic bool
	N         int
	Mean      float64 // of the ratio
	Over0     float64 // share over 0
	Moved     float64 // share at or over MovesAt
	Caught    float64 // share over the ratio that 5 % of all humans exceed
}

// Evaluate measures judge on rows of clips as MeasureRows gives them, and on
// rows of the calls that Calls made of the same clips.
func Evaluate(clips []Clip, rows []Measured, calls []Clip, callRows []Measured, judge Judge) *Evaluation {
	var e Evaluation
	n := float64(len(clips))
	pick := func(condition, stage int) []Scored { return scores(clips, rows, condition, stage, judge) }
	line := func(name string, s []Scored, of float64) Entry {
		return Entry{name, Measure(s), float64(len(s)) / math.Max(1, of)}
	}
	conditions := Conditions()
	e.Clips = pick(0, AtEnd)
	e.Calls = scores(calls, callRows, 0, AtEnd, judge)
	length := Section{Name: "by length of speech, µ-law"}
	length.Lines = append(length.Lines, line("whole clip", e.Clips, n))
	for i, s := range stages {
		got := pick(0, i)
		length.Lines = append(length.Lines, line(fmt.Sprintf("first %g s of speech", s), got, float64(len(got))))
	}
	length.Lines = append(length.Lines, line(fmt.Sprintf("whole call, %g s and more", CallSeconds), e.Calls, float64(len(calls))))
	lines := Section{Name: "by line, whole clip"}
	for k, c := range conditions {
		if s := pick(k, AtEnd); len(s) > 0 {
			lines.Lines = append(lines.Lines, line(c.Name, s, n))
		}
	}
	kinds := Section{Name: "all human clips against one kind of synthesizer, µ-law"}
	for _, k := range kindsOf(e.Clips) {
		kinds.Lines = append(kinds.Lines, line(k, against(e.Clips, k), float64(len(against(e.Clips, k)))))
	}
	e.Sections = []Section{length, lines, kinds}
	if len(e.Calls) > 0 {
		section := Section{Name: "whole calls: all human calls against one kind of synthesizer"}
		for _, k := range kindsOf(e.Calls) {
			section.Lines = append(section.Lines, line(k, against(e.Calls, k), float64(len(against(e.Calls, k)))))
		}
		e.Sections = append(e.Sections, section)
	}
	e.group()
	return &e
}

func scores(clips []Clip, rows []Measured, condition, stage int, judge Judge) []Scored {
	var s []Scored
	for _, r := range rows {
		if r.Condition == condition && r.Stage == stage {
			c := &clips[r.Clip]
			if llr := judge(c, r.X, r.Seconds); !math.IsNaN(llr) {
				s = append(s, Scored{llr, c.Synthetic, c.Source, c.Kind, c.Speaker, c.Language})
			}
		}
	}
	return s
}

func kindsOf(s []Scored) []string {
	seen := map[string]bool{}
	var k []string
	for _, c := range s {
		if c.Synthetic && !seen[c.Kind] {
			seen[c.Kind] = true
			k = append(k, c.Kind)
		}
	}
	sort.Strings(k)
	return k
}

func against(s []Scored, kind string) []Scored {
	var out []Scored
	for _, c := range s {
		if c.Kind == kind || !c.Synthetic {
			out = append(out, c)
		}
	}
	return out
}

// group fills in the tables by group, source and synthesizer.
func (e *Evaluation) group() {
	at5 := threshold(e.Clips, .05)
	collect := func(scores []Scored, of func(Scored) []string) []Group {
		by := map[string]*Group{}
		var names []string
		for _, c := range scores {
			for _, name := range of(c) {
				g := by[name]
				if g == nil {
					g = &Group{Name: name, Synthetic: c.Synthetic}
					by[name] = g
					names = append(names, name)
				}
				g.N++
				g.Mean += c.Score
				g.Over0 += one(c.Score > 0)
				g.Moved += one(c.Score >= MovesAt)
				g.Caught += one(c.Score > at5)
			}
		}
		sort.Strings(names)
		var out []Group
		for _, n := range names {
			g := *by[n]
			k := float64(g.N)
			g.Mean, g.Over0, g.Moved, g.Caught = g.Mean/k, g.Over0/k, g.Moved/k, g.Caught/k
			out = append(out, g)
		}
		return out
	}
	e.Groups = collect(e.Clips, func(c Scored) []string {
		if c.Synthetic {
			return nil
		}
		of := []string{"all people"}
		if c.Kind != "" {
			of = append(of, "kind "+c.Kind)
		}
		if c.Language != "" {
			of = append(of, "language "+c.Language)
		}
		return of
	})
	e.Groups = append(e.Groups, collect(e.Calls, func(c Scored) []string {
		if c.Synthetic {
			return nil
		}
		return []string{"whole calls, all people", "whole calls, kind " + c.Kind}
	})...)
	e.Sources = collect(e.Clips, func(c Scored) []string {
		return []string{map[bool]string{false: "people, ", true: "machines, "}[c.Synthetic] + c.Source}
	})
	e.Voices = collect(e.Clips, func(c Scored) []string {
		if !c.Synthetic {
			return nil
		}
		return []string{c.Speaker + ", " + c.Source}
	})
	sort.SliceStable(e.Voices, func(i, j int) bool { return e.Voices[i].Mean < e.Voices[j].Mean })
}

// threshold is the score that the share of humans exceeds.
func threshold(s []Scored, share float64) float64 {
	var human []float64
	for _, c := range s {
		if !c.Synthetic {
			human = append(human, c.Score)
		}
	}
	if len(human) == 0 {
		return 0
	}
	sort.Float64s(human)
	return human[min(len(human)-1, int(math.Ceil(float64(len(human))*(1-share))))]
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Baseline is what another system was measured at, on other unseen clips.
type Baseline struct {
	Name             string
	EER, AUC, Within float64 // EER in %; 0 where not measured
}

// Baselines are published detectors and plain ones trained on the same corpus,
// on clips of 62 synthesizers, 56 speakers and sources that are not in it, after
// µ-law. They stand beside held-out figures for comparison: other clips, the same
// kind of task.
func Baselines() []Baseline {
	return []Baseline{
		{"AASIST, published weights, 16 kHz", 47.0, .54, .54},
		{"LFCC-LCNN-LSTM, published weights", 44.5, .54, .61},
		{"LFCC statistics, logistic regression", 31.0, .76, .59},
		{"LFCC statistics, boosted trees", 27.4, .79, .67},
		{"… + 28 hand features, first 2 s", 30.0, .77, .62},
		{"… first 4 s", 27.3, .79, .63},
		{"… first 8 s", 26.9, .79, .65},
		{"LFCC-GMM, 128 components, first 2 s", 29.8, .77, .60},
		{"… first 4 s", 28.7, .79, .62},
		{"… first 8 s", 29.0, .79, .61},
		{"convolutional net, 3 seeds", 26.5, .813, .647},
		{"… in noise of 10 to 20 dB", 31.9, 0, 0},
		{"net and boosted trees", 24.7, .832, .687},
	}
}
