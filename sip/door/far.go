package door

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/sdp"
)

// dial sends the call to a destination. The leg it returns is the call's next
// one, or its first; what its INVITE comes to is handled below.
func (c *call) dial(dest string) (*leg, error) {
	if !c.answeredAt.IsZero() && !c.movable() {
		// Whoever is called now agrees with the door, which must know what the
		// caller speaks.
		return nil, errors.New("what the caller talks in is nothing that a call can be moved with")
	}
	return c.try(&search{dest: dest, place: c.d.upstream, leg: func(t target) *leg { return c.newFar(dest, t) }})
}

// place calls a far leg's peer; change, unless nil, has the last word on the
// INVITE.
func (c *call) place(l *leg, change func(*sipmsg.Request)) (*leg, error) {
	var err error
	if l.far, err = c.farPorts(l); err != nil {
		return nil, fmt.Errorf("no media ports: %w", err)
	}
	req := l.request(sipmsg.INVITE)
	l.invite = req
	from := c.caller.invite
	if c.promise == nil {
		passHeaders(from, req)
		if mf := from.MaxForwards(); mf != nil && mf.Val() > 0 {
			*req.MaxForwards() = sipmsg.MaxForwardsHeader(mf.Val() - 1)
		}
		if contact := from.Contact(); contact != nil {
			req.Contact().Params = featureParams(contact)
		}
	}
	c.tell(req)
	c.tellRecorded(l, req)
	l.lateOffer = c.answeredAt.IsZero() && (c.callerOffer() == nil || c.promise != nil)
	l.tellVerstat(req)
	l.askTimer(req)
	l.offerReliable(req)
	b := bodyOf(from)
	switch {
	case !c.answeredAt.IsZero():
		setBody(req, sdpType, l.moveOffer())
	case l.lateOffer:
		setBody(req, b.contentType, b.data)
	default:
		setBody(req, b.contentType, b.with(l.rewrite(c.callerOffer())))
	}
	if !c.answeredAt.IsZero() { // it was for whoever was called first
		req.RemoveHeader("Replaces")
	}
	if change != nil {
		change(req)
	}
	l.state = legCalling
	c.d.addDialog(l)
	if l.dest == c.agents() && c.out == nil {
		l.counted = true
		c.d.deps.Surge.Agent(1)
	}
	l.out = l.send(req,
		func(res *sipmsg.Response) { l.onInviteResponse(res) },
		func(err error) { l.onInviteFailed(err) })
	l.out.within(l.patience())
	c.log.Info("INVITE sent", zap.String("far_call_id", l.callID), zap.String("destination", l.dest), zap.String("uri", req.Recipient.String()), zap.String("to", l.peer))
	return l, nil
}

// newFar makes a leg toward a destination.
func (c *call) newFar(dest string, t target) *leg {
	l := &leg{c: c, role: "far", dest: dest, transport: t.transport, peer: t.hostport, connection: t.connection,
		callID: token(20) + "@portero", localTag: token(12), session: uint64(rand.Uint32()), version: 1, cseq: uint64to31(rand.Uint64())}
	l.log = c.log.WithLazy(zap.String("far_call_id", l.callID))
	l.hop = c.d.hopFor(t.transport, t.hostport)
	l.securesFar()
	l.auth = c.d.cfg.Destinations[dest].Credentials.client()
	l.local, l.remote = c.caller.remote, c.caller.local
	l.target = *t.uri.Clone()
	recipient := c.caller.invite.Recipient
	switch {
	case t.uri.User != "": // the destination names who is called
	case recipient.Scheme == "urn" || recipient.Scheme == "URN":
		l.target = *recipient.Clone() // an emergency service URN says whom, not where (RFC 5031)
	case c.promise != nil: // the person called back is the caller; the agents are called by the door's own name
		l.target.User = c.caller.local.uri.User
	default:
		l.target.User = dialled(c.caller.invite)
		for _, kv := range recipient.UriParams {
			if kv.K == "user" || kv.K == "cpc" || kv.K == "oli" {
				l.target.UriParams.Add(kv.K, kv.V)
			}
		}
	}
	if c.sips {
		l.target.Scheme = "sips"
		l.target.UriParams.Remove("transport") // RFC 5630 section 3.1.3
	}
	return l
}

