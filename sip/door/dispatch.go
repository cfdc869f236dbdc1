package door

import (
	"bytes"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/transport"
)

// Request implements transaction.User. A fault in one request ends that request
// and no more.
func (d *Door) Request(in transaction.Incoming, tx *transaction.Server) {
	defer func() {
		if r := recover(); r != nil {
			d.deps.Metrics.Panicked()
			d.log.Error("a request's handler failed", zap.String("call_id", callIDOf(in.Req)), zap.String("request", in.Req.StartLine()),
				zap.Any("panic", r), zap.Stack("stack"))
			d.answer(in.Req, tx, 500, "Server Internal Error")
		}
	}()
	d.dispatch(in, tx)
}

// Stray implements transaction.User.
func (d *Door) Stray(*sipmsg.Response, transport.Flow) { d.deps.Metrics.SIPDropped("stray_response") }

// dispatch sends a request to its dialog, to a new call, or to the proxy.
func (d *Door) dispatch(in transaction.Incoming, tx *transaction.Server) {
	req, source := in.Req, in.Flow.Remote
	if d.isItself(source) {
		d.fromItself(in, tx)
		return
	}
	if !d.knowsFlow(in.Flow) {
		d.answer(req, tx, 403, "Forbidden")
		return
	}
	if reason := mandatory(req); reason != "" {
		d.answer(req, tx, 400, "Bad Request: "+reason)
		return
	}
	if tag, ok := req.To().Params.Get("tag"); ok && tag != "" {
		if l := d.dialog(req.CallID().Value(), tag); l != nil {
			l.receive(in, tx)
			return
		}
		switch {
		case req.Method == sipmsg.BYE && d.ended(req.CallID().Value(), tag):
			d.answer(req, tx, 200, "OK") // it crossed ours
		case req.IsAck(): // of a call that ended, or nobody's; an ACK is never answered
			d.deps.Metrics.SIPDropped("stray_ack")
		case d.routedHere(req):
			d.proxy(req, tx, source)
		default:
			d.answer(req, tx, 481, "Call/Transaction Does Not Exist")
		}
		return
	}
	if req.Method != sipmsg.INVITE && !req.IsAck() && d.limitedRequest(req, tx, source, in.At) {
		return
	}
	switch req.Method {
	case sipmsg.INVITE:
		d.invite(in, tx)
	case sipmsg.ACK:
		d.deps.Metrics.SIPDropped("stray_ack")
	case sipmsg.CANCEL, sipmsg.BYE, sipmsg.PRACK, sipmsg.UPDATE:
		d.answer(req, tx, 481, "Call/Transaction Does Not Exist")
	case sipmsg.OPTIONS:
		if req.Recipient.User == "" && (req.Recipient.Host == "" || d.is(&req.Recipient)) {
			d.options(req, tx)
			return
		}
		d.proxy(req, tx, source)
	default:
		d.proxy(req, tx, source)
	}
}

// isItself says whether a source is one of the door's own UDP sockets.
func (d *Door) isItself(source netip.AddrPort) bool {
	for _, h := range d.hops {
		if h.transport == "UDP" && h.addr == source {
			return true
		}
	}
	return false
}

// fromItself takes what the door sends to itself: an INVITE that joins two of
// its calls (transfer.go), and what follows in its dialog. Nothing else goes this
// way: the source may be made up.
func (d *Door) fromItself(in transaction.Incoming, tx *transaction.Server) {
	req := in.Req
	if reason := mandatory(req); reason != "" {
		d.answer(req, tx, 400, "Bad Request: "+reason)
		return
	}
	if tag, ok := req.To().Params.Get("tag"); ok && tag != "" {
		switch l := d.dialog(req.CallID().Value(), tag); {
		case l != nil:
			l.receive(in, tx)
		case req.Method == sipmsg.BYE && d.ended(req.CallID().Value(), tag):
			d.answer(req, tx, 200, "OK")
		case !req.IsAck():
			d.answer(req, tx, 481, "Call/Transaction Does Not Exist")
		}
		return
	}
	if req.Method == sipmsg.INVITE && headerOf(req, "Replaces") != nil {
		d.inviteReplacing(in, tx, d.log.With(zap.String("call_id", req.CallID().Value())))
		return
	}
	d.answer(req, tx, 403, "Forbidden")
}

// mandatory names what a request lacks that every request has (RFC 3261
// section 8.1.1), or returns "". It also has sipgo parse these headers now: it
// parses lazily, and the request goes on to another goroutine.
func mandatory(req *sipmsg.Request) string {
	via := req.Via()
	switch {
	case via == nil:
		return "no readable Via"
	case req.From() == nil:
		return "no readable From"
	case req.To() == nil:
		return "no readable To"
	case req.CallID() == nil || req.CallID().Value() == "":
		return "no Call-ID"
	case req.CSeq() == nil:
		return "no readable CSeq"
	case req.CSeq().MethodName != req.Method:
		return "CSeq names another method"
	}
	req.MaxForwards()
	req.Contact()
	req.Route()
	req.RecordRoute()
	req.ContentLength()
	req.ContentType()
	return ""
}

