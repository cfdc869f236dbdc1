package registration

import (
	"errors"
	"testing"
	"time"

	"github.com/portero/portero/sip/auth"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func half() float64 { return 0.5 }

// A registration's life: each line is what came of a REGISTER, and what follows.
func TestLife(t *testing.T) {
	now := start
	m := New(time.Hour, half)
	for i, s := range []struct {
		r          Result
		wait       time.Duration
		asks       time.Duration
		registered bool
		fails      bool
	}{
		{Result{Status: 401}, 0, time.Hour, false, false},
		{Result{Status: 423, MinExpires: 2 * time.Hour}, 0, 2 * time.Hour, false, false},
		{Result{Status: 200, Expires: 1000 * time.Second}, 850 * time.Second, 2 * time.Hour, true, false},
		{Result{Status: 401}, 0, 2 * time.Hour, true, false},
		{Result{Status: 200}, 102 * time.Minute, 2 * time.Hour, true, false}, // it does not say: what was asked for
		{Result{Err: errors.New("no response")}, 22500 * time.Millisecond, 2 * time.Hour, true, true},
		{Result{Err: errors.New("no response")}, 45 * time.Second, 2 * time.Hour, true, true},
		{Result{Status: 503, RetryAfter: 2 * time.Minute}, 2 * time.Minute, 2 * time.Hour, false, true},
		{Result{Status: 503}, 3 * time.Minute, 2 * time.Hour, false, true},
		{Result{Status: 403}, 6 * time.Minute, 2 * time.Hour, false, true},
		{Result{Status: 404}, 12 * time.Minute, 2 * time.Hour, false, true},
		{Result{Status: 404}, 22*time.Minute + 30*time.Second, 2 * time.Hour, false, true},
		{Result{Status: 404}, 22*time.Minute + 30*time.Second, 2 * time.Hour, false, true},
		{Result{Status: 401, Challenge: auth.ErrRefused}, 22*time.Minute + 30*time.Second, 2 * time.Hour, false, true},
		{Result{Status: 200, Expires: time.Minute}, 51 * time.Second, 2 * time.Hour, true, false},
		{Result{Status: 423, MinExpires: 48 * time.Hour}, 22500 * time.Millisecond, 2 * time.Hour, false, true},
	} {
		wait, err := m.Done(now, s.r)
		if wait != s.wait || (err != nil) != s.fails || m.Expires() != s.asks || m.Registered(now) != s.registered {
			t.Fatalf("step %d, after %+v: waits %v, says %v, asks for %v, registered %v", i, s.r, wait, err, m.Expires(), m.Registered(now))
		}
		now = now.Add(wait)
	}
}

// Refreshes come between 80 and 90 % of the time, whatever chance says.
func TestRefreshInTime(t *testing.T) {
	for _, r := range []float64{0, 0.3, 0.999999} {
		m := New(time.Hour, func() float64 { return r })
		wait, err := m.Done(start, Result{Status: 200, Expires: 100 * time.Second})
		if err != nil || wait < 80*time.Second || wait > 90*time.Second {
			t.Errorf("with %v it waits %v, %v", r, wait, err)
		}
		if !m.Registered(start.Add(99*time.Second)) || m.Registered(start.Add(100*time.Second)) {
			t.Error("the registration does not end with its time")
		}
	}
}

// A registrar that challenges for ever, or raises its terms for ever, is not
// asked for ever.
func TestBounded(t *testing.T) {
	for name, r := range map[string]func(i int) Result{
		"challenges": func(int) Result { return Result{Status: 401} },
		"terms":      func(i int) Result { return Result{Status: 423, MinExpires: time.Duration(i+2) * time.Hour} },
	} {
		m := New(time.Hour, half)
		for i := 0; ; i++ {
			if wait, _ := m.Done(start, r(i)); wait > 0 {
				break
			}
			if i > maxTries {
				t.Fatalf("%s: no pause after %d REGISTERs", name, i)
			}
		}
	}
}
