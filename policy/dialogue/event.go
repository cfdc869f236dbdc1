package dialogue

import "github.com/portero/portero/policy"

// Event is what happened to a dialogue.
type Event interface{ event() }

// Started: the caller's leg is answered, media flows both ways.
type Started struct{}

// PromptEnded: the prompt of the Play action with this ID was played to its
// end, or could not be played (Failed). Not sent for a prompt that was stopped
// or replaced; sent by mistake, its old ID tells it apart.
type PromptEnded struct {
	ID     int
	Failed bool
}

// Digit: the caller pressed a key.
type Digit struct{ Key byte }

// Decided: the policy has decided on the call at stage dialogue.
type Decided struct{ Decision policy.Decision }

// PromiseStored: how the StorePromise action went.
type PromiseStored struct{ Result Stored }

// Timeout: the time of the Wait action with this ID is over.
type Timeout struct{ ID int }

// Gone: the other side hung up, or the call was taken away from the dialogue.
type Gone struct{}

func (Started) event()       {}
func (PromptEnded) event()   {}
func (Digit) event()         {}
func (Decided) event()       {}
func (PromiseStored) event() {}
func (Timeout) event()       {}
func (Gone) event()          {}

// Stored is what became of a promise.
type Stored byte

// The results.
const (
	StoredOK      Stored = iota // on disk
	StoredExists                // the number is owed a callback already
	StoredFailed                // the store is down
	StoredRefused               // the number is withheld or may not be dialled
)
