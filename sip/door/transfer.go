package door

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/upstream"
)

// transfer is a REFER that the door carries out itself, as the other side cannot:
//
//	by      asked for it, and is told of it by NOTIFY (RFC 3515 section 2.4.4)
//	stays   is transferred
//	leg     is who is called
//
//	leg        what happens
//	rings      by is told
//	answers    stays gets a re-INVITE with its answer, leg takes by's place, by gets BYE
//	refuses    by is told, and the call stays as it was
//
// If by hangs up first, which it may, leg has its place at once.
type transfer struct {
	by, stays, leg *leg
	id             uint32
	quiet          bool // Refer-Sub: false (RFC 4488)
	left           bool // by has hung up
}

// referTarget is somebody whom a transfer may call.
type referTarget struct {
	dest     string
	target   target
	uri      sipmsg.Uri
	replaces *replaces
	trunk    *Trunk            // nil: the PBX, or the door itself
	at       *upstream.Attempt // the place taken there; nil: none yet
}

// transfer carries out a REFER from by.
func (c *call) transfer(by, stays *leg, in *incoming, to referTo) {
	if c.xfer != nil || c.next != nil || c.talk != nil || c.ending {
		by.respondPlain(in, 491, "Request Pending")
		return
	}
	t, err := c.referTarget(by, to)
	if err != nil {
		c.log.Info("a transfer is refused", zap.String("refer_to", to.uri.Addr()), zap.Error(err))
		by.respondPlain(in, 403, "Forbidden")
		return
	}
	x := &transfer{by: by, stays: stays, id: in.req.CSeq().SeqNo}
	res := by.reply(in, 202, "Accepted")
	res.AppendHeader(by.contact())
	if h := headerOf(in.req, "Refer-Sub"); h != nil && h.Value() == "false" {
		x.quiet = true
		res.AppendHeader(sipmsg.NewHeader("Refer-Sub", "false"))
	}
	by.respond(in, res)
	c.xfer = x
	c.told(x, 100, "Trying")
	if x.leg, err = c.placeTransfer(x, t, in.req); err != nil {
		c.log.Error("the target of a transfer cannot be called", zap.Error(err))
		c.transferFailed(x, 503, "Service Unavailable")
		return
	}
	c.old = append(c.old, x.leg)
	c.log.Info("transferring", zap.String("by", by.role), zap.String("to", t.uri.String()), zap.String("destination", t.dest))
}

var errNoTarget = errors.New("the configuration names no such target")

// referTarget is where a transfer goes: to a dialog of the door's own, to the
// PBX, or, if the PBX asks, by a trunk that an outbound rule names. A Refer-To
// leads nowhere else.
func (c *call) referTarget(by *leg, to referTo) (referTarget, error) {
	t := referTarget{uri: to.uri, replaces: to.replaces}
	if to.uri.Scheme != "sip" && to.uri.Scheme != "sips" {
		return t, fmt.Errorf("%w: its scheme is %s", errNoTarget, to.uri.Scheme)
	}
	if m, has := to.uri.UriParams.Get("method"); has && m != "INVITE" {
		return t, fmt.Errorf("%w: a %s is no call", errNoTarget, m)
	}
	if to.replaces != nil && c.d.dialog(to.replaces.callID, to.replaces.toTag) != nil {
		h := c.d.hopFor("UDP", by.peer)
		if h == nil || h.transport != "UDP" {
			return t, fmt.Errorf("%w: joining two calls needs a UDP listener", errNoTarget)
		}
		t.dest, t.uri = "transfer", h.contact(to.uri.User, "UDP")
		t.target = target{uri: t.uri, transport: "UDP", hostport: h.addr.String()}
		return t, nil
	}
	pbx := c.d.pbxAt(&to.uri)
	if by.inside() && !pbx {
		if w, ok := c.d.wayFor(to.uri.User); ok {
			at, err := c.d.pickFor(c.d.placeOf(w.trunk.Name), w.trunk.Name, c.rec.CallID, false)
			if err != nil {
				return t, err
			}
			t.dest, t.trunk, t.at = w.trunk.Name, &w.trunk, at
			t.uri = *at.URI.Clone()
			t.uri.User = to.uri.User
			t.target = target{uri: t.uri, transport: at.Address.Transport, hostport: at.Address.AddrPort.String()}
			return t, nil
		}
	}
	switch {
	case pbx:
		t.dest = c.agents()
		t.uri.Headers = nil
		transport, hostport, ok := c.d.reachable(&to.uri)
		if !ok {
			return t, errNoTarget
		}
		t.target = target{uri: t.uri, transport: transport, hostport: hostport}
		return t, nil
	case c.d.is(&to.uri) && to.uri.User != "":
		home, err := c.d.pickFor(c.d.upstream, c.agents(), c.rec.CallID, false)
		if err != nil {
			return t, err
		}
		t.at = home
		t.dest, t.uri = c.agents(), *home.URI.Clone()
		t.uri.User = to.uri.User
		t.target = target{uri: t.uri, transport: home.Address.Transport, hostport: home.Address.AddrPort.String()}
		return t, nil
	}
	return t, errNoTarget
}

