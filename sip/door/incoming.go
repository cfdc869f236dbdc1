package door

import (
	"math/rand/v2"
	"strconv"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transaction"
)

// incoming is a peer's request and its transaction.
type incoming struct {
	req *sipmsg.Request
	tx  *transaction.Server
	at  time.Time // it came; zero if that does not matter
}

// reply makes a response in the leg's dialog.
func (l *leg) reply(in *incoming, code int, reason string) *sipmsg.Response {
	res := sipmsg.NewResponseFromRequest(in.req, code, reason, nil)
	if code > 100 && in.req == l.invite { // any other names its dialog already
		if to := res.To(); to != nil {
			to.Params.Remove("tag")
			to.Params.Add("tag", l.localTag)
		}
	}
	if in.req.IsInvite() && code > 100 && code < 300 || in.req.Method == sipmsg.UPDATE && code < 300 {
		res.AppendHeader(l.contact())
	}
	return res
}

// respond sends a response made by reply.
func (l *leg) respond(in *incoming, res *sipmsg.Response) {
	l.confine(res)
	l.c.d.respond(in.tx, res)
	if res.IsProvisional() || l.in != in {
		return
	}
	l.in = nil
	if f := l.decided; f != nil {
		l.decided = nil
		f(res.StatusCode)
	}
}

func (l *leg) respondPlain(in *incoming, code int, reason string, headers ...sipmsg.Header) {
	res := l.reply(in, code, reason)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	l.respond(in, res)
}

// receive has the call take a request in the leg's dialog.
func (l *leg) receive(from transaction.Incoming, tx *transaction.Server) {
	c, req := l.c, from.Req
	if req.IsAck() {
		c.deliver(event{run: func() { l.onAck(req) }, late: func() { c.d.deps.Metrics.SIPDropped("stray_ack") }})
		return
	}
	in := &incoming{req: req, tx: tx, at: from.At}
	if req.IsInvite() {
		tx.OnCancel(func(*sipmsg.Request) { c.deliver(event{run: func() { l.onReinviteCancelled(in) }}) })
	}
	c.deliver(event{run: func() { l.onRequest(in) }, late: func() { l.tooLate(in) }})
}

// tooLate answers a request whose turn never came because the call has ended. A
// BYE has crossed ours.
func (l *leg) tooLate(in *incoming) {
	if in.req.Method == sipmsg.BYE {
		l.c.d.answer(in.req, in.tx, 200, "OK")
		return
	}
	l.c.d.answer(in.req, in.tx, 481, "Call/Transaction Does Not Exist")
}

// onRequest decides what becomes of a request in the dialog.
func (l *leg) onRequest(in *incoming) {
	req := in.req
	l.distrust(req)
	live := l.enterBranch(req) || req.Method == sipmsg.PRACK // our last word in an early dialog may still want its PRACK
	if tag, _ := req.From().Params.Get("tag"); !live || l.remoteTag != "" && tag != l.remoteTag {
		l.respondPlain(in, 481, "Call/Transaction Does Not Exist")
		return
	}
	// RFC 3261 section 12.2.2: a request out of order is answered 500.
	if n := req.CSeq().SeqNo; n < l.remoteCSeq {
		l.respondPlain(in, 500, "Server Internal Error: CSeq is lower than before")
		return
	}
	l.remoteCSeq = req.CSeq().SeqNo
	if bad := l.c.d.unsupported(req); len(bad) > 0 {
		l.respondPlain(in, 420, "Bad Extension", sipmsg.NewHeader("Unsupported", joined(bad)))
		return
	}
	if bad, least := l.c.d.cfg.SessionTimers.tooShort(req); bad {
		l.respondPlain(in, 422, "Session Interval Too Small", least)
		return
	}
	switch req.Method {
	case sipmsg.BYE:
		l.onBye(in)
	case sipmsg.INVITE:
		l.onReinvite(in)
	case sipmsg.CANCEL:
		l.respondPlain(in, 481, "Call/Transaction Does Not Exist")
	case sipmsg.PRACK:
		l.onPrack(in)
	case sipmsg.UPDATE:
		if c := l.c; c.current() != nil && (l == c.caller || l == c.far) {
			l.onEarlyUpdate(in, c.current())
			return
		}
		l.onUpdate(in)
	case sipmsg.REFER:
		l.onRefer(in)
	default:
		l.onOther(in)
	}
}