// onInviteResponse is what the answer to our INVITE toward a destination does.
//
//	response   the leg is wanted          the leg is no longer wanted
//	100        wait for more              CANCEL
//	18x        tell the caller            CANCEL
//	2xx        ACK, connect               ACK, BYE (the CANCEL crossed it)
//	422        INVITE again, for longer   it is gone
//	3xx–6xx    fail over or tell caller   it is gone
func (l *leg) onInviteResponse(res *sipmsg.Response) {
	c, o := l.c, l.out
	switch {
	case res.StatusCode == 100:
		if !l.unwanted {
			o.within(c.d.cfg.RingTimeout)
		}
	case res.IsProvisional():
		if l.unwanted {
			return
		}
		o.within(c.d.cfg.RingTimeout)
		if l.state != legEarly {
			l.lives()
		}
		if res.StatusCode == 199 {
			l.onEarlyEnded(res)
			return
		}
		if l.crowded(res) {
			return
		}
		b := l.branch(res)
		rseq, heard := l.inOrder(b, res)
		if !heard {
			return
		}
		l.state = legEarly
		l.establish(res)
		c.onRinging(l, b, res, rseq)
	case res.IsSuccess():
		l.out = nil
		l.concluded(res, nil)
		l.code = res.StatusCode
		b := l.branch(res)
		l.establish(res)
		l.state = legUp
		l.answered = time.Now()
		if l.unwanted || c.ending {
			l.acknowledge(o, "", "", nil)
			l.sendBye()
			return
		}
		c.onAnswered(l, b, o, res)
	case !l.unwanted && (l.longer(o.req, res) || l.stricter(o.req, res) || l.otherLaw(o.req, res)):
		l.inviteAgain(o)
	default:
		l.out = nil
		l.gone(res.StatusCode)
		c.onRefused(l, res, nil)
	}
}

// onInviteFailed: no final response came, or the request could not be sent.
func (l *leg) onInviteFailed(err error) {
	if l.out == nil || l.out.final {
		l.out = nil
		l.gone(408)
	}
	l.log.Warn("a destination does not answer", zap.String("destination", l.dest), zap.Error(err))
	l.c.onRefused(l, nil, err)
}

// onRinging: 180 to 198 from a destination, in branch b. A reliable one has an
// RSeq (provisional.go).
func (c *call) onRinging(l *leg, b *early, res *sipmsg.Response, rseq uint32) {
	invite := res.CSeq().SeqNo
	content := bodyOf(res)
	desc, err := l.read(content)
	if err != nil {
		l.log.Info("early media cannot be read", zap.Error(err))
		desc = nil
	}
	again := b.answered && desc != nil
	if again { // what comes after the answer is not looked at (RFC 3261 section 13.2.1)
		desc = l.theirs
	}
	if desc != nil && rseq != 0 && !again {
		b.reliablyDescribed()
	}
	if l == c.next && !c.answeredAt.IsZero() { // the caller stays where he is until the new place answers
		if desc != nil {
			l.settleMedia(desc)
		}
		if rseq != 0 {
			l.prackOwn(b, rseq, invite)
		}
		return
	}
	if l == c.next {
		c.promote("it rings")
		c.turn(b)
	}
	if l != c.far || c.ending {
		return
	}
	if desc != nil {
		c.listen(b, desc)
	}
	if c.caller.in == nil { // answered by the door already: early media is all that matters
		if rseq != 0 {
			l.prackOwn(b, rseq, invite)
		}
		return
	}
	if c.rec.RingingAt.IsZero() {
		c.rec.RingingAt = store.At(time.Now())
	}
	c.caller.state = legEarly
	c.tellRinging(l, b, res, rseq, desc)
}

