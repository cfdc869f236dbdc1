package dialogue

import (
	"time"

	"github.com/portero/portero/policy"
)

// Action is what the door has to do.
type Action interface{ action() }

// Play a prompt from its start, instead of any that is being played. Its end is
// a PromptEnded event with the same ID.
type Play struct {
	ID     int
	Prompt string
}

// Wait asks for a Timeout event with the same ID after this time. It replaces
// the Wait before it; a dialogue has one timer.
type Wait struct {
	ID  int
	For time.Duration
}

// StorePromise asks for a callback to be stored; its end is a PromiseStored
// event.
type StorePromise struct{}

// WithdrawPromise takes back a promise that was stored too late to be made.
type WithdrawPromise struct{}

// Decide asks the policy for its final decision now; the answer is a Decided
// event.
type Decide struct{}

// Apply the decision. The dialogue is over.
type Apply struct{ Decision policy.Decision }

// Join connects the caller to the agents; a prompt being played may go on until
// they answer. The dialogue is over.
type Join struct{}

// PassToAgents sends the call on as if Portero were not there, with a reason
// code of policy. The dialogue is over.
type PassToAgents struct{ Reason string }

// Hangup ends the call, with a reason code of policy. The dialogue is over.
type Hangup struct{ Reason string }

func (Play) action()            {}
func (Wait) action()            {}
func (StorePromise) action()    {}
func (WithdrawPromise) action() {}
func (Decide) action()          {}
func (Apply) action()           {}
func (Join) action()            {}
func (PassToAgents) action()    {}
func (Hangup) action()          {}

// The prompts, as media/prompt names them.
const (
	PromptScreen          = "screen"
	PromptCallbackPromise = "callback_promise"
	PromptCallbackExists  = "callback_exists"
	PromptCallbackFailed  = "callback_failed"
	PromptCallbackConfirm = "callback_confirm"
	PromptCallbackThanks  = "callback_thanks"
	PromptGoodbye         = "goodbye"
)
