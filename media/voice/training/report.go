package training

import (
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/portero/portero/media/voice"
)

// Report prints the figures of raw scores: over the clean line at each stage,
// over the augmented lines, by kind, and what the calibrated ratios do.
func Report(w io.Writer, clips []Clip, rows []Row, raw []float64, cal voice.Calibration) {
	pick := func(keep func(Row) bool) []Scored {
		var s []Scored
		for i, r := range rows {
			if keep(r) {
				c := &clips[r.Clip]
				s = append(s, Scored{cal.Apply(raw[i], r.Seconds), c.Synthetic, c.Source, c.Kind})
			}
		}
		return s
	}
	fmt.Fprintln(w, "rows                     human  synth   EER %    AUC  within  (clips)  at 1 %  at 5 %")
	line := func(name string, s []Scored) {
		f := Measure(s)
		fmt.Fprintf(w, "%-24s %5d  %5d   %5.1f  %5.3f   %5.3f  (%5d)   %5.1f   %5.1f\n", name,
			f.Human, f.Synthetic, 100*f.EER, f.AUC, f.Within, f.WithinClips, 100*f.At1, 100*f.At5)
	}
	clean := pick(func(r Row) bool { return r.Copy == 0 && r.Stage == AtEnd })
	line("whole clip", clean)
	for i, s := range stages {
		line(fmt.Sprintf("first %g s of speech", s), pick(func(r Row) bool { return r.Copy == 0 && r.Stage == i }))
	}
	line("augmented, whole clip", pick(func(r Row) bool { return r.Copy > 0 && r.Stage == AtEnd }))
	for _, k := range kinds(clean) {
		var s []Scored
		for _, c := range clean {
			if c.Kind == k || !c.Synthetic {
				s = append(s, c)
			}
		}
		if f := Measure(s); f.Synthetic > 0 {
			line("all human, "+k, s)
		}
	}
	fmt.Fprintf(w, "calibration: %+v\n", cal)
	fmt.Fprintln(w, "LLR over, whole clip     human %  synthetic %")
	for _, t := range []float64{-2, -1, 0, 1, 2, 3} {
		var n, over [2]float64
		for _, c := range clean {
			k := 0
			if c.Synthetic {
				k = 1
			}
			n[k]++
			if c.Score > t {
				over[k]++
			}
		}
		fmt.Fprintf(w, "%+23.0f  %7.1f  %11.1f\n", t, 100*over[0]/math.Max(1, n[0]), 100*over[1]/math.Max(1, n[1]))
	}
	means(w, clips, rows, raw, cal)
}

func kinds(s []Scored) []string {
	seen := map[string]bool{}
	var k []string
	for _, c := range s {
		if !seen[c.Kind] {
			seen[c.Kind] = true
			k = append(k, c.Kind)
		}
	}
	sort.Strings(k)
	return k
}

// means prints what each source's clips got.
func means(w io.Writer, clips []Clip, rows []Row, raw []float64, cal voice.Calibration) {
	type key struct {
		source, kind string
	}
	by := map[key]*moments{}
	for i, r := range rows {
		if r.Copy != 0 || r.Stage != AtEnd {
			continue
		}
		c := &clips[r.Clip]
		k := key{c.Source, c.Kind}
		if by[k] == nil {
			by[k] = &moments{}
		}
		by[k].add(cal.Apply(raw[i], r.Seconds))
	}
	keys := make([]key, 0, len(by))
	for k := range by {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := by[keys[i]], by[keys[j]]
		return a.mean() < b.mean() || a.mean() == b.mean() && keys[i].source < keys[j].source
	})
	fmt.Fprintln(w, "mean LLR  (clips)  kind, source")
	for _, k := range keys {
		fmt.Fprintf(w, "%+8.2f  (%5.0f)  %s, %s\n", by[k].mean(), by[k].n, k.kind, k.source)
	}
}

type moments struct{ n, sum float64 }

func (m *moments) add(v float64) { m.n++; m.sum += v }
func (m *moments) mean() float64 { return m.sum / m.n }
