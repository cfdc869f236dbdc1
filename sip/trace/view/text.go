package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/portero/portero/sip/trace"
)

// Text writes one call for a terminal of a number of columns: who and when, the
// ladder of its messages (which the capture must have been read for:
// trace.Options.Messages), the figures of its media, the way from the prior to the
// verdict, and the decisions.
func Text(out io.Writer, c *trace.Call, number, width int) error {
	p := &printer{out: out}
	width = max(width, 60)
	title := fmt.Sprintf("Call %d  %s", number, cmp.Or(clean(c.CallID), "(no Call-ID)"))
	p.line("%s", fit(title, width))
	p.line("%s", fit(fmt.Sprintf("  %s → %s  %s", cmp.Or(clean(c.FromUser), "-"), cmp.Or(clean(c.ToUser), "-"), outcome(c)), width))
	p.line("%s", fit("  "+times(c), width))
	if f := c.Fingerprint; f.ID != "" {
		s := fmt.Sprintf("  fingerprint %s, stack %s", f.ID, cmp.Or(clean(f.Stack), "not known"))
		if known := signature(f); known != "" {
			s += ", known as " + known
		}
		if f.UserAgent != "" {
			s += fmt.Sprintf(", says it is %q", clean(f.UserAgent))
		}
		p.line("%s", fit(s, width))
	}
	if len(c.Flags) > 0 {
		for i, l := range wrap(clean(strings.Join(c.Flags, ", ")), width-12) {
			p.line("%s%s", []string{"  happened: ", "            "}[min(i, 1)], l)
		}
	}
	p.line("")
	p.line("Messages")
	newLadder(c).text(p, width)
	p.line("")
	p.line("Media")
	streams(p, c, width)
	p.line("")
	p.line("Evidence")
	if c.Fingerprint.ID == "" && len(c.Verdict.Evidence) == 0 && len(c.Decisions) == 0 {
		p.line("  the call was not judged: its INVITE is not in the capture, or nobody wanted it to be")
	} else {
		newWaterfall(c).text(p, c.Verdict, width)
		course(p, c)
	}
	p.line("")
	p.line("Decisions")
	for _, d := range c.Decisions {
		at := "         -"
		if d.At != nil {
			at = fmt.Sprintf("%10.3f", d.At.Sub(began(c)).Seconds())
		}
		p.line("%s", fit(at+"  "+decision(d), width))
	}
	if len(c.Decisions) == 0 {
		p.line("  none")
	}
	p.line("")
	return p.err
}

// signature is what a call's make is known as, "" if it is not.
func signature(f *trace.Fingerprint) string {
	if f.Signature == "" {
		return ""
	}
	return fmt.Sprintf("%s (%s)", clean(f.Signature), clean(f.SignatureKind))
}

// outcome is how the call went, in words.
func outcome(c *trace.Call) string {
	s := string(c.Outcome)
	if c.FinalCode != nil && c.Outcome != trace.Answered {
		s += fmt.Sprintf(" %d", *c.FinalCode)
	}
	return s
}

// times are those of the call, in a line.
func times(c *trace.Call) string {
	first := began(c)
	if first.IsZero() {
		return "no time is known"
	}
	s := first.UTC().Format("2006-01-02 15:04:05.000 UTC")
	for _, t := range []struct {
		at   *trace.Time
		what string
	}{{c.RingingAt, "rings"}, {c.AnsweredAt, "answered"}, {c.EndedAt, "ends"}} {
		if t.at != nil {
			s += fmt.Sprintf(", %s after %s", t.what, seconds(t.at.Sub(first)))
		}
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// streams are the figures of the media.
func streams(p *printer, c *trace.Call, width int) {
	faxes(p, c, width)
	if len(c.Streams) == 0 {
		if len(c.Faxes) == 0 {
			p.line("  no RTP of the call is in the capture")
		}
		return
	}
	const least = 124 // columns from which the addresses stand in the same line
	wide := func(s string) string {
		if width < least {
			return ""
		}
		return s
	}
	p.line("%s", strings.TrimRight(fmt.Sprintf("  %s %s %s %s %s %s %s %s  %s", pad("SIDE", 6), pad("CODEC", 10), pad("SSRC", 10), pad("BEGINS", -8), pad("SECONDS", -8), pad("PACKETS", -8), pad("LOST", -12), pad("JITTER", -8), wide("FROM → TO")), " "))
	for i := range c.Streams {
		s := &c.Streams[i]
		lost := fmt.Sprint(s.Lost)
		if all := s.Packets + s.Lost; s.Lost > 0 && all > 0 {
			lost += fmt.Sprintf(" (%.1f%%)", 100*float64(s.Lost)/float64(all))
		}
		codec := clean(codecOf(s))
		if s.SRTP {
			codec = "SRTP " + codec
		}
		way := fmt.Sprintf("%s → %s", s.Source, s.Destination)
		row := fmt.Sprintf("  %s %s %s %s %s %s %s %s  %s", pad(cmp.Or(string(s.Side), "-"), 6), pad(codec, 10), pad(s.SSRC.String(), 10),
			pad(fmt.Sprintf("%.3f", s.FirstAt.Sub(began(c)).Seconds()), -8), pad(fmt.Sprintf("%.1f", s.Seconds), -8), pad(fmt.Sprint(s.Packets), -8),
			pad(lost, -12), pad(fmt.Sprintf("%.1f ms", s.Jitter), -8), wide(way))
		p.line("%s", strings.TrimRight(fit(row, max(width, 80)), " "))
		if wide(way) == "" {
			p.line("         %s", way)
		}
		if s.Digits != "" {
			p.line("%s", fit("         keys "+clean(s.Digits), width))
		}
	}
}

// faxes are the figures of the fax over IP.
func faxes(p *printer, c *trace.Call, width int) {
	for _, f := range c.Faxes {
		p.line("%s", fit(fmt.Sprintf("  T.38 from %.3f s on, %.1f s, %d packets, %d lost  %s → %s", f.FirstAt.Sub(began(c)).Seconds(), f.Seconds, f.Packets, f.Lost, f.Source, f.Destination), max(width, 80)))
	}
}

// course is how the verdict changed, in a line or a few.
func course(p *printer, c *trace.Call) {
	if len(c.Verdict.Course) < 2 {
		return
	}
	var parts []string
	for _, m := range c.Verdict.Course {
		parts = append(parts, fmt.Sprintf("%.1f s %s %.2f", m.At.Sub(began(c)).Seconds(), m.Class, m.PMachine))
	}
	for i, l := range wrap(strings.Join(parts, " → "), 90) {
		lead := "  over time: "
		if i > 0 {
			lead = "             "
		}
		p.line("%s%s", lead, l)
	}
}

// printer writes lines until one fails.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}
