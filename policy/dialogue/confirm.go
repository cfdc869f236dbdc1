package dialogue

import (
	"time"

	"github.com/portero/portero/policy"
)

// Confirm asks whoever answers a callback to press 1, and joins them to the
// agents. A voicemail presses nothing.
//
//	state      event             → actions, state
//	idle       Started           → Play callback_confirm; asking
//	asking     Digit 1           → Play callback_thanks, Join; over
//	asking     Digit, another    → Play goodbye; leaving
//	asking     PromptEnded       → Wait; asking
//	asking     Timeout, first    → Play callback_confirm; asking
//	asking     Timeout, second   → Play goodbye; leaving
//	leaving    PromptEnded, Timeout → Hangup; over
//	any        Gone              → ; over
type Confirm struct {
	script
	patience time.Duration
	state    confirmState
	asked    int
}

type confirmState byte

const (
	confirmIdle confirmState = iota
	confirmAsking
	confirmLeaving
)

// confirmKey is the key that callback_confirm asks for.
const confirmKey = '1'

// NewConfirm is a confirmation that waits for a key this long after each of two
// prompts.
func NewConfirm(patience time.Duration) *Confirm { return &Confirm{patience: patience} }

// Step takes an event.
func (c *Confirm) Step(e Event) []Action {
	if c.over {
		return nil
	}
	if _, gone := e.(Gone); gone {
		c.over = true
		return nil
	}
	switch c.state {
	case confirmIdle:
		if _, ok := e.(Started); ok {
			return c.ask()
		}
	case confirmAsking:
		return c.asking(e)
	case confirmLeaving:
		switch e := e.(type) {
		case PromptEnded:
			if c.ended(e) {
				return c.end(Hangup{Reason: policy.ReasonNotConfirmed})
			}
		case Timeout:
			if c.late(e) {
				return c.end(Hangup{Reason: policy.ReasonNotConfirmed})
			}
		}
	}
	return nil
}

func (c *Confirm) asking(e Event) []Action {
	switch e := e.(type) {
	case Digit:
		if e.Key == confirmKey {
			thanks := c.play(PromptCallbackThanks)[0]
			return append([]Action{thanks}, c.end(Join{})...)
		}
		return c.leave()
	case PromptEnded:
		if c.ended(e) {
			return []Action{c.wait(c.patience)}
		}
	case Timeout:
		if c.late(e) {
			if c.asked < 2 {
				return c.ask()
			}
			return c.leave()
		}
	}
	return nil
}

func (c *Confirm) ask() []Action {
	c.state = confirmAsking
	c.asked++
	return c.play(PromptCallbackConfirm)
}

func (c *Confirm) leave() []Action {
	c.state = confirmLeaving
	return c.play(PromptGoodbye)
}
