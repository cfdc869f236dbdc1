package replay

import (
	"net/netip"
	"time"

	"github.com/portero/portero/sip/transport"
)

// serve answers a request of the far side's.
func (c *call) serve(m *inbound) {
	method := m.method()
	key := m.branch() + " " + method
	if method == "ACK" {
		// Of a 2xx of ours; those of refusals need no more than the silence they get.
		for _, s := range c.served {
			s.again.stop()
		}
		c.learn(m)
		return
	}
	if s := c.served[key]; s != nil { // it came again
		c.deliver(s)
		return
	}
	if method == "CANCEL" {
		// Whatever it is about was answered at once.
		status := "481 Call/Transaction Does Not Exist"
		if c.served[m.branch()+" INVITE"] != nil {
			status = "200 OK"
		}
		c.reply(m, nil, status)
		return
	}
	if m.tag("To") != c.id.tag || c.over {
		c.reply(m, nil, "481 Call/Transaction Does Not Exist")
		return
	}
	c.flow.request(method)
	switch method {
	case "BYE":
		c.reply(m, c.recorded(method), "200 OK")
		c.playing = false
		c.flow.end("far", c.since())
		if c.invite.final != 0 {
			c.finish("")
		}
	case "INVITE", "UPDATE":
		if c.reinviting() {
			c.reply(m, nil, "491 Request Pending")
			return
		}
		c.renegotiate(m)
	case "REFER":
		c.reply(m, c.recorded(method), "603 Decline")
	default:
		c.reply(m, c.recorded(method), "200 OK")
	}
}

// recorded is the next response of the recorded caller's to a method, the last
// one once all were used; nil when it gave none.
func (c *call) recorded(method string) *message {
	all := c.script.replies[method]
	if len(all) == 0 {
		return nil
	}
	i := min(c.replied[method], len(all)-1)
	c.replied[method]++
	return all[i]
}

// renegotiate answers a re-INVITE or an UPDATE: as the recorded caller did, with
// its description if that fits the offer.
func (c *call) renegotiate(m *inbound) {
	recorded := c.recorded(m.method())
	if target := dialogOf(m.message).target; len(target) > 0 && c.dialog != nil {
		c.dialog.target = target
	}
	offer := describes(m.message)
	if recorded != nil && recorded.code() >= 300 {
		c.reply(m, recorded, "")
		return
	}
	r := recorded
	if r == nil {
		r = c.id.reply(m.message, nil, "200 OK", m.flow.Remote)
	}
	r = r.clone()
	said := describes(r)
	switch {
	case offer == nil && m.method() == "UPDATE": // a session refresh
		r.body = nil
		r.drop("Content-Type", "Content-Disposition")
	case offer == nil && said == nil && c.own != nil: // it wants an offer
		r.body = c.own.Bytes()
		r.set("Content-Type", []byte("application/sdp"))
	case offer == nil:
	case said != nil && len(said.Media) == len(offer.Media) && said.Direction(said.Media[0]) == mirrored(offer.Direction(offer.Media[0])):
		c.own = said
	case c.own != nil:
		r.body = answer(c.own, offer)
		r.set("Content-Type", []byte("application/sdp"))
	}
	r.length(true)
	c.learn(m)
	s := c.reply(m, r, "")
	if m.method() == "INVITE" {
		c.untilAck(s, t1, time.Now().Add(patience))
	}
}

func mirrored(direction string) string {
	switch direction {
	case "sendonly":
		return "recvonly"
	case "recvonly":
		return "sendonly"
	}
	return direction
}

// untilAck sends a 2xx again until its ACK comes (RFC 3261 section 13.3.1.4).
func (c *call) untilAck(s *served, wait time.Duration, until time.Time) {
	s.again = c.timers.at(time.Now().Add(wait), func() {
		if c.over || time.Now().After(until) {
			return
		}
		c.deliver(s)
		c.untilAck(s, min(2*wait, t2), until)
	})
}

// reply answers a request and keeps the answer for when the request comes again.
func (c *call) reply(m *inbound, recorded *message, status string) *served {
	s := &served{flow: m.flow, to: m.flow.Remote, raw: c.id.reply(m.message, recorded, status, m.flow.Remote).bytes()}
	if !transport.Reliable(m.flow.Transport) {
		s.to = replyTo(m.message, m.flow.Remote)
	}
	if len(c.served) < 1024 {
		c.served[m.branch()+" "+m.method()] = s
	}
	c.deliver(s)
	return s
}

func (c *call) deliver(s *served) {
	if err := c.run.layer.ReplyTo(s.flow, s.to, s.raw); err != nil && c.note == "" {
		c.note = err.Error()
	}
}

// refuseStray answers a request that belongs to no call of the run.
func refuseStray(m *message, source netip.AddrPort) []byte {
	status := "481 Call/Transaction Does Not Exist"
	if m.method() == "OPTIONS" {
		status = "200 OK"
	}
	id := identity{protocol: transport.UDP, media: mediaPlace{port: func(int) uint16 { return 0 }}, tag: "stray"}
	return id.reply(m, nil, status, source).bytes()
}
