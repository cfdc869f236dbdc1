package view

import (
	"fmt"
)

// Measures of the drawing, in CSS pixels.
const (
	svgGutter = 132
	svgStep   = 250
	svgRow    = 26
	svgHead   = 46
	svgRungs  = 400 // more are in the list of messages only
	svgChar   = 7   // a character of the labels
)

// drawing is the ladder as an SVG.
type drawing struct {
	Width, Height, Foot int
	Columns             []drawnColumn
	Rungs               []drawnRung
	LeftOut             int
	Summary             string
}

type drawnColumn struct {
	X          int
	Name, Role string
}

type drawnRung struct {
	Class       string
	Y, TextY    int
	X1, X2, Mid int
	Head        string // points of the arrow's head
	Note        bool   // it is no arrow
	Loop        bool
	Label, Full string
	At, Frame   string
	Message     int // its place among the messages shown, from 1; 0: it is none
}

// draw lays the ladder out.
func (l *ladder) draw() *drawing {
	d := &drawing{Width: svgGutter + max(len(l.columns), 1)*svgStep, LeftOut: l.leftOut}
	x := func(i int) int { return svgGutter + svgStep/2 + i*svgStep }
	for i, c := range l.columns {
		d.Columns = append(d.Columns, drawnColumn{X: x(i), Name: c.name, Role: c.role})
	}
	for i, r := range l.rungs {
		if i >= svgRungs {
			d.LeftOut++
			continue
		}
		y := svgHead + 20 + i*svgRow
		g := drawnRung{Y: y, TextY: y - 5, At: fmt.Sprintf("%.3f", r.at.Sub(l.start).Seconds()), Full: l.words(r), Class: class(r), Message: r.message}
		if r.detail != "" {
			g.Full += " — " + r.detail
		}
		if r.frame > 0 {
			g.Frame = fmt.Sprintf("#%d", r.frame)
		}
		switch {
		case r.from < 0:
			g.Note, g.X1, g.TextY = true, svgGutter+8, y+4
			g.Label = fit(l.words(r), (d.Width-svgGutter)/svgChar)
		case r.from == r.to:
			g.Loop, g.X1, g.TextY = true, x(r.from)+8, y+4
			g.Label = fit(l.words(r), svgStep/svgChar)
		default:
			g.X1, g.X2 = x(r.from), x(r.to)
			g.Mid = (g.X1 + g.X2) / 2
			way := 1
			if g.X2 < g.X1 {
				way = -1
			}
			g.Head = fmt.Sprintf("%d,%d %d,%d %d,%d", g.X2-way, y, g.X2-way*9, y-4, g.X2-way*9, y+4)
			g.Label = fit(l.words(r), (max(g.X1, g.X2)-min(g.X1, g.X2)-24)/svgChar)
		}
		d.Rungs = append(d.Rungs, g)
	}
	d.Height = svgHead + 20 + len(d.Rungs)*svgRow
	d.Foot = d.Height - 8
	all, repeats, onward := l.tally()
	d.Summary = fmt.Sprintf("%d messages", all)
	if repeats > 0 {
		d.Summary += fmt.Sprintf(", %d of them sent again (dotted)", repeats)
	}
	if onward > 0 {
		d.Summary += fmt.Sprintf(", %d seen at another hop before (pale)", onward)
	}
	if d.LeftOut > 0 {
		d.Summary += fmt.Sprintf("; %d more are not drawn", d.LeftOut)
	}
	return d
}

func class(r rung) string {
	s := map[kind]string{message: "message", again: "message again", media: "media", decided: "decided"}[r.kind]
	if r.onward {
		s += " onward"
	}
	switch {
	case r.code >= 400:
		s += " refused"
	case r.code >= 200 && r.code < 300:
		s += " well"
	}
	return s
}
