package store

import (
	"errors"
	"fmt"
	"strconv"
)

// Promise is a callback owed to a number.
type Promise struct {
	ID          int64     `json:"id"`
	Number      string    `json:"number"`      // as it is dialled
	Destination string    `json:"destination"` // where the person is joined to, a name in the configuration
	CallID      string    `json:"call_id"`     // Call-ID of the caller's leg it was promised in
	State       State     `json:"state"`
	PromisedAt  Time      `json:"promised_at"`
	NotBefore   Time      `json:"not_before"`  // not dialled before this
	LeaseUntil  Time      `json:"lease_until"` // while dialing: when the claim lapses
	Attempts    int       `json:"attempts"`    // that may have rung a phone, the present one included
	CancelAt    Time      `json:"cancel_at"`   // cancelled while being dialled: this attempt is the last
	EndedAt     Time      `json:"ended_at"`
	History     []Attempt `json:"history"` // attempts made, oldest first; filled in by List, Get and Latest

	claim int64 // number of the claim that gave this out
}

// Attempt is one try at keeping a promise.
type Attempt struct {
	At      Time   `json:"at"`      // when it had ended
	Outcome string `json:"outcome"` // joined, no_answer, busy, failed, declined, machine
	Detail  string `json:"detail"`  // in words, such as the SIP response
	CallID  string `json:"call_id"` // SIP Call-ID of the callback's leg to the number
}

// State is where a promise stands.
type State string

// The states. StateOpen and StateDialing are owed still; the others are final.
const (
	StateOpen      State = "open"      // waits for its turn
	StateDialing   State = "dialing"   // claimed by a door
	StateJoined    State = "joined"    // kept: the person was joined to the agents
	StateFailed    State = "failed"    // every attempt was used up
	StateCancelled State = "cancelled" // taken back by an operator, or declined by the person
	StateExpired   State = "expired"   // too old to be worth a call
)

// States lists all states in a promise's order.
func States() []State {
	return []State{StateOpen, StateDialing, StateJoined, StateFailed, StateCancelled, StateExpired}
}

// ParseState reads a state's name.
func ParseState(s string) (State, error) {
	for _, st := range States() {
		if string(st) == s {
			return st, nil
		}
	}
	return "", fmt.Errorf("promise state %q is unknown; allowed: %v", s, States())
}

// Final tells whether nothing follows s.
func (s State) Final() bool { return s != StateOpen && s != StateDialing }

var (
	// ErrNotFound says that nothing is stored under that name.
	ErrNotFound = errors.New("not found")
	// ErrLost says that the claim has lapsed and the promise may be another's.
	ErrLost = errors.New("the claim on the promise has lapsed")
	// ErrEnded says that a promise is final already.
	ErrEnded = errors.New("the promise has ended already")
)

// promiseID reads an id as the command line and the API take it; a number that
// is dialled is longer, or starts with + or 0.
func promiseID(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil
}
