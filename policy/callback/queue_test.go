package callback

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/policy/store"
)

func TestDialable(t *testing.T) {
	tight := enabled()
	tight.Numbers = []string{`\+49[0-9]+`, `1|2`}
	tight.Refuse = []string{`\+49900[0-9]*`}
	for _, tt := range []struct {
		c    Config
		from string
		want string // the number, or the code of the refusal
	}{
		{enabled(), "+15550100123", "+15550100123"},
		{enabled(), "+1 (555) 010-0123", "+15550100123"},
		{enabled(), "0049 30 123456", "+4930123456"},
		{enabled(), "+15550100123;phone-context=example.com", "+15550100123"},
		{enabled(), "0301234567", "0301234567"},
		{enabled(), "5550100", "5550100"},
		{enabled(), "", RefusedWithheld},
		{enabled(), "Anonymous", RefusedWithheld},
		{enabled(), "anonymous;x=y", RefusedWithheld},
		{enabled(), "unavailable", RefusedWithheld},
		{enabled(), "alice", RefusedInvalid},
		{enabled(), "+", RefusedInvalid},
		{enabled(), "*72", RefusedInvalid},
		{enabled(), "555#0100", RefusedInvalid},
		{enabled(), "555@0100", RefusedInvalid},
		{enabled(), "+1555\r\n0100123", RefusedInvalid},
		{enabled(), "+٤٩١٢٣٤٥٦٧", RefusedInvalid},
		{enabled(), strings.Repeat("1", 33), RefusedInvalid},
		{enabled(), strings.Repeat(" ", 1000) + "1", RefusedInvalid},
		{enabled(), "911", RefusedNumber},
		{enabled(), "112", RefusedNumber},
		{enabled(), "100", RefusedNumber},
		{enabled(), "+0123456789", RefusedNumber},
		{enabled(), "+1234567890123456", RefusedNumber},
		{enabled(), "+979123456789", RefusedNumber},
		{enabled(), "00979123456789", RefusedNumber},
		{enabled(), "+881612345678", RefusedNumber},
		{enabled(), "+19005550100", RefusedNumber},
		{enabled(), "19005550100", RefusedNumber},
		{enabled(), "+12129765550", RefusedNumber},
		{tight, "+4930123456", "+4930123456"},
		{tight, "+49900123456", RefusedNumber},
		{tight, "+15550100123", RefusedNumber},
		{tight, "1", "1"},
		{tight, "12", RefusedNumber}, // whole numbers are matched, also with | in the pattern
		{Defaults(), "+15550100123", RefusedDisabled},
	} {
		q, err := NewQueue(tt.c, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := q.Dialable(tt.from)
		var refusal *Refusal
		if errors.As(err, &refusal) {
			got = refusal.Code
		} else if err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("%q: got %q (%v), want %q", tt.from, got, err, tt.want)
		}
	}
}

