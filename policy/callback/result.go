package callback

import "github.com/portero/portero/policy/store"

// Outcome is what a dial came to.
type Outcome string

// The outcomes.
const (
	Joined    Outcome = "joined"     // the person pressed 1 and was joined to the agents
	NoAnswer  Outcome = "no_answer"  // rang in vain
	Busy      Outcome = "busy"       // 486 or 600
	Failed    Outcome = "failed"     // another final response, or something of ours broke
	Declined  Outcome = "declined"   // the person does not want it: 603, or another key
	Machine   Outcome = "machine"    // somebody answered and nobody pressed a key: an answering machine
	NotDialed Outcome = "not_dialed" // no phone can have rung: no PBX, no port, shutting down
)

// Result is what a dial came to.
type Result struct {
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail"`  // in words, such as the SIP response
	CallID  string  `json:"call_id"` // SIP Call-ID of the leg to the number
}

// next is what becomes of a promise after a result.
type next int

const (
	end    next = iota // in a final state
	again              // an attempt was made and another may follow
	undone             // no attempt was made
)

// after is the table of what follows an outcome, with the final state where it
// ends; an outcome of again ends as failed when the attempts are used up.
func (o Outcome) after() (next, store.State) {
	switch o {
	case Joined:
		return end, store.StateJoined
	case Declined:
		return end, store.StateCancelled
	case NotDialed:
		return undone, ""
	}
	return again, store.StateFailed // no_answer, busy, failed, machine
}