// onBye ends the call, or takes the far leg away from under a move.
func (l *leg) onBye(in *incoming) {
	c := l.c
	if l.byeInBranch(in) {
		return
	}
	l.respondPlain(in, 200, "OK")
	if l.in != nil { // the peer gave up its own INVITE by BYE (RFC 3261 section 15)
		l.respondPlain(l.in, 487, "Request Terminated")
	}
	l.log.Debug("BYE received", zap.String("leg", l.role))
	l.gone(0)
	switch {
	case c.xfer != nil && l == c.xfer.by:
		c.transferorLeft(c.xfer)
	case l == c.caller:
		c.farewell = in.req        // what it says goes to the other side too
		if c.answeredAt.IsZero() { // RFC 3261 section 15: an early dialog may be ended so
			c.outcome(487, "cancelled", "caller")
		}
		c.byeAt = in.at
		c.end("caller", "BYE")
	case l == c.next:
		c.dropNext("it hung up")
	case l == c.far && (c.next != nil || c.talk != nil):
		// The far end leaves while the call is on its way elsewhere: wait for that.
		c.old = append(c.old, l)
		c.far = nil
	case l == c.far:
		c.farewell, c.byeAt = in.req, in.at
		c.end("far", "BYE")
	}
}

// onOther hands a request such as INFO, MESSAGE, REFER or NOTIFY to the other
// leg, and its response back.
func (l *leg) onOther(in *incoming) {
	c := l.c
	other := c.other(l)
	if !c.reachable(other) {
		if in.req.Method == sipmsg.OPTIONS || in.req.Method == sipmsg.INFO && c.talk != nil {
			if in.req.Method == sipmsg.INFO {
				c.infoDigit(in.req)
			}
			l.respondPlain(in, 200, "OK", sipmsg.NewHeader("Allow", allow))
			return
		}
		l.respondPlain(in, 500, "Server Internal Error: the other side is not connected yet", retryAfter())
		return
	}
	if in.req.Method == sipmsg.INFO && l == c.caller {
		c.infoDigit(in.req)
	}
	req, ok := l.handOn(in, other)
	if !ok {
		return
	}
	b := bodyOf(in.req)
	l.translateEvent(other, req)
	setBody(req, b.contentType, b.data)
	branch := c.current()
	l.awaits(in)
	other.send(req, func(res *sipmsg.Response) {
		if res.StatusCode == 100 || !res.IsProvisional() && !l.awaited(in) {
			return
		}
		if branch != nil && branch.over {
			l.respondPlain(in, 481, "Call/Transaction Does Not Exist")
			return
		}
		c.turn(branch)
		out := l.reply(in, res.StatusCode, res.Reason)
		passHeaders(res, out)
		rb := bodyOf(res)
		setBody(out, rb.contentType, rb.data)
		if res.IsSuccess() && (in.req.Method == sipmsg.SUBSCRIBE || in.req.Method == sipmsg.NOTIFY) {
			l.retarget(in.req.Contact())
		}
		l.respond(in, out)
	}, func(err error) {
		l.log.Info("no response from the other leg", zap.String("method", string(in.req.Method)), zap.Error(err))
		if l.awaited(in) {
			l.respondPlain(in, 408, "Request Timeout")
		}
	})
}

// handOn makes the request that carries a peer's request on along the other leg,
// without its body; false: it has come too far, and is answered.
func (l *leg) handOn(in *incoming, other *leg) (*sipmsg.Request, bool) {
	mf := in.req.MaxForwards()
	if mf != nil && mf.Val() == 0 {
		l.respondPlain(in, 483, "Too Many Hops")
		return nil, false
	}
	req := other.request(in.req.Method)
	passHeaders(in.req, req)
	if mf != nil {
		*req.MaxForwards() = sipmsg.MaxForwardsHeader(min(mf.Val(), 70) - 1)
	}
	return req, true
}

// retryAfter is RFC 3261 section 14.2's random delay of 0 to 10 s.
func retryAfter() sipmsg.Header {
	return sipmsg.NewHeader("Retry-After", strconv.Itoa(rand.IntN(11)))
}

// unacked is a 2xx that is sent again until its ACK comes (RFC 3261 section
// 13.3.1.4), whatever the transport: the transaction no longer does it.
type unacked struct {
	in     *incoming
	res    *sipmsg.Response
	cseq   uint32
	wait   time.Duration
	timer  *time.Timer
	giveUp *time.Timer
	answer bool // the ACK has to bring an answer
	onAck  func(*sipmsg.Request)
	lost   func()
	then   []func() // what waits for the ACK
}

func (u *unacked) stop() {
	u.timer.Stop()
	u.giveUp.Stop()
}

// accept sends a 2xx to an INVITE and keeps sending it until the ACK, which is
// given to onAck; lost is called after 64*T1 without one. With answer the 2xx
// made an offer that the ACK has to answer.
func (l *leg) accept(in *incoming, res *sipmsg.Response, answer bool, onAck func(*sipmsg.Request), lost func()) {
	if l.unacked != nil {
		l.unacked.stop()
	}
	u := &unacked{in: in, res: res, cseq: in.req.CSeq().SeqNo, wait: l.c.d.timers.T1, answer: answer, onAck: onAck, lost: lost}
	l.unacked = u
	l.grantTimer(in.req, res)
	u.timer = l.c.after(u.wait, func() { l.acceptAgain(u) })
	u.giveUp = l.c.after(l.c.d.timers.Timeout(), func() {
		if l.unacked == u {
			u.stop()
			l.unacked = nil
			u.lost()
		}
	})
	l.respond(in, res)
}