// placeTransfer calls the target, on behalf of who is transferred.
func (c *call) placeTransfer(x *transfer, t referTarget, refer *sipmsg.Request) (*leg, error) {
	l := &leg{c: c, role: x.by.role, dest: t.dest, transport: t.target.transport, peer: t.target.hostport,
		callID: token(20) + "@portero", localTag: token(12), session: uint64(rand.Uint32()), version: 1, cseq: uint64to31(rand.Uint64())}
	l.log = c.log.With(zap.String("transfer_call_id", l.callID))
	if l.unsearched = t.at; t.at == nil && t.dest != "transfer" {
		l.unsearched = c.takes(l)
	}
	l.hop = c.d.hopFor(l.transport, l.peer)
	l.local, l.remote, l.target = x.stays.remote, partyOf("", t.uri, nil), t.uri
	switch {
	case t.trunk != nil:
		l.auth = t.trunk.Credentials.client()
		l.trusts(*t.trunk)
		l.srtp = t.trunk.SRTP
	case t.dest == "transfer":
		l.srtp = srtpOff // it leads to the door itself
	default:
		l.auth = c.d.cfg.Destinations[t.dest].Credentials.client()
		l.srtp = c.d.cfg.Destinations[t.dest].SRTP
	}
	if x.stays.srtp == srtpPass || l.srtp == srtpPass {
		l.srtp = x.stays.srtp
	}
	l.securesByDefault()
	if x.by.far != nil || c.otherSide(t) {
		var err error
		if l.far, err = c.session.PrepareFarToward(t.trunk != nil, isIPv6(l.peer)); err != nil {
			l.gone(503)
			return nil, fmt.Errorf("no media ports: %w", err)
		}
	}
	req := l.request(sipmsg.INVITE)
	l.invite = req
	req.AppendHeader(sipmsg.NewHeader("Allow", allow))
	l.askTimer(req)
	for _, h := range headersOf(refer, "Referred-By") { // RFC 3892 section 2.1
		req.AppendHeader(sipmsg.HeaderClone(h))
	}
	for _, h := range headersOf(refer, "b") {
		req.AppendHeader(sipmsg.NewHeader("Referred-By", h.Value()))
	}
	if t.replaces != nil {
		req.AppendHeader(sipmsg.NewHeader("Replaces", t.replaces.String()))
		req.AppendHeader(sipmsg.NewHeader("Require", "replaces"))
	}
	if t.trunk == nil && t.dest != "transfer" {
		c.tell(req)
	}
	if x.stays.theirs == nil {
		c.dropMedia(l)
		l.gone(503)
		return nil, errors.New("who is transferred has no session description")
	}
	offer := x.stays.theirs.Clone()
	l.resume(offer) // who is transferred was put on hold before, as a rule
	setBody(req, sdpType, l.rewrite(offer))
	l.offerOwnReliable(req)
	l.state = legCalling
	c.d.addDialog(l)
	if t.trunk == nil && l.dest == c.agents() && c.out == nil {
		l.counted = true
		c.d.deps.Surge.Agent(1)
	}
	l.out = l.send(req,
		func(res *sipmsg.Response) { c.onTransferResponse(x, res) },
		func(err error) {
			l.log.Warn("the target of a transfer does not answer", zap.Error(err))
			if l.out == nil || l.out.final {
				l.out = nil
				l.gone(408)
			}
			c.transferFailed(x, 408, "Request Timeout")
		})
	l.out.within(c.d.cfg.AnswerTimeout)
	return l, nil
}

// otherSide says whether who takes the caller's place is on the other side of the
// door than the caller: outside instead of the PBX, or the PBX instead of outside.
func (c *call) otherSide(t referTarget) bool {
	return c.promise == nil && t.dest != "transfer" && (c.out != nil) == (t.trunk != nil)
}