// tellRinging hands a provisional response on to the caller.
func (c *call) tellRinging(l *leg, b *early, res *sipmsg.Response, rseq uint32, desc *sdp.Description) {
	content := bodyOf(res)
	reliable := c.requires100rel() || rseq != 0 && c.supports100rel()
	if desc != nil {
		c.retag(b, desc)
	}
	out := c.caller.reply(c.caller.in, res.StatusCode, res.Reason)
	passHeaders(res, out)
	if c.supports100rel() {
		allowPRACK(out)
	}
	p := &provisional{res: out, invite: res.CSeq().SeqNo, owed: rseq != 0, owedSeq: rseq}
	switch {
	case desc != nil && b.agreed: // he has the answer
	case desc != nil:
		setBody(out, content.contentType, content.with(c.caller.rewriteAnswer(desc, c.offered(l))))
		if reliable && b.nearOffer == theirOffer {
			b.nearOffer, b.agreed = noOffer, true
		} else if reliable && b.awayOffer == theirOffer {
			b.nearOffer = ourOffer
		}
		c.agreed()
	case content.sdp() == nil:
		setBody(out, content.contentType, content.data)
	}
	// Only then can the caller's PRACK have something for the far leg.
	p.e2e = desc != nil || b.agreed
	if rseq != 0 && !reliable {
		p.owed = false
		l.prackOwn(b, rseq, p.invite)
	}
	c.provisional(b, p, reliable)
}

// callerOffer is what the caller's INVITE offered, nil if nothing.
func (c *call) callerOffer() *sdp.Description {
	if c.ringingCaller() && c.caller.unforked != nil {
		return c.caller.unforked.theirs
	}
	return c.caller.theirs
}

// onAnswered: a 2xx from a destination that is wanted, in branch b.
func (c *call) onAnswered(l *leg, b *early, o *outgoing, res *sipmsg.Response) {
	answer, err := l.read(bodyOf(res))
	if b.answered { // reliably, before: what the 2xx says of it is not looked at
		answer, err = l.theirs, nil
	}
	late := l.lateOffer && !b.answered
	if err == nil && answer == nil {
		err = errors.New("it has no session description")
	}
	if err == nil && !late && !c.answeredAt.IsZero() {
		err = c.understands(answer)
	}
	if err != nil {
		l.log.Warn("a destination's answer cannot be used", zap.String("destination", l.dest), zap.Error(err))
		l.acknowledge(o, "", "", nil)
		l.sendBye()
		c.onRefused(l, nil, fmt.Errorf("its answer cannot be used: %w", err))
		return
	}
	if l == c.next {
		c.promote("it answered")
		c.turn(b)
	}
	l.grantedTimer(res)
	c.heard = b
	l.settleMedia(answer)
	c.hear(l)
	c.stopTalk()
	c.hushRing()
	if !c.answeredAt.IsZero() { // the door answered the caller before, or moves the call
		l.acknowledgeOwn(o, late, answer)
		c.convert()
		c.farAnswered(l)
		c.joined()
		c.unhold()
		return
	}
	if !late {
		l.acknowledge(o, "", "", nil)
	}
	c.whenStill(b, func() {
		if !c.ending && c.far == l && c.ringingCaller() {
			c.tellAnswered(l, b, o, res, answer, late)
		}
	})
}

// tellAnswered answers the caller as a destination has answered.
func (c *call) tellAnswered(l *leg, b *early, o *outgoing, res *sipmsg.Response, answer *sdp.Description, late bool) {
	content := bodyOf(res)
	if !late {
		c.retag(b, answer)
	}
	out := c.caller.reply(c.caller.in, res.StatusCode, res.Reason)
	passHeaders(res, out)
	switch {
	case b.agreed && (b.changed || content.sdp() == nil): // he has it, and maybe a newer one
		if content.sdp() == nil {
			setBody(out, content.contentType, content.data)
		}
	case content.sdp() == nil: // it was in a reliable response that the caller did not get as one
		setBody(out, sdpType, c.caller.rewriteAnswer(answer, c.offered(l)))
	default:
		setBody(out, content.contentType, content.with(c.caller.rewriteAnswer(answer, c.offered(l))))
	}
	in := c.caller.in
	c.confirm(b)
	c.answered()
	c.caller.accept(in, out, late, func(ack *sipmsg.Request) {
		if !late {
			return
		}
		// The answer to the destination's offer is in the caller's ACK.
		ab := bodyOf(ack)
		theirs, err := c.caller.read(ab)
		if err != nil || theirs == nil {
			l.log.Warn("the caller's ACK has no readable answer", zap.Error(err))
			l.acknowledge(o, "", "", nil)
			c.end("portero", "no answer in the ACK")
			return
		}
		c.caller.settleMedia(theirs)
		c.agreed()
		l.acknowledge(o, "", ab.contentType, ab.with(l.rewriteAnswer(theirs, answer)))
	}, func() {
		c.log.Warn("the caller never acknowledged the answer")
		if late && l.ack == nil {
			l.acknowledge(o, "", "", nil)
		}
		c.caller.sendBye()
		c.end("portero", "no ACK")
	})
	if c.caller.theirs != nil {
		c.caller.settleMedia(c.caller.theirs)
	}
	c.agreed()
	c.farAnswered(l)
}