func (l *leg) acceptAgain(u *unacked) {
	if l.unacked != u {
		return
	}
	if err := u.in.tx.Respond(u.res); err != nil {
		l.log.Debug("a 2xx could not be sent again", zap.Error(err))
	}
	u.wait = min(2*u.wait, l.c.d.timers.T2)
	u.timer = l.c.after(u.wait, func() { l.acceptAgain(u) })
}

// onAck matches an ACK to the 2xx that waits for it.
func (l *leg) onAck(req *sipmsg.Request) {
	u := l.unacked
	if u == nil || req.CSeq().SeqNo != u.cseq {
		return // a repeated ACK
	}
	l.acked(u, req)
}

func (l *leg) acked(u *unacked, ack *sipmsg.Request) {
	u.stop()
	l.unacked = nil
	u.onAck(ack)
	for _, f := range u.then {
		f()
	}
}

// implied takes a later request of the peer for the ACK it must have sent
// before: UDP may deliver them out of order, or lose the ACK. It returns false when the ACK itself is needed.
func (l *leg) implied() bool {
	u := l.unacked
	if u == nil {
		return true
	}
	if u.answer {
		return false
	}
	l.acked(u, nil)
	return true
}

func joined(tags []string) string {
	s := ""
	for i, t := range tags {
		if i > 0 {
			s += ", "
		}
		s += t
	}
	return s
}

// bye ends an established leg, or a half-established one as it must be ended.
func (l *leg) bye() {
	switch {
	case l.state == legGone:
		return
	case l.uas && l.state != legUp:
		return // the caller's INVITE gets a final response instead
	case !l.uas && l.state != legUp:
		l.unwanted = true
		if l.out == nil {
			l.gone(0)
			return
		}
		l.out.cancel()
		return
	}
	if l.unacked != nil && l.uas {
		// RFC 3261 section 15: a UAS must not send BYE before its 2xx was
		// acknowledged or has timed out.
		u := l.unacked
		u.onAck = func(*sipmsg.Request) { l.sendBye() }
		u.lost = func() { l.sendBye() }
		return
	}
	l.sendBye()
}

func (l *leg) sendBye() {
	if l.in != nil { // a re-INVITE of the peer is still open
		l.respondPlain(l.in, 487, "Request Terminated")
	}
	req := l.request(sipmsg.BYE)
	if why := l.c.farewell; why != nil {
		passHeaders(why, req)
	}
	l.gone(0)
	l.send(req, func(res *sipmsg.Response) {
		if !res.IsProvisional() && !res.IsSuccess() {
			l.log.Info("a BYE was refused", zap.Int("status", res.StatusCode))
		}
	}, func(err error) { l.log.Info("no answer to a BYE", zap.Error(err)) })
	l.c.settle()
}

// acknowledge sends the ACK for a 2xx to our INVITE and keeps it for repeats.
func (l *leg) acknowledge(o *outgoing, tag string, contentType string, data []byte) {
	ack := l.request(sipmsg.ACK)
	ack.CSeq().SeqNo = o.req.CSeq().SeqNo
	for _, h := range credentialsOf(o.req) { // RFC 3261 section 22.1
		ack.AppendHeader(h)
	}
	if tag != "" {
		ack.To().Params.Remove("tag")
		ack.To().Params.Add("tag", tag)
	}
	setBody(ack, contentType, data)
	if tag == "" {
		l.ack, l.ackCSeq = ack, o.req.CSeq().SeqNo
	}
	if err := l.write(ack); err != nil {
		l.log.Warn("an ACK could not be sent", zap.Error(err))
	}
}

// again handles a 2xx after the first: a repeat gets its ACK again, another
// fork's gets an ACK and a BYE of its own (RFC 3261 section 13.2.2.4).
func (l *leg) again(o *outgoing, res *sipmsg.Response) {
	tag, _ := res.To().Params.Get("tag")
	if tag != l.remoteTag {
		l.log.Info("another branch answered too and is hung up", zap.String("tag", tag))
		l.afterlife(o).dismiss(res)
		return
	}
	if l.ack != nil && l.ackCSeq == o.req.CSeq().SeqNo {
		if err := l.write(l.ack); err != nil {
			l.log.Warn("an ACK could not be sent again", zap.Error(err))
		}
	}
}

// late handles a 2xx that came after its call ended, when that has let go.
func (l *leg) late(o *outgoing, res *sipmsg.Response) {
	c := l.c
	c.d.spawn(func() {
		<-c.over // from here on nobody else touches the leg
		c.lateMu.Lock()
		defer c.lateMu.Unlock()
		l.afterlife(o).Response(res)
	})
}