// options answers a ping of the door itself.
func (d *Door) options(req *sipmsg.Request, tx *transaction.Server) {
	if d.Draining() {
		res := sipmsg.NewResponseFromRequest(req, 503, "Service Unavailable", nil)
		res.AppendHeader(sipmsg.NewHeader("Retry-After", "30"))
		d.respond(tx, res)
		return
	}
	res := sipmsg.NewResponseFromRequest(req, 200, "OK", nil)
	res.AppendHeader(sipmsg.NewHeader("Allow", allow))
	res.AppendHeader(sipmsg.NewHeader("Accept", "application/sdp"))
	d.respond(tx, res)
}

// answer sends a plain response; an ACK, which has no transaction, gets none.
func (d *Door) answer(req *sipmsg.Request, tx *transaction.Server, code int, reason string, headers ...sipmsg.Header) {
	if tx == nil {
		return
	}
	res := sipmsg.NewResponseFromRequest(req, code, reason, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	d.respond(tx, res)
}

func (d *Door) respond(tx *transaction.Server, res *sipmsg.Response) {
	if err := tx.Respond(res); err != nil {
		id := ""
		if h := res.CallID(); h != nil {
			id = h.Value()
		}
		d.log.Debug("a response could not be sent", zap.String("call_id", id), zap.Int("status", res.StatusCode), zap.Error(err))
	}
}

func callIDOf(req *sipmsg.Request) string {
	if h := req.CallID(); h != nil {
		return h.Value()
	}
	return ""
}

// dialog finds the leg of a dialog by its Call-ID and the door's own tag.
func (d *Door) dialog(callID, tag string) *leg {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dialogs[callID+"\n"+tag]
}

func (d *Door) addDialog(l *leg) { d.enter(l, l.localTag) }

// enter puts a leg into the books under one of its tags.
func (d *Door) enter(l *leg, tag string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialogs[l.callID+"\n"+tag] = l
}

func (d *Door) dropDialog(l *leg) { d.dropTags(l, []string{l.localTag}) }

func (d *Door) dropTags(l *leg, tags []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, tag := range tags {
		key := l.callID + "\n" + tag
		if d.dialogs[key] != nil && len(d.graves) < maxGraves {
			d.graves[key] = time.Now()
		}
		delete(d.dialogs, key)
	}
}

// maxGraves bounds the ended dialogs that are remembered, for 64*T1, so that a
// BYE that crossed the door's own is answered as one.
const maxGraves = 16384

// ended says whether a dialog ended a moment ago.
func (d *Door) ended(callID, tag string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.graves[callID+"\n"+tag]
	return ok
}

// sweep forgets what is older than a transaction can be.
func (d *Door) sweep(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, at := range d.graves {
		if now.Sub(at) > d.timers.Timeout() {
			delete(d.graves, k)
		}
	}
}

// sweeping sweeps the door's books now and then.
func (d *Door) sweeping(done <-chan struct{}) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			d.sweep(now)
		}
	}
}

const sweepEvery = 2 * time.Second

// attempt is what tells copies of one INVITE that came by different ways
// (RFC 3261 section 8.2.2.2).
func attempt(req *sipmsg.Request) string {
	tag, _ := req.From().Params.Get("tag")
	return strings.Join([]string{req.CallID().Value(), tag, req.CSeq().Value()}, "\n")
}

// invite starts a call, or says why not.
func (d *Door) invite(in transaction.Incoming, tx *transaction.Server) {
	log := d.log.WithLazy(zap.String("call_id", in.Req.CallID().Value()))
	trunk, ok := d.trunkBy(in.Flow)
	if !transport.IsWebSocket(in.Flow.Transport) {
		trunk = d.lineTrunk(in.Req, in.Flow.Remote.Addr(), trunk)
	}
	if d.inviteCopy(trunk, in, tx, log) {
		return
	}
	switch replacing := headerOf(in.Req, "Replaces") != nil; {
	case !ok && replacing:
		d.inviteReplacing(in, tx, log)
	case !ok:
		d.inviteOut(in, tx, log)
	case replacing:
		in.Raw = bytes.Clone(in.Raw) // it goes on to another goroutine
		d.translateReplaces(in.Req, func() { d.inviteBy(trunk, in, tx, log) })
	default:
		d.inviteBy(trunk, in, tx, log)
	}
}

// inviteBy starts a call of a trunk, if the limits of its source, trunk and
// caller allow it.
func (d *Door) inviteBy(trunk Trunk, in transaction.Incoming, tx *transaction.Server, log *zap.Logger) {
	attempt, over := d.limited(in, tx, trunk, log)
	if over {
		return
	}
	if !d.begin(in, tx, log, func(c *call) { c.trunk, c.pending = trunk, attempt }) {
		attempt.Done()
	}
}

