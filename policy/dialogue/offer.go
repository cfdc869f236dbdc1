package dialogue

import (
	"time"

	"github.com/portero/portero/policy"
)

// Offer promises a callback. The promise is stored before the caller hears of
// it; when it cannot be stored the call goes to the agents.
//
//	state     event                → actions, state
//	idle      Started              → StorePromise, Wait 2 s; storing
//	storing   PromiseStored ok     → Play callback_promise; telling
//	storing   PromiseStored exists → Play callback_exists; telling
//	storing   PromiseStored failed, refused; Timeout
//	                               → Play callback_failed; failing
//	storing   Gone                 → ; over, failing (nothing was promised yet)
//	telling   PromptEnded, Timeout → Hangup; over
//	telling   PromptEnded failed   → WithdrawPromise, PassToAgents; over
//	                                 (an older promise is not withdrawn)
//	failing   PromptEnded, Timeout → PassToAgents; over
//	failing, also when over:
//	          PromiseStored ok     → WithdrawPromise (it came too late to be made)
//	any       Gone                 → ; over (a promise that was told stays)
type Offer struct {
	script
	state  offerState
	reason string
}

type offerState byte

const (
	offerIdle offerState = iota
	offerStoring
	offerTelling
	offerFailing
)

// storeLimit is how long the caller waits in silence for the store.
const storeLimit = 2 * time.Second

// NewOffer is a callback offer.
func NewOffer() *Offer { return &Offer{} }

// Step takes an event.
func (o *Offer) Step(e Event) []Action {
	if p, ok := e.(PromiseStored); ok && o.state == offerFailing && p.Result == StoredOK {
		return []Action{WithdrawPromise{}}
	}
	if o.over {
		return nil
	}
	if _, gone := e.(Gone); gone {
		if o.state == offerStoring {
			o.state = offerFailing
		}
		o.over = true
		return nil
	}
	switch o.state {
	case offerIdle:
		if _, ok := e.(Started); ok {
			o.state = offerStoring
			return []Action{StorePromise{}, o.wait(storeLimit)}
		}
	case offerStoring:
		return o.storing(e)
	case offerTelling:
		if p, ok := e.(PromptEnded); ok && p.Failed && o.ended(p) {
			return o.unheard()
		}
		if o.done(e) {
			return o.end(Hangup{Reason: o.reason})
		}
	case offerFailing:
		if o.done(e) {
			return o.end(PassToAgents{Reason: o.reason})
		}
	}
	return nil
}

func (o *Offer) storing(e Event) []Action {
	switch e := e.(type) {
	case PromiseStored:
		switch e.Result {
		case StoredOK:
			return o.say(offerTelling, PromptCallbackPromise, policy.ReasonPromised)
		case StoredExists:
			return o.say(offerTelling, PromptCallbackExists, policy.ReasonPromiseExists)
		case StoredRefused:
			return o.say(offerFailing, PromptCallbackFailed, policy.ReasonNotDialable)
		default:
			return o.say(offerFailing, PromptCallbackFailed, policy.ReasonStoreDown)
		}
	case Timeout:
		if o.late(e) {
			return o.say(offerFailing, PromptCallbackFailed, policy.ReasonStoreDown)
		}
	}
	return nil
}

// unheard passes on a caller who could not be told of the promise.
func (o *Offer) unheard() []Action {
	var out []Action
	if o.reason == policy.ReasonPromised {
		out = append(out, WithdrawPromise{})
	}
	return append(out, o.end(PassToAgents{Reason: policy.ReasonPromptFailed})...)
}

func (o *Offer) say(next offerState, prompt, reason string) []Action {
	o.state, o.reason = next, reason
	return o.play(prompt)
}

// done says whether the prompt has ended or is stuck.
func (o *Offer) done(e Event) bool {
	switch e := e.(type) {
	case PromptEnded:
		return o.ended(e)
	case Timeout:
		return o.late(e)
	}
	return false
}
