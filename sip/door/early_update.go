package door

import (
	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// openUpdate is a peer's UPDATE that has no final response yet.
type openUpdate struct {
	in  *incoming
	on  *leg      // where it was handed to
	out *outgoing // there, if it makes an offer
}

// onEarlyUpdate hands an UPDATE in an early dialog to the other leg's early
// dialog of the same branch, and its response back (RFC 3311).
//
//	this leg                                          answer
//	its UPDATE before is not answered yet             500 with Retry-After (section 5.2)
//	an offer, and we have one open on this leg        491
//	an offer, and its own before is not answered yet  500 with Retry-After
//	an offer, and one is open on the other leg        491
//	else                                              by the other leg
//
// The INVITE's offer counts as open until a reliable response has answered it:
// a caller without 100rel can be offered nothing before the 2xx.
func (l *leg) onEarlyUpdate(in *incoming, b *early) {
	c := l.c
	other, own, others := c.far, &b.nearOffer, &b.awayOffer
	if l == c.far {
		other, own, others = c.caller, &b.awayOffer, &b.nearOffer
	}
	content := bodyOf(in.req)
	offer, err := l.read(content)
	switch {
	case err != nil:
		l.refuseUnreadable(in, err)
		return
	case b.updating[l].in != nil, offer != nil && *own == theirOffer:
		l.respondPlain(in, 500, "Server Internal Error: an offer or UPDATE is open", retryAfter())
		return
	case offer != nil && (*own == ourOffer || *others != noOffer):
		l.respondPlain(in, 491, "Request Pending")
		return
	case b.far != c.far || other == nil || other.remoteTag == "":
		l.respondPlain(in, 500, "Server Internal Error: the other side is not there yet", retryAfter())
		return
	}
	if mf := in.req.MaxForwards(); mf != nil && mf.Val() == 0 {
		l.respondPlain(in, 483, "Too Many Hops")
		return
	}
	before := other.ours
	req := other.request(sipmsg.UPDATE)
	passHeaders(in.req, req)
	if offer != nil {
		setBody(req, content.contentType, content.with(other.rewrite(offer)))
		*own, *others = theirOffer, ourOffer
	} else {
		setBody(req, content.contentType, content.data)
	}
	open := openUpdate{in: in, on: other}
	done := func() {
		delete(b.updating, l)
		if l.updating == in {
			l.updating = nil
		}
		if open.out != nil && other.offering == open.out {
			other.offering = nil
		}
		if offer != nil {
			*own, *others = noOffer, noOffer
		}
	}
	o := other.send(req, func(res *sipmsg.Response) {
		if res.IsProvisional() {
			return
		}
		done()
		if b.over {
			l.respondPlain(in, 481, "Call/Transaction Does Not Exist")
			return
		}
		c.turn(b)
		code, reason := theirs(res)
		out := l.reply(in, code, reason)
		passHeaders(res, out)
		rc := bodyOf(res)
		answer, err := other.read(rc)
		switch {
		case offer != nil && res.IsSuccess() && err == nil && answer != nil:
			b.changed = true
			c.describe(b, l, offer)
			c.describe(b, other, answer)
			setBody(out, rc.contentType, rc.with(l.rewriteAnswer(answer, offer)))
			c.agreedOn(b)
		case !res.IsSuccess():
			other.ours = before
			setBody(out, rc.contentType, l.inRefusal(rc))
		case answer == nil:
			setBody(out, rc.contentType, rc.data)
		}
		if res.IsSuccess() { // target refresh, both ways
			l.retarget(in.req.Contact())
			other.retarget(res.Contact())
		}
		l.respond(in, out)
	}, func(err error) {
		done()
		l.log.Info("no response from the other leg", zap.String("method", "UPDATE"), zap.Error(err))
		l.respondPlain(in, 408, "Request Timeout")
	})
	if offer != nil {
		open.out = o
	}
	if b.updating == nil {
		b.updating = map[*leg]openUpdate{}
	}
	b.updating[l] = open
}