func book(t *testing.T) *store.Store {
	t.Helper()
	c := store.Defaults()
	c.Path = filepath.Join(t.TempDir(), "portero.db")
	s, err := store.Open(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var noon = time.Date(2100, 1, 1, 12, 0, 0, 0, time.UTC)

func code(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return fmt.Sprint(err)
}

func TestOffer(t *testing.T) {
	ctx := context.Background()
	s := book(t)
	c := enabled()
	c.MaxOpen = 2
	c.Destination = "sales"
	q, err := NewQueue(c, s)
	if err != nil {
		t.Fatal(err)
	}
	first, existed, err := q.Offer(ctx, "+1 555 010-0001", "call", noon)
	if err != nil || existed || first.Number != "+15550100001" || first.Destination != "sales" || first.CallID != "call" {
		t.Fatalf("%+v, %v, %v", first, existed, err)
	}
	again, existed, err := q.Offer(ctx, "0015550100001", "call 2", noon.Add(time.Minute))
	if err != nil || !existed || again.ID != first.ID {
		t.Errorf("the same number in another shape: %+v, %v, %v", again, existed, err)
	}
	if _, _, err := q.Offer(ctx, "+15550100002", "call", noon); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Offer(ctx, "+15550100003", "call", noon); code(err) != RefusedFull {
		t.Errorf("above max_open: %v", err)
	}
	if _, existed, err := q.Offer(ctx, "+15550100002", "call", noon); err != nil || !existed {
		t.Errorf("a full queue must still know what it owes: %v, %v", existed, err)
	}
	if _, _, err := q.Offer(ctx, "anonymous", "call", noon); code(err) != RefusedWithheld {
		t.Errorf("withheld: %v", err)
	}

	// Cooldown after a promise that was not kept, none after one that was.
	if _, err := s.Cancel(ctx, first.Number, noon); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Offer(ctx, first.Number, "call", noon.Add(time.Hour-1)); code(err) != RefusedCooldown {
		t.Errorf("within the cooldown: %v", err)
	}
	if _, existed, err := q.Offer(ctx, first.Number, "call", noon.Add(time.Hour)); err != nil || existed {
		t.Errorf("after the cooldown: %v, %v", existed, err)
	}
	claimed, _, err := s.Claim(ctx, noon, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Resolve(ctx, claimed, store.StateJoined, store.Attempt{At: store.At(noon), Outcome: "joined"}); err != nil {
		t.Fatal(err)
	}
	if _, existed, err := q.Offer(ctx, claimed.Number, "call", noon.Add(time.Second)); err != nil || existed {
		t.Errorf("after a kept promise: %v, %v", existed, err)
	}
}

func TestOfferWithoutAStorePromisesNothing(t *testing.T) {
	s := book(t)
	q, err := NewQueue(enabled(), s)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	p, existed, err := q.Offer(context.Background(), "+15550100001", "call", noon)
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) || existed || p.ID != 0 {
		t.Errorf("%+v, %v, %v; want an error that is no refusal", p, existed, err)
	}
}

func TestConfigCheck(t *testing.T) {
	full := enabled()
	full.Hours = []string{"mon-fri 09:00-18:00", "sat,sun 10:00-24:00", "00:00-01:00"}
	full.TimeZone = "UTC"
	bad := Defaults()
	bad.Hours = []string{"mon-fri", "mo 09:00-18:00", "09:00-09:00", "22:00-06:00", "9:00-18:00", "mon-fri 09:00-25:00", ""}
	bad.TimeZone = "Nowhere/Town"
	bad.Numbers = []string{`\+1[0-9]+`, `(`, ``, `a)(b`}
	bad.Refuse = []string{`[`}
	for _, tt := range []struct {
		name string
		c    Config
		want string
	}{
		{"defaults", Defaults(), "[]"},
		{"full", full, "[]"},
		{"zero", Config{}, "[destination free_agents max_concurrent attempts retry_after ring_timeout expire max_open numbers]"},
		{"bad", bad, "[hours[0] hours[1] hours[2] hours[3] hours[4] hours[5] hours[6] time_zone numbers[1] numbers[2] numbers[3] refuse[0]]"},
		{"too much", Config{Destination: "a", FreeAgents: 1e6, MaxConcurrent: 1e6, Pace: 2 * time.Hour, Attempts: 11, RetryAfter: 25 * time.Hour,
			RingTimeout: 4 * time.Minute, Expire: 721 * time.Hour, MaxOpen: 1e6, Cooldown: -1, Numbers: []string{"1"}},
			"[free_agents max_concurrent pace attempts retry_after ring_timeout expire max_open cooldown]"},
	} {
		got := []string{}
		tt.c.Check(func(path, format string, args ...any) {
			got = append(got, path)
			if s := fmt.Sprintf(format, args...); strings.Contains(s, "%!") {
				t.Errorf("%s: %s: %s", tt.name, path, s)
			}
		})
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s: faults at\n%v, want\n%s", tt.name, got, tt.want)
		}
	}
}

func TestHours(t *testing.T) {
	c := Defaults()
	c.TimeZone = "UTC"
	c.Hours = []string{"mon-thu 09:00-12:30", "fri-mon 20:00-24:00"}
	h, err := newHours(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at   string // 2026-03-02 is a Monday
		want bool
	}{
		{"2026-03-02T08:59:59Z", false},
		{"2026-03-02T09:00:00Z", true},
		{"2026-03-02T12:29:59Z", true},
		{"2026-03-02T12:30:00Z", false},
		{"2026-03-02T10:00:00+05:00", false}, // 05:00 UTC
		{"2026-03-02T23:59:59Z", true},       // fri-mon goes over the weekend
		{"2026-03-03T23:59:59Z", false},
		{"2026-03-06T10:00:00Z", false},
		{"2026-03-08T20:00:00Z", true},
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.open(at); got != tt.want {
			t.Errorf("%s: open is %v, want %v", tt.at, got, tt.want)
		}
	}
}

func FuzzDialable(f *testing.F) {
	for _, s := range []string{"+15550100123", "anonymous", "tel:+1", "+1;a=b", "00", "\x00", "((((", "+٤٩"} {
		f.Add(s)
	}
	q, err := NewQueue(enabled(), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := q.Dialable(s)
		if err != nil {
			return
		}
		// Whatever came in, what is dialled is digits.
		if strings.Trim(strings.TrimPrefix(n, "+"), "0123456789") != "" || len(n) < 7 || len(n) > 16 {
			t.Errorf("%q is dialled as %q", s, n)
		}
		if again, err := q.Dialable(n); err != nil || again != n {
			t.Errorf("%q became %q, which becomes %q (%v)", s, n, again, err)
		}
	})
}
