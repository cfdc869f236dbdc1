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
//	we have an INVITE or an offer open on it     491 (glare; RFC 3311 section 5.2)
//	the caller's 2xx waits for its PRACK         491
//	our 2xx to its INVITE before waits for an    491
//	answer in the ACK
//	it only refreshes the leg's session timer    by the door itself
//	a dialogue has the caller                    by the door itself
//	the other leg's ACK is still to come, or     waits for it
//	the door's own re-INVITE there is open
//	else                                         by the other leg
//
// While a call is being moved its legs go on as before: who holds is not told to
// try again later because the door calls somebody.
func (l *leg) onReinvite(in *incoming) {
	c := l.c
	switch {
	case l.in != nil:
		l.respondPlain(in, 500, "Server Internal Error: an INVITE is open", retryAfter())
		return
	case l.out != nil || l.offering != nil || c.ringingCaller() || !l.implied():
		l.respondPlain(in, 491, "Request Pending")
		return
	case l.state != legUp:
		l.respondPlain(in, 500, "Server Internal Error: not connected yet", retryAfter())
		return
	}
	if c.srs != nil {
		l.onCopyChanged(in)
		return
	}
	offer, err := l.read(bodyOf(in.req))
	if err != nil {
		l.refuseUnreadable(in, err)
		return
	}
	other := c.other(l)
	passable := other != nil && other.state == legUp
	switch {
	case l.mereRefresh(in.req, offer) && !(passable && concernsOther(in.req)):
		l.answerRefresh(in, offer)
		return
	case !passable:
		l.answerReinvite(in, offer)
		return
	case other.in != nil || other.out != nil && other.own == nil || other.offering != nil || other.updating != nil:
		l.respondPlain(in, 491, "Request Pending")
		return
	}
	l.in = in
	pass := func() {
		switch other := c.other(l); {
		case l.in != in: // cancelled, or answered otherwise
		case other == nil || other.state != legUp:
			l.answerReinvite(in, offer)
		default:
			l.passReinvite(other, in, offer)
		}
	}
	if u := other.unacked; u != nil { // RFC 3261 section 14.1: not before the ACK
		u.then = append(u.then, pass)
		return
	}
	if !other.afterOwn(pass) {
		pass()
	}
}

// answerReinvite answers while no far leg is there to ask.
func (l *leg) answerReinvite(in *incoming, offer *sdp.Description) {
	res := l.reply(in, 200, "OK")
	res.AppendHeader(sipmsg.NewHeader("Allow", allow))
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
	l.retarget(in.req.Contact())
	l.accept(in, res, offer == nil, func(ack *sipmsg.Request) {
		if d, err := l.read(bodyOf(ack)); err == nil && d != nil {
			l.settleMedia(d)
		}
	}, func() { l.unacknowledged() })
}

// passReinvite sends the re-INVITE on the other leg.
func (l *leg) passReinvite(other *leg, in *incoming, offer *sdp.Description) {
	c := l.c
	req, ok := l.handOn(in, other)
	if !ok {
		return
	}
	before := other.ours
	other.askTimer(req)
	b := bodyOf(in.req)
	if offer != nil {
		setBody(req, b.contentType, b.with(other.rewrite(other.wider(offer))))
	} else {
		setBody(req, b.contentType, b.data)
	}
	var o *outgoing
	o = other.send(req, func(res *sipmsg.Response) {
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
		if !res.IsSuccess() {
			other.ours = before // the session stays as it was (RFC 3261 section 14.1)
			if l.in == in {
				l.reinviteRefused(other, in, offer, req, res)
			}
			return
		}
		other.retarget(res.Contact())
		other.grantedTimer(res)
		if l.in != in { // cancelled meanwhile, or the call ended or went elsewhere
			l.reinviteCrossed(other, o, offer, res)
			return
		}
		l.reinviteAccepted(other, o, in, offer, res)
	}, func(err error) {
		other.out = nil
		l.log.Warn("no answer to a re-INVITE from the other leg", zap.Error(err))
		if l.in == in {
			l.respondPlain(in, 408, "Request Timeout")
		}
		if other == c.caller || other == c.far {
			c.end(other.role, "no answer to a re-INVITE")
		}
	})
	other.out = o
}

// reinviteRefused tells the peer that the other side does not agree.
func (l *leg) reinviteRefused(other *leg, in *incoming, offer *sdp.Description, req *sipmsg.Request, res *sipmsg.Response) {
	if other.longer(req, res) && other.state == legUp { // between the door and that side
		l.passReinvite(other, in, offer)
		return
	}
	code, reason := theirs(res)
	out := l.reply(in, code, reason)
	passHeaders(res, out)
	rb := bodyOf(res)
	setBody(out, rb.contentType, l.inRefusal(rb))
	l.respond(in, out)
	if res.StatusCode == 481 || res.StatusCode == 408 { // RFC 3261 section 12.2.1.2
		l.c.end(other.role, "its dialog is gone")
	}
}

// reinviteCrossed acknowledges a 2xx to a re-INVITE that nobody waits for any
// more. Its session holds all the same, on that leg.
func (l *leg) reinviteCrossed(other *leg, o *outgoing, offer *sdp.Description, res *sipmsg.Response) {
	if offer == nil { // the 2xx made the offer, and the ACK has to answer it (RFC 3261 section 13.2.2.4)
		theirs, err := other.read(bodyOf(res))
		if err == nil && theirs != nil && other.state == legUp {
			if answer, _, ok := other.ownAnswer(theirs); ok {
				other.settleMedia(theirs)
				other.acknowledge(o, "", sdpType, answer)
				return
			}
		}
		other.acknowledge(o, "", "", nil)
		return
	}
	other.acknowledge(o, "", "", nil)
	if answer, err := other.read(bodyOf(res)); err == nil && answer != nil && other.state == legUp {
		other.settleMedia(answer)
	}
	l.c.unhold()
}

// reinviteAccepted hands the other side's 2xx back, and what it agrees to.
func (l *leg) reinviteAccepted(other *leg, o *outgoing, in *incoming, offer *sdp.Description, res *sipmsg.Response) {
	c := l.c
	rb := bodyOf(res)
	answer, err := other.read(rb)
	if err != nil { // unreadable: neither side may think it was agreed
		other.acknowledge(o, "", "", nil)
		l.respondPlain(in, 500, "Server Internal Error: the answer cannot be read")
		return
	}
	out := l.reply(in, res.StatusCode, res.Reason)
	passHeaders(res, out)
	if answer != nil {
		setBody(out, rb.contentType, rb.with(l.rewriteAnswer(answer, offer)))
		other.settleMedia(answer)
	} else {
		setBody(out, rb.contentType, rb.data)
	}
	if offer != nil {
		l.settleMedia(offer)
		other.acknowledge(o, "", "", nil)
	}
	l.retarget(in.req.Contact())
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
		other.acknowledge(o, "", ab.contentType, ab.with(other.rewriteAnswer(theirs, answer)))
		c.agreed()
	}, func() {
		if offer == nil {
			other.acknowledge(o, "", "", nil)
		}
		l.unacknowledged()
	})
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
	other := l.c.other(l) // now: the 487 may cost the leg its place
	l.respondPlain(in, 487, "Request Terminated")
	if other != nil && other.out != nil {
		other.out.cancel()
	}
}
