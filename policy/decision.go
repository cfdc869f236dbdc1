package policy

import "time"

// Stage is the moment of a call at which rules are asked.
type Stage string

// The stages in a call's order.
const (
	Arrival   Stage = "arrival"   // the INVITE is here, nothing was heard
	Listening Stage = "listening" // the call was sent on and the caller waits
	Dialogue  Stage = "dialogue"  // a built-in dialogue (screen) has heard the caller
)

// Action is what a rule orders.
type Action string

// The actions.
const (
	ToAgents     Action = "agents"     // on to the PBX
	ToAutomation Action = "automation" // to a configured destination that serves machines
	ToCallback   Action = "callback"   // promise a callback
	ToScreen     Action = "screen"     // answer, say a prompt, listen, decide
	Reject       Action = "reject"     // a final response, no answer
)

// Refusals are the profiles of a reject (sip/refusal).
var Refusals = []string{"603", "603+", "607", "608"}

// Mode says whether decisions are acted on.
type Mode string

// The modes.
const (
	Observe Mode = "observe" // decide and record
	Enforce Mode = "enforce" // decide, record and act
)

// Decision is what a rule ordered at a stage.
type Decision struct {
	At          time.Time `json:"at"`
	Stage       Stage     `json:"stage"`
	Rule        string    `json:"rule"`              // the rule's name in the configuration, or a built-in's
	Action      Action    `json:"action"`            //
	Destination string    `json:"destination"`       // named in the configuration; empty for callback, screen, reject
	Reason      string    `json:"reason"`            // stable reason code, see reasons.go
	Status      int       `json:"status,omitempty"`  // SIP status of a reject; 0 before it is known
	Refusal     string    `json:"refusal,omitempty"` // profile of a reject, one of Refusals; empty with a status of its own, or for the configured one
}
