package door

import (
	"errors"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transaction"
)

// inviteReplacing has an INVITE of the PBX, or of the door itself, take the
// place of a leg that its Replaces names (RFC 3891 section 3):
//
//	the dialog                                  answer
//	is none of the door's                       481
//	has ended                                   603
//	is a leg toward a trunk, and not the PBX's  403
//	is up, and early-only was asked for         486
//	rings, and the peer called                  481
//	is being moved or transferred               491
//	else                                        by who is at the other end
func (d *Door) inviteReplacing(in transaction.Incoming, tx *transaction.Server, log *zap.Logger) {
	req := in.Req
	r, err := oneReplaces(req)
	if err != nil {
		d.answer(req, tx, 400, "Bad Request: "+err.Error())
		return
	}
	if code, reason, headers := d.admissible(req); code != 0 {
		d.answer(req, tx, code, reason, headers...)
		return
	}
	l := d.dialog(r.callID, r.toTag)
	if l == nil {
		code, reason := 481, "Call/Transaction Does Not Exist"
		if d.ended(r.callID, r.toTag) {
			code, reason = 603, "Decline"
		}
		log.Info("an INVITE replaces no call of the door", zap.Int("status", code), zap.Stringer("source", in.Flow.Remote))
		d.answer(req, tx, code, reason)
		return
	}
	l.c.deliver(event{run: func() { l.c.takeOver(l, r, in, tx) }, late: func() { d.answer(req, tx, 603, "Decline") }})
}

func oneReplaces(req *sipmsg.Request) (replaces, error) {
	hs := headersOf(req, "Replaces")
	if len(hs) != 1 {
		return replaces{}, errors.New("one Replaces at most")
	}
	return parseReplaces(hs[0].Value())
}

// translateReplaces rewrites the Replaces of a trunk's INVITE that names a
// dialog of the door to the PBX's own behind it, and goes on. A Replaces that
// the door does not know is for the PBX to know.
func (d *Door) translateReplaces(req *sipmsg.Request, then func()) {
	r, err := oneReplaces(req)
	if err != nil {
		then()
		return
	}
	l := d.dialog(r.callID, r.toTag)
	if l == nil {
		then()
		return
	}
	l.c.deliver(event{run: func() {
		if out, _, ok := l.across(r); ok {
			req.RemoveHeader("Replaces")
			req.AppendHeader(sipmsg.NewHeader("Replaces", out.String()))
		}
		then()
	}, late: then})
}