// offered is what a far leg's first answer answers: nil if the far leg offers.
func (c *call) offered(l *leg) *sdp.Description {
	if l.lateOffer {
		return nil
	}
	return c.callerOffer()
}

// answered notes that the caller's leg got its 2xx.
func (c *call) answered() {
	c.answeredAt = time.Now()
	c.pending.Done()
	c.caller.state = legUp
	c.caller.answered = c.answeredAt
	c.rec.AnsweredAt = store.At(c.answeredAt)
	c.outcome(200, "answered", "")
	c.listenFrom(c.answeredAt)
	c.checkup = c.after(silenceEvery, c.silence)
}

// onRefused: a destination said no (res), or nothing (err).
func (c *call) onRefused(l *leg, res *sipmsg.Response, err error) {
	why := fmt.Sprint(err)
	if res != nil {
		why = fmt.Sprintf("%d %s", res.StatusCode, res.Reason)
	}
	another := l.concluded(res, err)
	if another && c.failover(l, why) || res != nil && c.redirect(l, res) {
		return
	}
	if c.ending {
		c.settle()
		return
	}
	switch {
	case l == c.next:
		c.dropNext(why)
		return
	case l != c.far:
		c.settle()
		return
	}
	c.old = append(c.old, l)
	c.far = nil
	if c.next != nil { // a move is under way; it is the call's hope now
		c.endBranches(l, why)
		return
	}
	// A place that rules chose and that cannot be reached must not cost the
	// call: it goes to the agents as if there were no Portero.
	if c.out == nil && l.dest != c.agents() && (res == nil || failsOpen(res.StatusCode)) {
		c.endBranches(l, why)
		c.failOpen(policy.ReasonDestinationDown, fmt.Sprintf("destination %s: %s", l.dest, why))
		return
	}
	if c.talk != nil || c.caller.in == nil {
		c.noPlace(why)
		return
	}
	if another && len(l.search.tried) > 1 {
		c.unserved(l.dest, policy.ReasonNoUpstream, fmt.Errorf("%d targets were tried, the last: %s", len(l.search.tried), why))
		return
	}
	if res == nil {
		code, text := 408, "Request Timeout"
		if !l.answered.IsZero() {
			code, text = 488, "Not Acceptable Here"
		} else if !errors.Is(err, errSilent) {
			code, text = 503, "Service Unavailable"
		}
		c.refuse(code, text)
		return
	}
	code, reason := theirs(res)
	out := c.caller.reply(c.caller.in, code, reason)
	passHeaders(res, out)
	for _, h := range headersOf(res, "Unsupported") { // of what the door passed on, such as preconditions
		if res.StatusCode == 420 {
			out.AppendHeader(sipmsg.HeaderClone(h))
		}
	}
	for _, h := range headersOf(res, "Contact") { // 3xx: where else to try is the caller's business
		out.AppendHeader(sipmsg.HeaderClone(h))
	}
	b := bodyOf(res)
	setBody(out, b.contentType, c.caller.inRefusal(b))
	c.caller.respond(c.caller.in, out)
	c.caller.gone(code)
	c.outcome(code, "", "far")
	c.end("far", why)
}

// failsOpen says whether a destination's refusal means that it cannot serve,
// rather than that it will not.
func failsOpen(code int) bool {
	return code == 408 || code == 404 || code == 480 || code == 430 || code == 484 || code == 488 || code >= 500 && code < 600
}
