package training

import (
	"fmt"
	"io"
	"math"
)

// columns are those of a table of figures.
var columns = []string{"human", "synth", "judged %", "EER %", "AUC", "within", "at 1 %", "at 5 %", "FPR at 95 %", "Cllr", "minCllr"}

// cells are an entry's values under columns.
func (l *Entry) cells() []string {
	percent := func(v float64) string { return digits(100*v, 1) }
	within := "–"
	if l.WithinClips > 0 {
		within = digits(l.Within, 3)
	}
	return []string{
		fmt.Sprint(l.Human), fmt.Sprint(l.Synthetic), digits(100*l.Judged, 0), percent(l.EER), digits(l.AUC, 3), within,
		percent(l.At1), percent(l.At5), percent(l.At95), digits(l.Cllr, 3), digits(l.MinCllr, 3),
	}
}

func digits(v float64, n int) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.*f", n, v)
}

// groupColumns are those of a table of groups.
var groupColumns = []string{"clips", "mean LLR", "over 0 %", "moved %", "over 5 % point"}

func (g *Group) cells() []string {
	return []string{fmt.Sprint(g.N), fmt.Sprintf("%+.2f", g.Mean), digits(100*g.Over0, 1), digits(100*g.Moved, 1), digits(100*g.Caught, 1)}
}

// tables are the evaluation's tables as text: a title, a header, rows.
func (e *Evaluation) tables() []table {
	var out []table
	for _, s := range e.Sections {
		t := table{title: s.Name, header: columns}
		for i := range s.Lines {
			t.rows = append(t.rows, append([]string{s.Lines[i].Name}, s.Lines[i].cells()...))
		}
		out = append(out, t)
	}
	base := table{title: "what others were measured at, on other unseen clips over µ-law", header: []string{"", "", "", "EER %", "AUC", "within"}}
	for _, b := range Baselines() {
		row := []string{b.Name, "", "", "", digits(b.EER, 1), "–", "–"}
		if b.AUC > 0 {
			row[5], row[6] = digits(b.AUC, 3), digits(b.Within, 3)
		}
		base.rows = append(base.rows, row)
	}
	groups := func(title string, g []Group) {
		t := table{title: title, header: groupColumns}
		for i := range g {
			t.rows = append(t.rows, append([]string{g[i].Name}, g[i].cells()...))
		}
		out = append(out, t)
	}
	out = append(out, base)
	groups(fmt.Sprintf("people by group; moved: the score alone would move the call (%.2f and more)", MovesAt), e.Groups)
	groups("by source", e.Sources)
	groups("by synthesizer, the least recognised first", e.Voices)
	return out
}

type table struct {
	title  string
	header []string
	rows   [][]string // the first cell is the row's name
}

// Text prints the evaluation.
func (e *Evaluation) Text(w io.Writer) {
	for _, t := range e.tables() {
		fmt.Fprintf(w, "%s\n%-44s", t.title, "")
		for _, h := range t.header {
			fmt.Fprintf(w, " %*s", width(h), h)
		}
		fmt.Fprintln(w)
		for _, r := range t.rows {
			fmt.Fprintf(w, "%-44s", short(r[0], 44))
			for i, c := range r[1:] {
				fmt.Fprintf(w, " %*s", width(t.header[i]), c)
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w)
	}
}

func width(header string) int { return max(6, len([]rune(header))) }

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