// takeOver gives a leg's place to a new one, whose INVITE is here.
func (c *call) takeOver(old *leg, r replaces, in transaction.Incoming, tx *transaction.Server) {
	req := in.Req
	refuse := func(code int, reason string) {
		c.log.Info("a leg is not replaced", zap.String("leg", old.role), zap.Int("status", code), zap.Stringer("source", in.Flow.Remote))
		c.d.answer(req, tx, code, reason)
	}
	other := c.other(old)
	switch {
	case r.fromTag != old.remoteTag:
		refuse(481, "Call/Transaction Does Not Exist")
		return
	case old.state == legGone || c.ending:
		refuse(603, "Decline")
		return
	case !old.inside() && !c.d.isItself(in.Flow.Remote):
		refuse(403, "Forbidden")
		return
	case old.state == legUp && r.earlyOnly:
		refuse(486, "Busy Here")
		return
	case old.state != legUp && (old.uas || old != c.far || c.caller.in == nil):
		refuse(481, "Call/Transaction Does Not Exist")
		return
	case c.xfer != nil || c.next != nil || c.talk != nil || other == nil ||
		old.state == legUp && (old.out != nil || other.state != legUp || other.busy()):
		refuse(491, "Request Pending")
		return
	}
	// The two headers have done their work; who is at the other end is not to be replaced.
	require := without(joined(options(req, "Require")), "replaces")
	for _, name := range []string{"Replaces", "Require"} {
		for req.RemoveHeader(name) {
		}
	}
	if require != "" {
		req.AppendHeader(sipmsg.NewHeader("Require", require))
	}
	l := c.callerLeg(req)
	l.hop, l.connection = c.d.hopAt(l.transport, in.Flow.Local), in.Flow.Connection()
	l.role, l.dest, l.auth, l.srtp = old.role, old.dest, nil, old.srtp
	if c.d.isItself(in.Flow.Remote) && l.srtp != srtpPass { // the door joins two of its calls: each has its own keys
		l.srtp = srtpOff
	}
	l.log = c.log.With(zap.String("taking_over_call_id", l.callID))
	offer, err := l.read(bodyOf(req))
	if err == nil && old.far != nil {
		l.far, err = c.session.PrepareFar(isIPv6(l.peer))
	}
	if err != nil {
		refuse(488, "Not Acceptable Here: "+err.Error())
		return
	}
	here := &incoming{req: req, tx: tx}
	c.d.answer(req, tx, 100, "Trying")
	c.d.addDialog(l)
	tx.SetTag(l.localTag)
	l.in = here
	if old.counted { // until the old one is gone both are
		l.counted = true
		c.d.deps.Surge.Agent(1)
	}
	l.log.Info("a leg is being replaced", zap.String("leg", old.role), zap.Stringer("source", in.Flow.Remote))
	if old.state != legUp {
		c.pickUp(old, l, here)
		return
	}
	c.seat(old, l)
	l.decided = func(code int) { c.tookOver(old, l, code) }
	tx.OnCancel(func(*sipmsg.Request) { c.deliver(event{run: func() { l.onReinviteCancelled(here) }}) })
	l.passReinvite(other, here, offer)
}

// tookOver: the INVITE of a leg that is to replace another got its final
// response.
func (c *call) tookOver(old, l *leg, code int) {
	if code >= 300 {
		l.gone(code)
		c.dropMedia(l)
		if c.caller != l && c.far != l || c.ending {
			return
		}
		c.seat(l, old)
		if old.state == legGone { // it left meanwhile, counting on the new one
			c.end(old.role, "its replacement failed")
		}
		return
	}
	l.state = legUp
	l.answered = old.answered
	if l.far != nil {
		c.hear(l)
	}
	c.unjudged = true
	l.log.Info("a leg was replaced", zap.String("leg", l.role))
	old.bye()
}

// pickUp answers a caller whom it still rings for, by a leg that replaces the
// ringing one: both have made offers, so that the door answers both.
func (c *call) pickUp(old, l *leg, in *incoming) {
	offer, _ := l.read(bodyOf(in.req))
	give := func() {
		l.respondPlain(in, 488, "Not Acceptable Here")
		l.gone(488)
		c.dropMedia(l)
	}
	callers := c.callerOffer()
	if offer == nil || callers == nil {
		give()
		return
	}
	toNew, _, ok := l.ownAnswer(offer)
	if _, ok2 := common(callers); !ok || !ok2 {
		give()
		return
	}
	c.seat(old, l)
	l.settleMedia(offer)
	c.hear(l)
	l.state = legUp
	res := l.reply(in, 200, "OK")
	res.AppendHeader(sipmsg.NewHeader("Allow", allow))
	setBody(res, sdpType, toNew)
	l.accept(in, res, false, func(*sipmsg.Request) {}, l.unacknowledged)
	old.bye()
	c.endBranches(old, "it was picked up")
	c.ownDialog()
	c.caller.theirs = callers
	toCaller, _, _ := c.caller.ownAnswer(callers)
	caller := c.caller.in
	out := c.caller.reply(caller, 200, "OK")
	out.AppendHeader(sipmsg.NewHeader("Allow", allow))
	setBody(out, sdpType, toCaller)
	c.confirm(nil)
	c.answered()
	l.answered = c.answeredAt
	c.caller.accept(caller, out, false, func(*sipmsg.Request) {}, func() {
		c.log.Warn("the caller never acknowledged the answer")
		c.caller.sendBye()
		c.end("portero", "no ACK")
	})
	c.agreed()
	c.unjudged = true
	c.farAnswered(l)
}
