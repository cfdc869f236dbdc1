package door

import (
	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/sdp"
)

// onReinvite hands a re-INVITE to the other leg and its answer back.
//
//	this leg                                     answer
//	its INVITE before is not answered yet        500 with Retry-After (RFC 3261 section 14.2)
//	we have an INVITE open on it                 491 (glare)
//	the call is being moved                      491
//	our 2xx to its INVITE before waits for an    491
//	answer in the ACK
//	the other leg's ACK is still to come         waits for it
//	a dialogue has the caller                    by the door itself
//	else                                         by the other leg
func (l *leg) onReinvite(in *incoming) {
	c := l.c
	l.retarget(in.req.Contact())
	switch {
	case l.in != nil:
		l.respondPlain(in, 500, "Server Internal Error: an INVITE is open", retryAfter())
		return
	case l.out != nil || c.next != nil || !l.implied():
		l.respondPlain(in, 491, "Request Pending")
		return
	case l.state != legUp:
		l.respondPlain(in, 500, "Server Internal Error: not connected yet", retryAfter())
		return
	}
	offer, err := l.read(bodyOf(in.req))
	if err != nil {
		l.respondPlain(in, 400, "Bad Request: "+err.Error())
		return
	}
	other := c.other(l)
	if other == nil || other.state != legUp {
		l.answerReinvite(in, offer)
		return
	}
	if other.in != nil || other.out != nil {
		l.respondPlain(in, 491, "Request Pending")
		return
	}
	l.in = in
	if u := other.unacked; u != nil { // RFC 3261 section 14.1: not before the ACK
		u.then = append(u.then, func() {
			if l.in == in && other.state == legUp {
				l.passReinvite(other, in, offer)
			}
		})
		return
	}
	l.passReinvite(other, in, offer)
}

// answerReinvite answers while no far leg is there to ask.
func (l *leg) answerReinvite(in *incoming, offer *sdp.Description) {
	res := l.reply(in, 200, "OK")
	if offer == nil {
		v, ok := l.c.talking()
		if !ok {
			l.respondPlain(in, 488, "Not Acceptable Here")
			return
		}
		setBody(res, sdpType, l.ownOffer(v, false))
	} else {
		answer, _, ok := l.ownAnswer(offer)
		if !ok {
			l.respondPlain(in, 488, "Not Acceptable Here")
			return
		}
		l.settleMedia(offer)
		setBody(res, sdpType, answer)
	}
	l.accept(in, res, offer == nil, func(ack *sipmsg.Request) {
		if d, err := l.read(bodyOf(ack)); err == nil && d != nil {
			l.settleMedia(d)
		}
	}, func() { l.unacknowledged() })
}

// passReinvite sends the re-INVITE on the other leg.
func (l *leg) passReinvite(other *leg, in *incoming, offer *sdp.Description) {
	c := l.c
	if mf := in.req.MaxForwards(); mf != nil && mf.Val() == 0 {
		l.respondPlain(in, 483, "Too Many Hops")
		return
	}
	b := bodyOf(in.req)
	req := other.request(sipmsg.INVITE)
	passHeaders(in.req, req)
	if offer != nil {
		setBody(req, b.contentType, b.with(other.rewrite(offer)))
	} else {
		setBody(req, b.contentType, b.data)
	}
	var o *outgoing
	o = other.send(req, false, func(res *sipmsg.Response) {
		switch {
		case res.StatusCode == 100:
			o.within(c.d.cfg.RingTimeout)
			return
		case res.IsProvisional():
			if l.in != in {
				return
			}
			out := l.reply(in, res.StatusCode, res.Reason)
			passHeaders(res, out)
			l.respond(in, out)
			return
		}
		other.out = nil
		if res.IsSuccess() {
			other.retarget(res.Contact())
		}
		if l.in != in { // cancelled meanwhile, or the call ended
			if res.IsSuccess() {
				other.acknowledge(o, "", "", nil)
			}
			return
		}
		rb := bodyOf(res)
		answer, err := other.read(rb)
		if !res.IsSuccess() || err != nil {
			if res.IsSuccess() { // unreadable: neither side may think it was agreed
				other.acknowledge(o, "", "", nil)
				l.respondPlain(in, 500, "Server Internal Error: the answer cannot be read")
				return
			}
			out := l.reply(in, res.StatusCode, res.Reason)
			passHeaders(res, out)
			setBody(out, rb.contentType, rb.data)
			l.respond(in, out)
			if res.StatusCode == 481 || res.StatusCode == 408 { // RFC 3261 section 12.2.1.2
				c.end(other.role, "its dialog is gone")
			}
			return
		}
		out := l.reply(in, res.StatusCode, res.Reason)
		passHeaders(res, out)
		if answer != nil {
			setBody(out, rb.contentType, rb.with(l.rewrite(answer)))
			other.settleMedia(answer)
		} else {
			setBody(out, rb.contentType, rb.data)
		}
		if offer != nil {
			l.settleMedia(offer)
			other.acknowledge(o, "", "", nil)
		}
		c.agreed()
		l.accept(in, out, offer == nil, func(ack *sipmsg.Request) {
			if offer != nil {
				return
			}
			ab := bodyOf(ack)
			theirs, err := l.read(ab)
			if err != nil || theirs == nil {
				other.acknowledge(o, "", "", nil)
				return
			}
			l.settleMedia(theirs)
			other.acknowledge(o, "", ab.contentType, ab.with(other.rewrite(theirs)))
			c.agreed()
		}, func() {
			if offer == nil {
				other.acknowledge(o, "", "", nil)
			}
			l.unacknowledged()
		})
	}, func(err error) {
		other.out = nil
		l.log.Warn("no answer to a re-INVITE from the other leg", zap.Error(err))
		if l.in == in {
			l.respondPlain(in, 408, "Request Timeout")
		}
		c.end(other.role, "no answer to a re-INVITE")
	})
	other.out = o
}

// unacknowledged ends a call whose 2xx to a re-INVITE was never acknowledged
// (RFC 3261 section 13.3.1.4).
func (l *leg) unacknowledged() {
	l.log.Warn("a 2xx was never acknowledged", zap.String("leg", l.role))
	l.c.end("portero", "no ACK")
}

// onReinviteCancelled: a re-INVITE was given up before it was answered.
func (l *leg) onReinviteCancelled(in *incoming) {
	if l.in != in {
		return
	}
	l.respondPlain(in, 487, "Request Terminated")
	if other := l.c.other(l); other != nil && other.out != nil {
		other.out.cancel()
	}
}
