package door

import (
	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// onUpdate hands an UPDATE to the other leg and its answer back (RFC 3311).
//
//	this leg                                      answer
//	its UPDATE before is not answered yet         500 with Retry-After (section 5.2)
//	an offer, and its INVITE is not answered yet  500 with Retry-After
//	an offer, and we have one open on it          491
//	an offer, and the other leg has one open      491
//	it only refreshes the leg's session timer     by the door itself
//	the other leg is not there or not up          without an offer by the door itself, else 500
//	else                                          by the other leg
func (l *leg) onUpdate(in *incoming) {
	c := l.c
	if c.srs != nil && l.state == legUp && l.in == nil && l.offering == nil {
		l.onCopyChanged(in)
		return
	}
	b := bodyOf(in.req)
	offer, err := l.read(b)
	if err != nil {
		l.refuseUnreadable(in, err)
		return
	}
	other := c.other(l)
	passable := other != nil && other.state == legUp
	switch {
	case l.updating != nil, offer != nil && l.in != nil:
		l.respondPlain(in, 500, "Server Internal Error: an offer is open", retryAfter())
		return
	case l.state == legUp && l.mereRefresh(in.req, offer) && !(passable && concernsOther(in.req)):
		l.answerRefresh(in, offer)
		return
	case offer != nil && (l.out != nil || l.offering != nil || passable && (other.in != nil || other.out != nil || other.offering != nil || other.updating != nil)):
		l.respondPlain(in, 491, "Request Pending")
		return
	case !passable && offer == nil:
		l.acceptUpdate(in, l.reply(in, 200, "OK"))
		return
	case !passable:
		l.respondPlain(in, 500, "Server Internal Error: the other side is not connected yet", retryAfter())
		return
	}
	req, ok := l.handOn(in, other)
	if !ok {
		return
	}
	before := other.ours
	other.askTimer(req)
	if offer != nil {
		setBody(req, b.contentType, b.with(other.rewrite(other.wider(offer))))
	} else {
		setBody(req, b.contentType, b.data)
	}
	l.updating = in
	l.awaits(in)
	done := func() bool {
		l.updating = nil
		if offer != nil {
			other.offering = nil
		}
		return l.awaited(in)
	}
	o := other.send(req, func(res *sipmsg.Response) {
		if res.StatusCode == 100 {
			return
		}
		if !res.IsProvisional() && !done() {
			return
		}
		if other.longer(req, res) && l.state == legUp && other.state == legUp {
			other.ours = before
			l.onUpdate(in)
			return
		}
		code, reason := theirs(res)
		out := l.reply(in, code, reason)
		passHeaders(res, out)
		rb := bodyOf(res)
		if !res.IsSuccess() {
			if !res.IsProvisional() && offer != nil {
				other.ours = before
			}
			setBody(out, rb.contentType, l.inRefusal(rb))
			l.respond(in, out)
			return
		}
		answer, err := other.read(rb)
		if err == nil && answer != nil {
			setBody(out, rb.contentType, rb.with(l.rewriteAnswer(answer, offer)))
		} else {
			setBody(out, rb.contentType, rb.data)
		}
		other.retarget(res.Contact())
		other.grantedTimer(res)
		if offer != nil && answer != nil {
			l.settleMedia(offer)
			other.settleMedia(answer)
			c.agreed()
		}
		l.acceptUpdate(in, out)
	}, func(err error) {
		waits := done()
		if offer != nil {
			other.ours = before
		}
		l.log.Info("no response from the other leg", zap.String("method", string(in.req.Method)), zap.Error(err))
		if waits {
			l.respondPlain(in, 408, "Request Timeout")
		}
	})
	if offer != nil {
		other.offering = o
	}
}

// acceptUpdate sends a 2xx to an UPDATE, which moves the remote target (RFC 3261
// section 12.2.2) and refreshes the session.
func (l *leg) acceptUpdate(in *incoming, res *sipmsg.Response) {
	l.retarget(in.req.Contact())
	if l.state == legUp {
		l.grantTimer(in.req, res)
	}
	l.respond(in, res)
}
