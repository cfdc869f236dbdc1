package view

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	gutter    = 20 // characters of time and frame, left of the first column
	narrowest = 14 // characters from column to column; below that there is no room for words
	widest    = 40
)

// text draws the ladder in a number of characters.
func (l *ladder) text(p *printer, width int) {
	if len(l.rungs) == 0 {
		p.line("  no message of the call was kept")
		return
	}
	n := len(l.columns)
	step := min((width-gutter)/max(n, 1), widest)
	if step < narrowest {
		l.list(p, width)
		return
	}
	at := func(i int) int { return gutter + step/2 + i*step }
	letters := false
	for _, c := range l.columns {
		letters = letters || utf8.RuneCountInString(c.name) > step-2
	}
	if letters {
		for i, c := range l.columns {
			p.line("  %c  %s%s", letter(i), c.name, inBrackets(c.role))
		}
	}
	total := gutter + n*step
	row := newRow(total)
	for i, c := range l.columns {
		name := c.name
		if letters {
			name = string(letter(i))
		}
		row.centre(at(i), name)
	}
	row.put(3, "SECONDS")
	row.put(11, "FRAME")
	p.line("%s", row)
	if !letters {
		row = newRow(total)
		for i, c := range l.columns {
			row.centre(at(i), c.role)
		}
		p.line("%s", row)
	}
	for _, r := range l.rungs {
		row := newRow(total)
		row.put(0, fmt.Sprintf("%10.3f", r.at.Sub(l.start).Seconds()))
		if r.frame > 0 {
			row.put(11, pad(fmt.Sprintf("#%d", r.frame), 8))
		}
		for i := range n {
			row.put(at(i), "│")
		}
		switch {
		case r.from < 0:
			row.put(gutter, fit("◆ "+r.label, total-gutter))
		case r.from == r.to:
			row.put(at(r.from)+1, fit("↺ "+l.words(r), total-at(r.from)-1))
		default:
			row.arrow(at(r.from), at(r.to), l.words(r), strokes[r.kind])
		}
		p.line("%s", row)
	}
	l.legend(p)
}

var strokes = map[kind]rune{message: '─', again: '┄', media: '═'}

// words is the label of an arrow with its marks.
func (l *ladder) words(r rung) string {
	s := r.label
	if r.sdp {
		s += " +SDP"
	}
	return s
}

// list is the ladder where there is no room for one.
func (l *ladder) list(p *printer, width int) {
	for _, r := range l.rungs {
		s := fmt.Sprintf("%10.3f ", r.at.Sub(l.start).Seconds())
		if r.frame > 0 {
			s += pad(fmt.Sprintf("#%d", r.frame), 8)
		} else {
			s += "        "
		}
		switch {
		case r.from < 0:
			s += "◆ " + r.label
		default:
			s += l.columns[r.from].name + " → " + l.columns[r.to].name + "  " + l.words(r)
			if r.kind == again {
				s += " (again)"
			}
		}
		p.line("%s", fit(s, width))
	}
	l.legend(p)
}

// legend says what the marks mean, of those that are there.
func (l *ladder) legend(p *printer) {
	all, repeats, onward := l.tally()
	s := fmt.Sprintf("  %d messages", all)
	if repeats > 0 {
		s += fmt.Sprintf(", %d of them sent again (┄)", repeats)
	}
	if onward > 0 {
		s += fmt.Sprintf(", %d seen at another hop before", onward)
	}
	if l.leftOut > 0 {
		s += fmt.Sprintf("; %d more were not kept", l.leftOut)
	}
	p.line("%s", s)
}

func letter(i int) rune { return rune('A' + i%26) }

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// textRow is a line of characters that is drawn on.
type textRow []rune

func newRow(width int) textRow {
	r := make(textRow, width)
	for i := range r {
		r[i] = ' '
	}
	return r
}

func (r textRow) put(at int, s string) {
	for _, c := range s {
		if at >= 0 && at < len(r) {
			r[at] = c
		}
		at++
	}
}

func (r textRow) centre(at int, s string) { r.put(at-utf8.RuneCountInString(s)/2, s) }

// arrow draws from one column to another, with a label on its line.
func (r textRow) arrow(from, to int, label string, stroke rune) {
	left, right := min(from, to), max(from, to)
	for i := left + 1; i < right; i++ {
		r[i] = stroke
	}
	if from < to {
		r[right-1] = '▶'
	} else {
		r[left+1] = '◀'
	}
	if room := right - left - 5; room > 0 {
		label = fit(label, room)
		r.put(left+1+(right-left-1-utf8.RuneCountInString(label))/2, label)
	}
}

func (r textRow) String() string { return strings.TrimRight(string(r), " ") }
