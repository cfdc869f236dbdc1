package replay

import (
	"slices"
	"time"
)

// receive takes a message of the far side's.
func (c *call) receive(m *inbound) {
	if m.code() == 0 {
		c.serve(m)
		return
	}
	_, method := m.cseq()
	branch := m.branch()
	i := slices.IndexFunc(c.requests, func(r *request) bool { return r.branch == branch && r.method == method })
	if i < 0 {
		return
	}
	r := c.requests[i]
	code := m.code()
	switch {
	case code < 200:
		if r.final == 0 {
			r.heard = true
			if r == c.invite {
				c.provisional(m)
			}
		}
	case r.final != 0:
		c.repeated(r, m)
	default:
		r.final = code
		r.again.stop()
		r.giveUp.stop()
		if method == "INVITE" {
			c.acknowledge(r, m)
		}
		if (code == 401 || code == 407) && c.challenged(r, m) {
			return
		}
		r.done(m)
	}
}

// repeated answers a final response that came before.
func (c *call) repeated(r *request, m *inbound) {
	if r.method != "INVITE" || r.ack == nil {
		return
	}
	if m.code() < 300 && r == c.invite && c.dialog != nil && m.tag("To") != c.dialog.tag {
		// Another branch of a fork answered, too: one call is enough (RFC 3261
		// section 13.2.2.4).
		d := dialogOf(m.message)
		c.out(d.hop(c.id.protocol, c.run.options.Addr), c.id.request(derive(r.template, "ACK"), d, c.run.branch(c.id.tokens, r.branch), c.inviteNumber(r), nil).bytes())
		c.send("BYE", derive(r.template, "BYE"), d, func(*inbound) {})
		return
	}
	c.out(r.ackTo, r.ack)
}

// acknowledge sends the ACK of a final response to an INVITE (RFC 3261 sections
// 17.1.1.3 and 13.2.2.4).
func (c *call) acknowledge(r *request, m *inbound) {
	recorded, _ := r.template.cseq()
	template := c.script.acks[recorded]
	if template == nil {
		template = derive(r.template, "ACK")
	}
	var ack *message
	if m.code() >= 300 {
		template = derive(template, "ACK") // without a body and routes, as this one has to be
		ack = c.id.request(template, r.dialog, r.branch, c.inviteNumber(r), nil)
		ack.setURI(r.sent.uri())
		ack.edit("To", func(v []byte) []byte { return setParam(v, "tag", []byte(m.tag("To")), m.tag("To") != "") })
		r.ackTo = r.to
	} else {
		d := dialogOf(m.message)
		if r.dialog != nil { // only the target is refreshed (RFC 3261 section 12.2.1.2)
			d.tag, d.routes = r.dialog.tag, r.dialog.routes
			r.dialog.target = d.target
		}
		var credentials []credential
		for _, name := range []string{"Authorization", "Proxy-Authorization"} {
			for _, v := range r.sent.all(name) {
				credentials = append(credentials, credential{name, string(v)})
			}
		}
		if describes(r.sent) != nil || describes(m.message) == nil {
			template = template.clone()
			template.drop("Content-Type", "Content-Disposition")
			template.body = nil
		} else if describes(template) == nil {
			template = c.lateAnswer(template, m)
		}
		ack = c.id.request(template, d, c.run.branch(c.id.tokens, r.branch), c.inviteNumber(r), credentials)
		r.ackTo = d.hop(c.id.protocol, c.run.options.Addr)
	}
	r.ack = ack.bytes()
	c.out(r.ackTo, r.ack)
}

// lateAnswer puts an answer to the offer of a 2xx into an ACK that was recorded
// without one.
func (c *call) lateAnswer(ack *message, m *inbound) *message {
	offer := describes(m.message)
	if c.own == nil || offer == nil {
		return ack
	}
	a := ack.clone()
	a.body = answer(c.own, offer)
	a.set("Content-Type", []byte("application/sdp"))
	a.length(true)
	return a
}

// provisional takes a response of less than 200 to the INVITE.
func (c *call) provisional(m *inbound) {
	code := m.code()
	c.flow.respond(code, c.since())
	if c.hangUp {
		c.sendCancel()
	}
	if code == 100 {
		return
	}
	if tag := m.tag("To"); tag != "" {
		c.early = dialogOf(m.message)
		c.prack(m)
	}
	if !c.rang {
		c.rang = true
		c.cue(fromRing)
	}
	c.flow.codec(describes(m.message))
	if c.learn(m) {
		c.playEarly()
	}
}

// final takes the final response to an INVITE outside the dialog, nil when none
// came.
func (c *call) final(m *inbound) {
	if m == nil {
		c.note = "nothing came back within " + Seconds(c.since()).String()
		c.finish("")
		return
	}
	code := m.code()
	c.flow.respond(code, c.since())
	if code < 300 {
		c.answered(m)
		return
	}
	if !c.hangUp && c.note == "" && c.attempt+1 < len(c.script.attempts) {
		n := c.attempt + 1
		c.after(c.script.attempts[n].pause, func() {
			if c.hangUp {
				c.finish("cancelled")
				return
			}
			c.startAttempt(n)
		})
		return
	}
	c.finish("refused")
}

func (c *call) answered(m *inbound) {
	c.dialog = dialogOf(m.message)
	c.flow.codec(describes(m.message))
	c.learn(m)
	if c.hangUp || c.note != "" {
		c.bye(nil)
		return
	}
	c.play()
	c.cue(fromAnswer)
	if slices.ContainsFunc(c.script.cues, func(q cue) bool { return q.method() == "BYE" && q.after == fromAnswer }) {
		return
	}
	switch {
	case !c.script.answered && c.script.cancel != nil: // hangs up when it would have given up
	case !c.script.answered:
		c.bye(nil)
	case c.script.farBye:
		c.timers.at(time.Now().Add(c.run.scaled(c.script.talk)+c.run.options.Patience), func() {
			if !c.over {
				c.bye(nil)
			}
		})
	default:
		c.after(c.script.talk, func() { c.bye(nil) })
	}
}

// learn takes from a message where the far side wants media; false: nothing
// there says so.
func (c *call) learn(m *inbound) bool {
	d := describes(m.message)
	if d == nil {
		return false
	}
	c.media.learn(d, m.flow.Remote.Addr())
	return true
}
