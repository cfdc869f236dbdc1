package registration

import (
	"errors"
	"fmt"
	"time"

	"github.com/portero/portero/sip/auth"
)

// The limits of a registrar's terms, and the pace after failures (RFC 5626
// section 4.5).
const (
	longest   = 24 * time.Hour // a Min-Expires beyond it is not taken
	shortest  = 10 * time.Second
	firstWait = 30 * time.Second
	lastWait  = 30 * time.Minute
	// maxTries bounds REGISTERs sent one right after the other for challenges and 423.
	maxTries = 4
)

// Result is what a REGISTER came to.
type Result struct {
	Status     int           // final status, 0: none came
	Expires    time.Duration // granted for our Contact, 0: the registrar does not say
	MinExpires time.Duration // of a 423
	RetryAfter time.Duration // of a failure
	Challenge  error         // of a 401 or 407: why it is not answered; nil: it is
	Err        error         // why no response came
}

// Machine is one registration.
type Machine struct {
	wanted     time.Duration // what the next REGISTER asks for
	tries      int           // in a row, without a wait
	failures   int           // in a row
	registered bool
	until      time.Time // the registrar knows us until then
	rand       func() float64
}

// New makes a registration that asks for expires; rand is uniform in [0, 1).
func New(expires time.Duration, rand func() float64) *Machine {
	return &Machine{wanted: expires, rand: rand}
}

// Expires is what the next REGISTER asks for.
func (m *Machine) Expires() time.Duration { return m.wanted }

// Registered says whether the registrar knows us at a moment.
func (m *Machine) Registered(now time.Time) bool { return m.registered && now.Before(m.until) }

// Done takes what came of a REGISTER and says how long to wait for the next, 0:
// none. The error is why the registration failed, for the log; after a challenge
// or a 423 that will be answered at once there is none.
func (m *Machine) Done(now time.Time, r Result) (wait time.Duration, err error) {
	m.tries++
	switch {
	case r.Status >= 200 && r.Status < 300:
		granted := r.Expires
		if granted <= 0 {
			granted = m.wanted
		}
		m.tries, m.failures, m.registered = 0, 0, true
		m.until = now.Add(granted)
		// Before 90 % of the time, and not at the same moment as everybody else.
		return time.Duration(float64(granted) * (0.8 + 0.1*m.rand())), nil
	case (r.Status == 401 || r.Status == 407) && r.Challenge == nil && m.tries < maxTries:
		return 0, nil
	case r.Status == 423 && r.MinExpires > m.wanted && r.MinExpires <= longest && m.tries < maxTries:
		m.wanted = r.MinExpires
		return 0, nil
	}
	m.tries = 0
	if r.Status != 0 {
		m.registered = false // the registrar has spoken; after silence it may still know us
	}
	wait = m.backOff()
	return max(wait, r.RetryAfter), failure(r)
}

// backOff doubles from failure to failure, with half of it left to chance.
func (m *Machine) backOff() time.Duration {
	most := lastWait
	if m.failures < 6 {
		most = min(lastWait, firstWait<<m.failures)
	}
	m.failures++
	return time.Duration(float64(most) * (0.5 + 0.5*m.rand()))
}

func failure(r Result) error {
	switch {
	case r.Err != nil:
		return r.Err
	case errors.Is(r.Challenge, auth.ErrRefused), r.Status == 403:
		return fmt.Errorf("the registrar does not take us (%d): are username and password right?", r.Status)
	case r.Challenge != nil:
		return r.Challenge
	case r.Status == 423:
		return fmt.Errorf("the registrar wants at least %v (423)", r.MinExpires)
	}
	return fmt.Errorf("the registrar says %d", r.Status)
}

// Refused is what a check of a configured expires says.
func Refused(expires time.Duration) error {
	if expires < shortest || expires > longest {
		return fmt.Errorf("%v is no time to be registered for; allowed: %v to %v", expires, shortest, longest)
	}
	return nil
}