// onTransferResponse is what the target answers.
func (c *call) onTransferResponse(x *transfer, res *sipmsg.Response) {
	l, o := x.leg, x.leg.out
	switch {
	case res.StatusCode == 100:
		o.within(c.d.cfg.RingTimeout)
	case res.IsProvisional():
		if l.unwanted || !l.prackForItself(o, res) {
			return
		}
		o.within(c.d.cfg.RingTimeout)
		l.state = legEarly
		c.told(x, res.StatusCode, res.Reason)
	case res.IsSuccess():
		l.out = nil
		l.code = res.StatusCode
		l.establish(res)
		l.state, l.answered = legUp, time.Now()
		l.grantedTimer(res)
		l.acknowledge(o, "", "", nil)
		answer, err := l.answerIn(res)
		if l.unwanted || c.ending || c.xfer != x || err != nil || answer == nil {
			l.sendBye()
			if c.xfer == x {
				c.transferFailed(x, 488, "Not Acceptable Here")
			}
			return
		}
		c.transferred(x, answer)
	case !l.unwanted && l.longer(o.req, res):
		l.inviteAgain(o)
	default:
		l.out = nil
		l.gone(res.StatusCode)
		c.transferFailed(x, res.StatusCode, res.Reason)
	}
}

// transferred: the target has answered and is connected to who stays.
func (c *call) transferred(x *transfer, answer *sdp.Description) {
	l := x.leg
	c.xfer = nil
	l.settleMedia(answer)
	if !x.left {
		c.seat(x.by, l)
	}
	c.hushRing()
	switch {
	case l.far == nil:
	case l == c.far:
		c.hear(l)
	default:
		if err := c.session.SwitchCaller(l.far); err != nil {
			l.log.Error("media cannot be switched", zap.Error(err))
		}
		c.convert()
	}
	c.unjudged = true
	c.told(x, 200, "OK")
	c.log.Info("the call was transferred", zap.String("destination", l.dest))
	if !x.left {
		x.by.bye()
	}
	x.stays.reoffer(answer)
}

// transferFailed tells who asked. Who has left already has left the call.
func (c *call) transferFailed(x *transfer, code int, reason string) {
	if c.xfer != x {
		c.settle()
		return
	}
	c.xfer = nil
	c.told(x, code, reason)
	if x.leg != nil {
		c.dropMedia(x.leg)
	}
	if x.left {
		c.end(x.by.role, fmt.Sprintf("the transfer came to %d %s", code, reason))
	}
	c.settle()
}

// transferorLeft: who asked for a transfer has hung up while it is under way.
func (c *call) transferorLeft(x *transfer) {
	x.left = true
	c.seat(x.by, x.leg)
	if x.leg.far != nil && x.leg == c.far {
		c.hear(x.leg)
		c.ringback()
	}
}

// seat gives a leg the place of another, which is on its way out.
func (c *call) seat(old, l *leg) {
	c.old = slices.DeleteFunc(c.old, func(o *leg) bool { return o == l || o == old })
	c.old = append(c.old, old)
	if old == c.caller {
		c.caller = l
	} else {
		c.far = l
	}
}

// told notifies who asked for a transfer of what it came to so far (RFC 3515
// section 2.4.4). A final status ends the subscription.
func (c *call) told(x *transfer, code int, reason string) {
	if x.quiet || x.by.state != legUp {
		return
	}
	req := x.by.request(sipmsg.NOTIFY)
	req.AppendHeader(sipmsg.NewHeader("Event", "refer;id="+strconv.FormatUint(uint64(x.id), 10)))
	state := "active;expires=" + strconv.Itoa(int(c.d.cfg.RingTimeout/time.Second))
	if code >= 200 {
		state = "terminated;reason=noresource"
	}
	req.AppendHeader(sipmsg.NewHeader("Subscription-State", state))
	setBody(req, "message/sipfrag;version=2.0", []byte("SIP/2.0 "+strconv.Itoa(code)+" "+headerText(reason)+"\r\n"))
	x.by.send(req, func(*sipmsg.Response) {}, func(err error) {
		x.by.log.Info("no answer to a NOTIFY of a transfer", zap.Error(err))
	})
}

// reoffer tells a leg what its new other side answered, by a re-INVITE of the
// door's own (RFC 3725): it was on hold, as a rule, and the other side may speak
// something else.
func (l *leg) reoffer(answer *sdp.Description) {
	c := l.c
	if c.ending || l.state != legUp {
		return
	}
	if l.busy() {
		c.after(refreshSoon, func() { l.reoffer(answer) })
		return
	}
	l.reinvite(func() []byte { return l.rewrite(answer) }, func(_ *sipmsg.Request, res *sipmsg.Response) {
		switch {
		case res.IsSuccess():
			l.grantedTimer(res)
		case res.StatusCode == 491:
			c.after(l.glareDelay(), func() { l.reoffer(answer) })
		case res.StatusCode == 408 || res.StatusCode == 481:
			c.end(l.role, "its dialog is gone")
		default: // it goes on with what it had
			l.log.Warn("a re-INVITE after a transfer was refused", zap.Int("status", res.StatusCode))
		}
	})
}
