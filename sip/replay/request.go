package replay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/sip/auth"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/transport"
)

// request is one that was sent, until its final response.
type request struct {
	method   string
	branch   string
	template *message
	dialog   *dialog
	sent     *message
	raw      []byte
	to       netip.AddrPort
	signed   int
	again    *timer // retransmission
	giveUp   *timer
	heard    bool   // a provisional response
	final    int    // code of the final response
	ack      []byte // of a final response that is no 2xx, or of the 2xx
	ackTo    netip.AddrPort
	done     func(res *inbound) // nil when nothing came
}

// reinviting says whether an INVITE of ours inside the dialog awaits its answer.
func (c *call) reinviting() bool {
	return slices.ContainsFunc(c.requests, func(r *request) bool { return r.method == "INVITE" && r != c.invite && r.final == 0 })
}

// send sends a new request made of a recorded one and sees to its retransmission
// and, should it be challenged, its repetition with credentials.
func (c *call) send(method string, template *message, d *dialog, done func(*inbound)) *request {
	r := &request{method: method, template: template, dialog: d, done: done}
	c.transmit(r)
	c.requests = append(c.requests, r)
	return r
}

func (c *call) transmit(r *request) {
	recorded, _ := r.template.cseq()
	n := recorded + c.id.move
	if n <= c.number {
		n = c.number + 1
	}
	c.number = n
	first := c.firstBranch != ""
	if r.branch = c.firstBranch; !first {
		r.branch = c.run.branch(c.id.tokens, branchOf(r.template))
	}
	c.firstBranch = ""
	r.sent = c.id.request(r.template, r.dialog, r.branch, n, nil)
	if c.learnt && (r.signed > 0 || r.template.index("Authorization") >= 0 || r.template.index("Proxy-Authorization") >= 0) {
		if answers := c.sign(r.sent); answers != nil {
			r.sent = c.id.request(r.template, r.dialog, r.branch, n, answers)
		}
	}
	r.raw = r.sent.bytes()
	if first {
		c.sameFingerprint = fingerprint.Of(r.raw).ID == c.rec.Fingerprint().ID
	}
	r.to = r.dialog.hop(c.id.protocol, c.run.options.Addr)
	r.heard, r.final = false, 0
	c.out(r.to, r.raw)
	if !transport.Reliable(c.id.protocol) {
		c.repeat(r, t1)
	}
	r.giveUp = c.timers.at(time.Now().Add(patience), func() {
		if r.final == 0 && !(r.method == "INVITE" && r.heard) {
			r.again.stop()
			r.final = 408
			r.done(nil)
		}
	})
}

// branchOf is the branch that a request's is to be like.
func branchOf(m *message) string {
	b := m.branch()
	if b == "" || b == "z9hG4bK" { // not even the recorded one told requests apart
		return "z9hG4bK0000000000"
	}
	return b
}

// repeat retransmits until something is heard (Timer A), or a final response is
// there (Timer E).
func (c *call) repeat(r *request, wait time.Duration) {
	r.again = c.timers.at(time.Now().Add(wait), func() {
		if r.final != 0 || r.method == "INVITE" && r.heard {
			return
		}
		c.out(r.to, r.raw)
		wait *= 2
		if r.method != "INVITE" {
			wait = min(wait, t2)
		}
		c.repeat(r, wait)
	})
}

func (c *call) out(to netip.AddrPort, raw []byte) {
	if err := c.run.send(to, raw); err != nil && c.note == "" {
		c.note = err.Error()
	}
}

func (c *call) inviteNumber(r *request) int {
	n, _ := r.sent.cseq()
	return n
}

