package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portero/portero/sip/trace"
)

// inspectFilter says which calls are shown; all of what is given must hold.
type inspectFilter struct {
	Call    string   `placeholder:"ID" help:"One call in full: its number in the table, its Call-ID, or a glob of that."`
	From    string   `placeholder:"PATTERN" help:"Only calls whose From user matches. A pattern with * ? [ ] is a glob for all of it; any other is looked for anywhere in it. Case does not count."`
	To      string   `placeholder:"PATTERN" help:"Only calls whose To user matches, likewise."`
	Class   []string `enum:"human,assistant,recording,unknown" placeholder:"CLASS" help:"Only calls judged human, assistant, recording or unknown; several with commas."`
	Outcome []string `enum:"answered,cancelled,busy,declined,auth_failed,redirected,failed,no_final" placeholder:"OUTCOME" help:"Only calls that ended so: answered, cancelled, busy, declined, auth_failed, redirected, failed, no_final."`
	Since   moment   `placeholder:"TIME" help:"Only calls that began at or after: 2026-03-01, \"2026-03-01 12:00\" (UTC), or RFC 3339."`
	Until   moment   `placeholder:"TIME" help:"Only calls that began before."`
}

// moment is a time on the command line; a date alone is its midnight, UTC.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler, which kong asks.
func (m *moment) UnmarshalText(b []byte) (err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if m.Time, err = time.ParseInLocation(layout, string(b), time.UTC); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is no time; write 2026-03-01, \"2026-03-01 12:00\" (UTC) or 2026-03-01T12:00:00+01:00", b)
}

// check refuses patterns that cannot be read.
func (f *inspectFilter) check() error {
	for flag, p := range map[string]string{"call": f.Call, "from": f.From, "to": f.To} {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("--%s: the pattern %q has a [ without its ]", flag, p)
		}
	}
	return nil
}

// takes says whether a call is shown; number is its place in the capture.
func (f *inspectFilter) takes(c *trace.Call, number int) bool {
	if f.Call != "" && f.Call != c.CallID && f.Call != strconv.Itoa(number) && !(isGlob(f.Call) && matches(f.Call, c.CallID)) {
		return false
	}
	if !matches(f.From, c.FromUser) || !matches(f.To, c.ToUser) {
		return false
	}
	if len(f.Class) > 0 && !slices.Contains(f.Class, string(c.Verdict.Class)) ||
		len(f.Outcome) > 0 && !slices.Contains(f.Outcome, string(c.Outcome)) {
		return false
	}
	if f.Since.IsZero() && f.Until.IsZero() {
		return true
	}
	began := c.InviteAt // a call whose INVITE was not captured began before what is known of it
	for _, at := range []*trace.Time{c.RingingAt, c.AnsweredAt, c.EndedAt} {
		if began == nil {
			began = at
		}
	}
	return began != nil && !began.Before(f.Since.Time) && (f.Until.IsZero() || began.Before(f.Until.Time))
}

// matches says whether a text fits a pattern. Everything fits none.
func matches(pattern, text string) bool {
	pattern, text = strings.ToLower(pattern), strings.ToLower(text)
	if !isGlob(pattern) {
		return strings.Contains(text, pattern)
	}
	// A slash is a character like any other here.
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(text, "/", "\x00"))
	return ok && err == nil
}

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?[") }

// sieve numbers the calls of a capture, and lets those through that are shown.
type sieve struct {
	sheet
	filter *inspectFilter
	seen   int // calls of the capture
	shown  int
	told   func(number int, c *trace.Call, shown bool) // of every call; may be nil
}

// end tells the form how many calls there were besides those that it was given.
func (s *sieve) end(sum trace.Summary) error {
	if t, ok := s.sheet.(*table); ok {
		t.hidden = s.seen - s.shown
	}
	return s.sheet.end(sum)
}

func (s *sieve) take(c *trace.Call) {
	s.seen++
	shown := s.filter.takes(c, s.seen)
	if shown {
		s.shown++
		s.call(s.seen, c)
	}
	if s.told != nil {
		s.told(s.seen, c, shown)
	}
}
