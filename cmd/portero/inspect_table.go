package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/portero/portero/sip/trace"
)

// table writes calls for people, in 120 columns.
type table struct {
	out     io.Writer
	capture string
	calls   int
	hidden  int // calls that the filters keep out
	err     error
}

// row is the layout of a call's line; the columns are those of the head.
const row = "%-18s %-15s %-15s %-14s %-7s %7s %5s %7s  %-9s %4s %s\n"

// indent of the lines below a call's.
const indent = "    "

func (t *table) call(number int, c *trace.Call) {
	if t.calls == 0 {
		t.printf("%s\n", plain(t.capture))
		t.printf(row, "TIME (UTC)", "FROM", "TO", "OUTCOME", "CODEC", "PACKETS", "LOST", "JITTER", "CLASS", "P", "ACTION")
	}
	t.calls++
	at := "-"
	if c.InviteAt != nil {
		at = c.InviteAt.UTC().Format("01-02 15:04:05.000")
	}
	outcome := string(c.Outcome)
	if c.FinalCode != nil && c.Outcome != trace.Answered {
		outcome += fmt.Sprintf(" %d", *c.FinalCode)
	}
	codec, packets, lost, jitter := "-", "-", "-", "-"
	if s := c.CallerStream(); s != nil {
		codec, packets, lost = s.Codec, fmt.Sprint(s.Packets), fmt.Sprint(s.Lost)
		jitter = fmt.Sprintf("%.1fms", s.Jitter)
		if codec == "" {
			codec = fmt.Sprintf("PT %d", s.PayloadType)
		}
	}
	t.printf(row, at, cell(c.FromUser, 15), cell(c.ToUser, 15), cell(outcome, 14), cell(codec, 7), packets, lost, jitter,
		string(c.Verdict.Class), fmt.Sprintf("%.2f", c.Verdict.PMachine), cell(string(c.Decision.Action), 10))
	t.below(fmt.Sprintf("%6s ", fmt.Sprintf("#%d", number)), about(c))
	if d := c.Decision; d.Rule != "" {
		to := ""
		if d.Destination != "" && d.Destination != string(d.Action) {
			to = " to " + d.Destination
		}
		t.below("       ", fmt.Sprintf("%s: rule %s says %s%s (%s)", d.Stage, d.Rule, d.Action, to, d.Reason))
	}
	// What weighs most comes first.
	evidence := slices.Clone(c.Verdict.Evidence)
	slices.SortStableFunc(evidence, func(a, b trace.Evidence) int {
		return cmp.Compare(math.Abs(b.LLR), math.Abs(a.LLR))
	})
	for _, e := range evidence {
		t.below(fmt.Sprintf("%+6.2f ", e.LLR), e.Says+" ["+e.Name+"]")
	}
}

// about is the rest of what there is to say of a call in a line.
func about(c *trace.Call) string {
	out := []string{cmp.Or(c.CallID, "no Call-ID")}
	if c.AnsweredAt != nil && c.EndedAt != nil {
		out = append(out, fmt.Sprintf("%.1f s", c.EndedAt.Sub(c.AnsweredAt.Time).Seconds()))
	}
	if len(c.Hops) > 1 {
		out = append(out, fmt.Sprintf("%d hops", len(c.Hops)))
	}
	for _, l := range c.Links {
		out = append(out, fmt.Sprintf("%s of %s (%s)", l.Kind, l.CallID, l.Sure))
	}
	if c.Fingerprint.Stack != "" {
		out = append(out, c.Fingerprint.Stack)
	}
	return strings.Join(out, " · ")
}

// below writes a line under a call's, with as many more as it needs.
func (t *table) below(mark, text string) {
	const width = 120 - len(indent) - 7
	line := ""
	for _, word := range strings.Fields(plain(text)) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			t.printf("%s%s%s\n", indent, mark, line)
			mark, line = "       ", ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	t.printf("%s%s%s\n", indent, mark, line)
}

// end writes what the capture held besides.
func (t *table) end(sum trace.Summary) error {
	if t.calls == 0 {
		t.printf("%s\n", plain(t.capture))
	}
	if t.hidden > 0 {
		t.printf("%d of ", t.calls)
	}
	t.printf("%d calls in %d packets, %d SIP messages", t.calls+t.hidden, sum.Packets, sum.Messages)
	t.printf("%s", besides(sum))
	if n := len(sum.Strays); n > 0 {
		t.printf("; %d RTP streams belong to no call", n)
	}
	t.printf("\n")
	for i := range sum.Strays[:min(len(sum.Strays), maxStrayLines)] {
		t.printf("%s%s\n", indent, stray(&sum.Strays[i]))
	}
	t.printf("\n")
	return t.err
}

func (t *table) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.out, format, args...)
	}
}

// cell fits a text into a column.
func cell(s string, width int) string {
	r := []rune(plain(s))
	if len(r) == 0 {
		return "-"
	}
	if len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return string(r)
}
