package training

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// HTML writes the evaluation as one self-contained page: the tables, a curve of
// the detection error trade-off and a histogram of the ratios.
func (e *Evaluation) HTML(w io.Writer, title string) error {
	type htmlTable struct {
		Title  string
		Header []string
		Rows   [][]string
	}
	page := struct {
		Title      string
		Curves     template.HTML
		Histograms []template.HTML
		Tables     []htmlTable
	}{Title: title, Curves: e.curves()}
	page.Histograms = append(page.Histograms, histogram("whole clips", e.Clips))
	if len(e.Calls) > 0 {
		page.Histograms = append(page.Histograms, histogram(fmt.Sprintf("whole calls, %g s and more", CallSeconds), e.Calls))
	}
	for _, t := range e.tables() {
		page.Tables = append(page.Tables, htmlTable{t.title, t.header, t.rows})
	}
	return pageTemplate.Execute(w, page)
}

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title><style>
body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.5em 0 2em}td,th{padding:.15em .6em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}h2{font-size:1.05em;margin:1.5em 0 .3em}svg{max-width:100%;height:auto;margin-right:1em}
</style></head><body><h1>{{.Title}}</h1>
<p>Human: blue. Synthetic: orange. The ratio is the natural logarithm of how much likelier the speech is from a machine than from a person.</p>
{{.Curves}}{{range .Histograms}}{{.}}{{end}}
{{range .Tables}}<h2>{{.Title}}</h2><table><tr><th></th>{{range .Header}}<th>{{.}}</th>{{end}}</tr>
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</table>{{end}}</body></html>
`))

// detEdge is the least and, from 1, the largest share that the curves show.
const detEdge = .002

// probit is the normal deviate of a share, which the axes of a trade-off have.
func probit(p float64) float64 {
	return math.Sqrt2 * math.Erfinv(2*math.Max(detEdge, math.Min(1-detEdge, p))-1)
}

// curves draws the trade-offs of clips, of each kind of synthesizer, and of calls.
func (e *Evaluation) curves() template.HTML {
	const size, left, top = 420.0, 60.0, 20.0
	at := func(p float64) float64 {
		return (probit(p) - probit(detEdge)) / (probit(1-detEdge) - probit(detEdge)) * size
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="660" height="500" viewBox="0 0 660 500" role="img"><title>detection error trade-off</title>`)
	for _, p := range []float64{.005, .01, .02, .05, .1, .2, .4, .6, .8, .95} {
		v := at(p)
		fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1fM%.1f %.1fH%.1f" stroke="#e4e4e4"/>`, left+v, top, top+size, left, top+size-v, left+size)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" font-size="11" text-anchor="middle">%g</text>`, left+v, top+size+15, 100*p)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" font-size="11" text-anchor="end">%g</text>`, left-5, top+size-v+4, 100*p)
	}
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" font-size="12" text-anchor="middle">people over the score, %%</text>`, left+size/2, top+size+35)
	fmt.Fprintf(&b, `<text transform="translate(18 %.1f) rotate(-90)" font-size="12" text-anchor="middle">machines under it, %%</text>`, top+size/2)
	colours := []string{"#222", "#c33", "#1a7f37", "#7d4cdb", "#0a6ed1", "#b8860b", "#e0559a", "#555", "#2aa"}
	draw := func(i int, name string, s []Scored) {
		colour := colours[i%len(colours)]
		fmt.Fprintf(&b, `<path fill="none" stroke="%s" stroke-width="1.5" d="`, colour)
		verb, last := "M", Point{-1, -1}
		for _, p := range Tradeoff(s) {
			if math.Abs(at(p.Alarms)-at(last.Alarms))+math.Abs(at(p.Misses)-at(last.Misses)) < 1 {
				continue
			}
			fmt.Fprintf(&b, "%s%.1f %.1f", verb, left+at(p.Alarms), top+size-at(p.Misses))
			verb, last = "L", p
		}
		fmt.Fprintf(&b, `"/><text x="%.1f" y="%.1f" font-size="12" fill="%s">%s</text>`,
			left+size+12, top+14+18*float64(i), colour, template.HTMLEscapeString(name))
	}
	draw(0, "whole clips", e.Clips)
	n := 1
	if len(e.Calls) > 0 {
		draw(1, "whole calls", e.Calls)
		n = 2
	}
	for i, k := range kindsOf(e.Clips) {
		draw(n+i, k, against(e.Clips, k))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // made of numbers and escaped names
}

// histogram draws how the ratios of both classes lie, in steps of a quarter.
func histogram(name string, s []Scored) template.HTML {
	const low, high, step, width, height = -6.0, 6.0, .25, 480.0, 160.0
	const bars = int((high - low) / step)
	var count [2][bars]float64
	var n [2]float64
	for _, c := range s {
		k := label(&Clip{Synthetic: c.Synthetic})
		count[k][max(0, min(bars-1, int((c.Score-low)/step)))]++
		n[k]++
	}
	most := 1e-9
	for k := range count {
		for i := range count[k] {
			count[k][i] /= math.Max(1, n[k])
			most = math.Max(most, count[k][i])
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="520" height="210" viewBox="0 0 520 210" role="img"><title>ratios, %s</title>`, name)
	for k, colour := range []string{"#0a6ed1", "#e8810c"} {
		for i, c := range count[k] {
			h := c / most * height
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" opacity=".55"/>`,
				20+width*float64(i)/float64(bars), 10+height-h, width/float64(bars)-1, h, colour)
		}
	}
	for v := low; v <= high; v += 2 {
		fmt.Fprintf(&b, `<text x="%.1f" y="186" font-size="11" text-anchor="middle">%+g</text>`, 20+width*(v-low)/(high-low), v)
	}
	fmt.Fprintf(&b, `<text x="260" y="204" font-size="12" text-anchor="middle">ratio, %s</text></svg>`, template.HTMLEscapeString(name))
	return template.HTML(b.String()) //nolint:gosec // made of numbers and escaped names
}
