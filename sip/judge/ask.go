package judge

import (
	"time"

	"github.com/portero/portero/media/sound"
	"github.com/portero/portero/policy"
)

// screenMedia is how much of a screened caller is heard before the rules are
// asked about a class that is known.
const screenMedia = 3.0

// ask asks the rules of the stage that the call is in, if it may still be moved.
func (c *Call) ask(at time.Time) {
	switch {
	case c.facts.Emergency || c.facts.Relay || c.facts.Allowed:
		return // passed for good, whatever is heard
	case c.decision.Action == policy.Reject || c.decision.Action == policy.ToCallback:
		return // there is nobody left to move
	case c.decision.Action == policy.ToScreen:
		c.askDialogue(at)
	default:
		c.askListening(at)
	}
}

// listening says whether the call may still be moved: from the caller's first
// packet until listen_for after the far leg's answer. A screened call's time
// runs from the dialogue's decision: that moment both benches know, while the
// caller's leg of a recording does not show when the agents answered.
func (c *Call) listening(at time.Time) bool {
	switch {
	case c.ear.packets == 0:
		return false
	case !c.screenEnded.IsZero():
		return !at.After(c.screenEnded.Add(c.bench.Config.ListenFor))
	case c.far.past(at):
		return !at.After(c.far.at.Add(c.bench.Config.ListenFor))
	}
	return true
}

// askListening asks at every tick, so that rules over time and keys work as well as
// those over the verdict. Where no rule speaks, the call stays where it is; but a
// caller who was moved because of what they were judged to be, and is judged
// human now or types on a text telephone, goes back to the agents.
func (c *Call) askListening(at time.Time) {
	if !c.listening(at) {
		return
	}
	c.facts.Stage = policy.Listening
	d := c.rules()
	if d.Reason == policy.ReasonNoRule && !((c.verdict.Class == policy.Human || c.facts.TextTelephone) && c.bench.Rules.Judged(c.decision.Rule)) {
		return
	}
	c.decide(d)
}

// askDialogue asks once: when the caller's class is known after some seconds of
// their media, or that they have no voice to be heard, or at the end of the time for
// it. Where no rule speaks, the caller goes to the agents.
func (c *Call) askDialogue(at time.Time) {
	if c.screenSince.IsZero() {
		return
	}
	known := c.verdict.Class != policy.Unknown && c.ear.heard()-c.screenHeard >= screenMedia
	switch c.ear.kind() {
	case sound.Text, sound.Fax, sound.Modem:
		known = true // a question asked aloud is not heard there
	}
	if !known && at.Before(c.screenSince.Add(c.bench.Config.ScreenFor)) {
		return
	}
	c.facts.Stage = policy.Dialogue
	c.facts.Screened, c.screenEnded = true, at
	c.decide(c.rules())
}

// rules asks the rules about the facts as they are.
func (c *Call) rules() policy.Decision {
	d := c.bench.Rules.Decide(c.facts, c.verdict.Evidence)
	d.At = d.At.Add(-c.shift)
	return d
}

// decide takes a decision that differs from the one in force, as news.
func (c *Call) decide(d policy.Decision) {
	if d.Action == c.decision.Action && d.Destination == c.decision.Destination {
		return
	}
	c.take(d)
	c.news = append(c.news, d)
	c.screenBegins(d.At)
}

// take puts a decision in force.
func (c *Call) take(d policy.Decision) {
	c.decision = d
	c.decisions = append(c.decisions, d)
}
