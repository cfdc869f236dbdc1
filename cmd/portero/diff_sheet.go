package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/portero/portero/cmd/portero/contrast"
	"github.com/portero/portero/sip/trace"
)

// contrastSheet is a form in which contrasts are written. tell says whether the call
// is told or only counted.
type contrastSheet interface {
	call(capture string, c contrast.Contrast, tell bool)
	end() error
}

// contrastText writes for people, in the manner of diff -u.
type contrastText struct {
	out     io.Writer
	sides   [2]contrast.Side
	files   [2]string
	capture string
	begun   bool
	brief   bool                // calls are only counted
	moves   map[[2]string]*move // calls by both treatments
	calls   int
	silent  int // treated alike by another rule or verdict, and not told
	err     error
}

// move counts the calls with the same two treatments.
type move struct {
	calls int
	why   map[string]int // by the first reason
}

// maxReasons is how many reasons of a move are counted apart, and mostTold how many are
// told.
const maxReasons, mostTold = 1000, 3

func (t *contrastText) call(capture string, c contrast.Contrast, tell bool) {
	t.calls++
	key := [2]string{t.sides[0].Treatment(c.A), t.sides[1].Treatment(c.B)}
	m := t.moves[key]
	if m == nil {
		m = &move{why: map[string]int{}}
		t.moves[key] = m
	}
	m.calls++
	if c.Treated && len(c.Why) > 0 && (m.why[c.Why[0]] > 0 || len(m.why) < maxReasons) {
		m.why[c.Why[0]]++
	}
	if t.brief {
		return
	}
	if !tell {
		if c.Ruled || c.Judged {
			t.silent++
		}
		return
	}
	if !t.begun {
		t.begun = true
		t.printf("--- %s\n+++ %s\n", t.files[0], t.files[1])
	}
	if t.capture != capture {
		t.capture = capture
		t.printf("%s\n", plain(capture))
	}
	at := "-"
	if c.A.InviteAt != nil {
		at = c.A.InviteAt.UTC().Format("01-02 15:04:05.000")
	}
	t.printf("@@ %s %s → %s, call %s\n", at, dash(c.A.FromUser), dash(c.A.ToUser), dash(c.A.CallID))
	if line, other := treated(t.sides[0], c.A), treated(t.sides[1], c.B); line == other {
		t.printf("  %s\n", line)
	} else {
		t.printf("- %s\n+ %s\n", line, other)
	}
	for _, why := range c.Why {
		t.printf("    %s\n", plain(why))
	}
}

// treated is one side's decision in a line.
func treated(s contrast.Side, c *trace.Call) string {
	d := c.Decision
	if d.Rule == "" {
		return s.Treatment(c)
	}
	return fmt.Sprintf("%s by rule %s at %s (%s)", s.Treatment(c), d.Rule, d.Stage, d.Reason)
}

// dash stands where nothing is known.
func dash(s string) string { return cmp.Or(plain(s), "-") }

// end writes how many calls go where.
func (t *contrastText) end() error {
	differ, width := 0, 0
	for m, n := range t.moves {
		if m[0] != m[1] {
			differ += n.calls
			width = max(width, len(m[0]))
		}
	}
	moves := slices.SortedFunc(maps.Keys(t.moves), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(t.moves[b].calls, t.moves[a].calls), slices.Compare(a[:], b[:]))
	})
	t.printf("%d calls: %d treated differently, %d alike", t.calls, differ, t.calls-differ)
	if t.silent > 0 {
		t.printf(" (%d of them by another rule or verdict: --all tells them)", t.silent)
	}
	t.printf("\n")
	for _, m := range moves {
		if m[0] == m[1] {
			continue
		}
		t.printf("%7d  %-*s → %s\n", t.moves[m].calls, width, m[0], m[1])
		why := t.moves[m].why
		reasons := slices.SortedFunc(maps.Keys(why), func(a, b string) int { return cmp.Or(cmp.Compare(why[b], why[a]), cmp.Compare(a, b)) })
		for i, r := range reasons {
			if i == mostTold {
				t.printf("                 … and %d reasons more\n", len(reasons)-i)
				break
			}
			t.printf("         %7d %s\n", why[r], plain(r))
		}
	}
	return t.err
}

func (t *contrastText) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.out, format, args...)
	}
}

// contrastJSON writes one document: a, b, differences, calls, differ.
type contrastJSON struct {
	out           io.Writer
	sides         [2]contrast.Side
	files         [2]string
	calls, differ int
	told          int
	err           error
}

// contrasted is a call in the document.
type contrasted struct {
	Capture   string      `json:"capture"`
	CallID    string      `json:"call_id"`
	FromUser  string      `json:"from_user"`
	ToUser    string      `json:"to_user"`
	InviteAt  *trace.Time `json:"invite_at"`
	Treatment [2]string   `json:"treatment"` // by a and by b
	A         judgement   `json:"a"`
	B         judgement   `json:"b"`
	Why       []string    `json:"why"`
}

// judgement is what one configuration made of a call.
type judgement struct {
	Verdict  *trace.Verdict  `json:"verdict"`
	Decision *trace.Decision `json:"decision"`
}

func (d *contrastJSON) call(capture string, c contrast.Contrast, tell bool) {
	d.calls++
	if c.Treated {
		d.differ++
	}
	if !tell {
		return
	}
	d.open()
	if d.told > 0 {
		d.write(",")
	}
	d.told++
	d.value(contrasted{Capture: capture, CallID: c.A.CallID, FromUser: c.A.FromUser, ToUser: c.A.ToUser, InviteAt: c.A.InviteAt,
		Treatment: [2]string{d.sides[0].Treatment(c.A), d.sides[1].Treatment(c.B)},
		A:         judgement{c.A.Verdict, c.A.Decision}, B: judgement{c.B.Verdict, c.B.Decision}, Why: append([]string{}, c.Why...)})
}

func (d *contrastJSON) open() {
	if d.told == 0 {
		d.write(`{"a":`)
		d.value(d.files[0])
		d.write(`,"b":`)
		d.value(d.files[1])
		d.write(`,"differences":[`)
	}
}

func (d *contrastJSON) end() error {
	d.open()
	d.write(fmt.Sprintf("],\"calls\":%d,\"differ\":%d}\n", d.calls, d.differ))
	return d.err
}

func (d *contrastJSON) value(v any) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil && d.err == nil {
		d.err = err
	}
	d.write(strings.TrimRight(b.String(), "\n"))
}

func (d *contrastJSON) write(s string) {
	if d.err == nil {
		_, d.err = io.WriteString(d.out, s)
	}
}
