package door

import (
	"time"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/policy/dialogue"
)

// talkEarly takes the caller into a dialogue in early media, where the
// configuration wants that: a 183 with the door's own description, in an early
// dialog of its own (RFC 3261 section 13.3.1.1). Whatever answers later does so in
// another, as a fork would, since its description is another one (section
// 13.2.1). false: this caller must be answered.
//
// The 183 is not sent reliably: a caller who demands that is answered. It is sent
// three times, as a datagram may be lost.
func (c *call) talkEarly(m dialogue.Machine) bool {
	name := ""
	switch m.(type) {
	case *dialogue.Screen:
		name = prompt.EarlyScreen
	case *dialogue.Offer:
		name = prompt.EarlyCallback
	}
	in, offer := c.caller.in, c.callerOffer()
	if c.d.deps.Prompts == nil || !c.d.deps.Prompts.Early(name) || in == nil || offer == nil || c.far != nil || c.next != nil || len(c.branches) > 0 || c.requires100rel() {
		return false
	}
	if _, ok := common(offer); !ok || c.requiresPrecondition() {
		return false // answerOwn says what to do
	}
	if c.earlyTag != "" && c.earlyTag == c.caller.localTag { // another dialogue before
		c.beginTalk(m)
		return true
	}
	c.alone()
	if c.caller.unforked == nil {
		d := c.caller.dialog()
		c.caller.unforked = &d
	} else {
		c.ownDialog()
	}
	c.caller.theirs = offer
	res := c.caller.reply(in, 183, "Session Progress")
	answer, _, _ := c.caller.ownAnswer(offer)
	setBody(res, sdpType, answer)
	c.caller.state = legEarly
	tag := c.caller.localTag
	c.earlyTag = tag
	c.caller.respond(in, res)
	for i := range 2 {
		c.after(c.d.timers.T1<<i, func() {
			if c.talk != nil && c.ringingCaller() && c.caller.localTag == tag {
				c.caller.respond(in, res)
			}
		})
	}
	c.agreed()
	if _, ok := m.(*dialogue.Screen); ok {
		c.listenFrom(time.Now())
	}
	c.beginTalk(m)
	return true
}
