package webhook

import (
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

// Kind is what an event tells.
type Kind string

// The kinds.
const (
	Started  Kind = "started"  // a call is listened to
	Verdict  Kind = "verdict"  // the verdict changed: in class, or by 0.05 in probability
	Decision Kind = "decision" // a rule decided
	Ended    Kind = "ended"    // the call is over; the record is whole
)

// Event is one post's body.
type Event struct {
	ID      string    `json:"event_id"` // unique; the same when an event is posted again
	Kind    Kind      `json:"event"`
	At      time.Time `json:"at"`
	Call    string    `json:"id"`      // Portero's own id of the call
	CallID  string    `json:"call_id"` // of SIP
	Trunk   string    `json:"trunk"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Session string    `json:"session,omitempty"` // the communication session's id (RFC 7865)

	Verdict  *policy.Verdict         `json:"verdict,omitempty"`
	Decision *store.RecordedDecision `json:"decision,omitempty"`
	Record   *store.Record           `json:"record,omitempty"`
}
