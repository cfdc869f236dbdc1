package main

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/portero/portero/sip/trace"
)

// lines writes calls as CSV (RFC 4180), one line each below a line of names.
type lines struct {
	out     *csv.Writer
	capture string
	headed  *bool // the line of names was written, for this capture or one before
}

// columns of the CSV form, in order. New ones are added at the end.
var columns = []string{
	"capture", "number", "call_id", "from_user", "to_user", "outcome", "final_code",
	"invite_at", "ringing_at", "answered_at", "ended_at", "talk_seconds", "hops",
	"caller_codec", "caller_packets", "caller_lost", "caller_jitter_ms", "far_codec", "far_packets", "far_lost", "far_jitter_ms", "digits",
	"class", "p_machine", "stage", "rule", "action", "destination", "reason",
	"fingerprint", "stack", "user_agent", "signature", "signature_kind", "evidence",
}

func (l *lines) call(number int, c *trace.Call) {
	l.head()
	at := func(t *trace.Time) string {
		if t == nil {
			return ""
		}
		b, _ := t.MarshalText()
		return string(b)
	}
	code, talk := "", ""
	if c.FinalCode != nil {
		code = strconv.Itoa(*c.FinalCode)
	}
	if c.AnsweredAt != nil && c.EndedAt != nil {
		talk = fmt.Sprintf("%.3f", c.EndedAt.Sub(c.AnsweredAt.Time).Seconds())
	}
	var evidence []string
	for _, e := range c.Verdict.Evidence {
		evidence = append(evidence, fmt.Sprintf("%s=%+.2f", e.Name, e.LLR))
	}
	caller, digits := media(c.CallerStream())
	far, _ := media(c.FarStream())
	fields := []string{l.capture, strconv.Itoa(number), c.CallID, c.FromUser, c.ToUser, string(c.Outcome), code,
		at(c.InviteAt), at(c.RingingAt), at(c.AnsweredAt), at(c.EndedAt), talk, strconv.Itoa(len(c.Hops))}
	fields = append(append(append(fields, caller...), far...), digits)
	d := c.Decision
	fields = append(fields, string(c.Verdict.Class), fmt.Sprintf("%.4f", c.Verdict.PMachine),
		string(d.Stage), d.Rule, string(d.Action), d.Destination, d.Reason,
		c.Fingerprint.ID, c.Fingerprint.Stack, c.Fingerprint.UserAgent, c.Fingerprint.Signature, c.Fingerprint.SignatureKind, strings.Join(evidence, " "))
	for i := range fields {
		fields[i] = harmless(fields[i])
	}
	_ = l.out.Write(fields) // end tells
	l.out.Flush()           // the next call may be long in coming
}

// media is a stream in four fields, and the keys in it.
func media(s *trace.Stream) (fields []string, digits string) {
	if s == nil {
		return []string{"", "", "", ""}, ""
	}
	return []string{s.Codec, strconv.Itoa(s.Packets), strconv.Itoa(s.Lost), fmt.Sprintf("%.3f", s.Jitter)}, s.Digits
}

// harmless is a field that no spreadsheet takes for a formula: one that begins as
// formulas do, and is no number, gets an apostrophe before it.
func harmless(s string) string {
	s = plain(s)
	if s == "" || !strings.ContainsRune("=+-@", rune(s[0])) {
		return s
	}
	if s[0] != '=' && s[0] != '@' && strings.Trim(s[1:], "0123456789.") == "" {
		return s // a number, of a phone too
	}
	return "'" + s
}

func (l *lines) head() {
	if !*l.headed {
		*l.headed = true
		_ = l.out.Write(columns)
	}
}

func (l *lines) end(trace.Summary) error {
	l.head()
	l.out.Flush()
	return l.out.Error()
}