// prack acknowledges a reliable provisional response (RFC 3262).
func (c *call) prack(m *inbound) {
	seq := string(m.get("RSeq"))
	reliable := slices.ContainsFunc(m.all("Require"), func(v []byte) bool { return strings.Contains(strings.ToLower(string(v)), "100rel") })
	if seq == "" || !reliable || c.pracked[m.tag("To")+seq] {
		return
	}
	c.pracked[m.tag("To")+seq] = true
	var template *message
	if c.cracked < len(c.script.pracks) {
		template = c.script.pracks[c.cracked]
		c.cracked++
	} else {
		template = derive(c.invite.template, "PRACK")
	}
	template = template.clone()
	template.set("RAck", fmt.Appendf(nil, "%s %s", seq, m.get("CSeq")))
	if describes(c.invite.sent) != nil && describes(m.message) != nil {
		// The response answered; another offer, or an answer of the recording's, would
		// be out of place.
		template.drop("Content-Type", "Content-Disposition")
		template.body = nil
	} else if describes(m.message) != nil && describes(template) == nil {
		template = c.lateAnswer(template, m)
	}
	template.length(false)
	c.send("PRACK", template, c.early, func(*inbound) {})
}

// cancel gives up a call that is not answered yet; one that is gets a BYE.
func (c *call) cancel() {
	c.hangUp = true
	switch {
	case c.dialog != nil:
		c.bye(nil)
	case c.invite.final != 0:
	case c.invite.heard:
		c.sendCancel()
	default:
		// A CANCEL may only follow a provisional response (RFC 3261 section 9.1).
	}
}

func (c *call) sendCancel() {
	if c.flow.Ended != "" {
		return
	}
	c.flow.end("cancelled", c.since())
	r := c.invite
	template := derive(r.template, "CANCEL")
	if c.script.cancel != nil {
		template = c.script.cancel.message.clone()
		template.edit("Via", func(v []byte) []byte { return v[:outside(v, ',')] })
	}
	n := &request{method: "CANCEL", branch: r.branch, template: template, to: r.to, done: func(*inbound) {}}
	n.sent = c.id.request(template, nil, r.branch, c.inviteNumber(r), nil)
	n.sent.setURI(r.sent.uri())
	n.raw = n.sent.bytes()
	c.out(n.to, n.raw)
	if !transport.Reliable(c.id.protocol) {
		c.repeat(n, t1)
	}
	c.requests = append(c.requests, n)
	// The far side owes a 487; one that owes for ever is left (section 9.1).
	c.timers.at(time.Now().Add(patience), func() {
		if !c.over && c.dialog == nil {
			c.finish("")
		}
	})
}

// bye ends the dialog; template is the recorded BYE, if it is its moment.
func (c *call) bye(template *message) {
	if c.dialog == nil && c.early != nil && template != nil && c.invite.final == 0 {
		// As some do who are not answered (RFC 3261 section 15 lets them).
		c.flow.end("caller", c.since())
		c.send("BYE", template, c.early, func(*inbound) { c.finish("") })
		return
	}
	if c.dialog == nil || slices.ContainsFunc(c.requests, func(r *request) bool { return r.method == "BYE" && r.dialog == c.dialog }) {
		return
	}
	if template == nil {
		template = derive(c.invite.template, "BYE")
		for _, q := range c.script.cues {
			if q.method() == "BYE" {
				template = q.message
			}
		}
	}
	c.playing = false
	c.flow.end("caller", c.since())
	c.send("BYE", template, c.dialog, func(*inbound) { c.finish("") })
}

// challenged answers a challenge; false: it cannot be, and is the final word.
func (c *call) challenged(r *request, m *inbound) bool {
	if c.auth == nil || r.method == "CANCEL" || r.signed >= 3 {
		return false
	}
	if err := c.auth.Challenged(parsedResponse(m.message), parsedRequest(r.sent)); err != nil {
		if !errors.Is(err, auth.ErrNotOurs) && c.note == "" {
			c.note = err.Error()
		}
		return false
	}
	if r == c.invite {
		c.flow.respond(m.code(), c.since())
		if s := c.script.attempts[c.attempt].signed; s != nil {
			r.template = s
			if d := describes(s); d != nil {
				c.own = d
			}
		}
	}
	spent := *r // the challenge may come again, and wants its ACK again
	c.requests = append(c.requests, &spent)
	r.signed++
	c.learnt = true
	c.transmit(r)
	return true
}
