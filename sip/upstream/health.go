package upstream

import "time"

// State is how an address fares.
type State int

// The states, from the best to the worst for a call that must choose.
const (
	Up       State = iota // nothing speaks against it
	Refusing              // it lives, but said 503 and is left alone for a while
	Failed                // a call got no answer there a moment ago
	Down                  // OPTIONS are not answered
)

func (s State) String() string {
	return [...]string{"up", "refusing", "failed", "down"}[s]
}

// Failure is a way in which a target does not take a call.
type Failure int

// The failures.
const (
	Silent      Failure = iota // no response in time
	Unsent                     // the transport could not deliver the request
	Unavailable                // 503
	Elsewhere                  // 408, 502 or 504: it lives, what is behind it does not
)

func (f Failure) String() string {
	return [...]string{"silent", "unsent", "unavailable", "elsewhere"}[f]
}

// maxRetryAfter bounds how long a Retry-After is believed.
const maxRetryAfter = 5 * time.Minute

// health is what is known of one address. All times are given.
type health struct {
	down    bool
	streak  int       // results in a row that contradict down
	changed time.Time // when down last changed

	until    time.Time // cooling down
	since    time.Time // cooling began
	asked    bool      // by its own 503, not for being silent
	refusals int       // 503 in a row without Retry-After
}

// state is how the address fares now, and until when at least.
func (h *health) state(now time.Time) (State, time.Time) {
	switch {
	case h.down:
		return Down, h.until
	case !now.Before(h.until):
		return Up, time.Time{}
	case h.asked:
		return Refusing, h.until
	}
	return Failed, h.until
}

// saw takes one sign of life, or of none; true: down changed.
func (h *health) saw(alive bool, c Health, now time.Time) bool {
	if alive != h.down {
		h.streak = 0
		return false
	}
	h.streak++
	need := c.Fall
	if alive {
		need = c.Rise
	}
	if h.streak < need {
		return false
	}
	h.down, h.streak, h.changed = !alive, 0, now
	return true
}

// failed takes a call's failure. A 503 without Retry-After is one call's
// misfortune (RFC 3261 section 21.5.4: as if it were a 500), several in a row
// are the PBX's. Watched says whether OPTIONS can bring the address back; if
// not, calls must not take it down.
func (h *health) failed(f Failure, retryAfter time.Duration, watched bool, c Config, now time.Time) (changed bool) {
	switch f {
	case Elsewhere:
		return false
	case Unavailable:
		if retryAfter > 0 {
			h.cool(now, min(retryAfter, maxRetryAfter), true)
		} else if h.refusals++; h.refusals >= c.Health.Fall {
			h.refusals = 0
			h.cool(now, c.Cooldown, true)
		}
		return false
	}
	h.cool(now, c.Cooldown, false)
	return watched && h.saw(false, c.Health, now)
}

// cool passes the address over for a while. A shorter while does not end a
// longer one.
func (h *health) cool(now time.Time, d time.Duration, asked bool) {
	if until := now.Add(d); until.After(h.until) {
		h.until, h.asked = until, asked
	}
	h.since = now
}

// answered takes a sign of life from a call that was sent at began. It ends a
// cooldown for silence that was there already when the call was sent; one that
// the PBX asked for goes on.
func (h *health) answered(began time.Time, c Health, now time.Time) (changed bool) {
	h.refusals = 0
	if !h.asked && !h.since.After(began) {
		h.until = time.Time{}
	}
	return h.saw(true, c, now)
}