// begin starts a call that somebody may make, if the INVITE and the door's
// limits allow it; false: it was refused. with tells the call what kind it is.
func (d *Door) begin(in transaction.Incoming, tx *transaction.Server, log *zap.Logger, with func(*call)) bool {
	req, source := in.Req, in.Flow.Remote
	full, urgent := d.overloaded(in)
	if full != "" {
		d.busy(in, tx, full)
		return false
	}
	if code, reason, headers := d.admissible(req); code != 0 {
		log.Info("a call was refused", zap.Int("status", code), zap.String("reason", reason), zap.Stringer("source", source))
		d.answer(req, tx, code, reason, headers...)
		return false
	}
	c := d.newCall(req.CallID().Value())
	c.source, c.urgent = source, urgent
	c.sips = !urgent && isSIPS(req, in.Flow.Transport)
	with(c)
	c.in = received{raw: bytes.Clone(in.Raw), at: in.At, local: in.Flow.Local, connection: in.Flow.Connection()}
	code, reason := d.admit(c, attempt(req))
	if reason == policy.ReasonTrunkLimit && d.emergency(in) {
		c.urgent = true
		code, reason = d.admit(c, attempt(req))
	}
	if code != 0 {
		if code == 503 {
			d.busy(in, tx, reason)
			return false
		}
		log.Warn("a call was refused", zap.Int("status", code), zap.String("reason", reason), zap.Stringer("source", source))
		d.answer(req, tx, code, reason)
		return false
	}
	c.serveInvite(req, tx)
	return true
}

// admissible checks what RFC 3261 section 8.2 asks of a UAS before it looks at
// the call itself.
func (d *Door) admissible(req *sipmsg.Request) (code int, reason string, headers []sipmsg.Header) {
	switch strings.ToLower(req.Recipient.Scheme) {
	case "sip", "sips", "tel", "urn":
	default:
		return 416, "Unsupported URI Scheme", nil
	}
	if mf := req.MaxForwards(); mf != nil && mf.Val() == 0 {
		return 483, "Too Many Hops", nil
	}
	if bad := d.unsupported(req); len(bad) > 0 {
		return 420, "Bad Extension", []sipmsg.Header{sipmsg.NewHeader("Unsupported", strings.Join(bad, ", "))}
	}
	if bad, least := d.cfg.SessionTimers.tooShort(req); bad {
		return 422, "Session Interval Too Small", []sipmsg.Header{least}
	}
	if req.Contact() == nil && (headerOf(req, "Contact") != nil || !isRFC2543(req)) {
		return 400, "Bad Request: an INVITE needs a readable Contact", nil
	}
	if h := headerOf(req, "Content-Encoding"); h != nil && !strings.EqualFold(h.Value(), "identity") {
		return 415, "Unsupported Media Type", []sipmsg.Header{sipmsg.NewHeader("Accept-Encoding", "identity")}
	}
	return 0, "", nil
}

// isRFC2543 says whether a request is of RFC 2543, whose branches had no cookie
// and whose INVITEs needed no Contact (RFC 4475 section 3.4.1).
func isRFC2543(req *sipmsg.Request) bool {
	branch, _ := req.Via().Params.Get("branch")
	return !strings.HasPrefix(branch, sipmsg.RFC3261BranchMagicCookie)
}

// admit enters a call into the door's books, or says why there is no room: a
// 503's reason is a code of policy.
func (d *Door) admit(c *call, attempt string) (code int, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	spare := 0
	if c.urgent {
		spare = d.cfg.spare()
	}
	switch {
	case d.draining.Load():
		return 503, policy.ReasonDraining
	case len(d.calls) >= d.cfg.MaxCalls+spare:
		return 503, policy.ReasonTooManyCalls
	case d.cfg.MaxCallsPerTrunk > 0 && c.trunk.Name != "" && d.perTrunk[c.trunk.Name] >= d.cfg.MaxCallsPerTrunk+spare:
		return 503, policy.ReasonTrunkLimit
	case attempt != "" && d.attempts[attempt] != nil:
		return 482, "Loop Detected"
	}
	d.calls[c.id] = c
	if attempt != "" {
		d.attempts[attempt] = c
		c.attempt = attempt
	}
	d.perTrunk[c.trunk.Name]++
	d.wg.Add(1)
	return 0, ""
}

// forget takes a call out of the books.
func (d *Door) forget(c *call) {
	d.mu.Lock()
	delete(d.calls, c.id)
	delete(d.attempts, c.attempt)
	c.pending.Done()
	if d.perTrunk[c.trunk.Name]--; d.perTrunk[c.trunk.Name] <= 0 {
		delete(d.perTrunk, c.trunk.Name)
	}
	d.mu.Unlock()
	select {
	case d.idle <- struct{}{}:
	default:
	}
	d.wg.Done()
}
