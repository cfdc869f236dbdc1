package view

import (
	"fmt"
	"math"
	"strings"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/trace"
)

// text draws the waterfall in a number of characters.
func (w *waterfall) text(p *printer, v *trace.Verdict, width int) {
	const left = 46 // name, effect, log-odds, probability
	room := min(max(width-left-2, 20), 60)
	place := func(x float64) int {
		if w.hi == w.lo {
			return 0
		}
		return int(math.Round((x - w.lo) / (w.hi - w.lo) * float64(room-1)))
	}
	bar := func(from, to float64) string {
		r := newRow(room)
		r.put(place(0), "┊")
		a, b, block := place(from), place(to), "█"
		if b < a {
			a, b, block = b, a, "▒"
		}
		if from != to {
			r.put(a, strings.Repeat(block, b-a+1))
		}
		return r.String()
	}
	line := func(name, effect string, x float64, bar string) {
		p.line("  %s %s %s %s  %s", pad(name, 22), pad(effect, -6), pad(fmt.Sprintf("%+.2f", x), -6), pad(fmt.Sprintf("p %.2f", policy.Probability(x)), -7), bar)
	}
	p.line("  %s %s %s", pad("", 22), pad("adds", -6), pad("log-odds of a machine", 21))
	line("prior", "", w.prior, bar(0, w.prior))
	for _, s := range w.steps {
		line(clean(s.Name), fmt.Sprintf("%+.2f", s.Effect), s.to, bar(s.from, s.to))
		says := clean(s.Says)
		if math.Abs(s.Effect-s.LLR) >= 0.01 {
			says += fmt.Sprintf(" [alone it would weigh %+.2f]", s.LLR)
		}
		switch {
		case s.At == nil:
		case s.Frame > 0:
			says += fmt.Sprintf(" — at %.1f s, frame %d", s.after.Seconds(), s.Frame)
		default:
			says += fmt.Sprintf(" — at %.1f s", s.after.Seconds())
		}
		for _, l := range wrap(says, min(width-6, 100)) {
			p.line("      %s", l)
		}
	}
	line("verdict: "+string(v.Class), "", w.verdict, bar(0, w.verdict))
}
