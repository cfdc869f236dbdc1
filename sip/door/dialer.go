package door

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/dialogue"
	"github.com/portero/portero/policy/store"
)

// promise is the callback that a call keeps.
type promise struct {
	id          string
	destination string
	result      chan callback.Result // takes one
	told        bool
}

// confirmPatience is how long a person who was called back has for the key
// after each prompt.
const confirmPatience = 8 * time.Second

// Dial keeps a promise: it calls the number through the PBX, asks whoever
// answers to press 1, and joins them to the promise's destination. It returns
// when it is known what came of it; joined calls go on by themselves.
func (d *Door) Dial(ctx context.Context, p store.Promise) callback.Result {
	if !d.Serving() {
		return callback.Result{Outcome: callback.NotDialed, Detail: "the door is not open"}
	}
	if d.isOnTheLine(p.Number) {
		return callback.Result{Outcome: callback.NotDialed, Detail: "the caller is still on the line, being promised it"}
	}
	callID := token(20) + "@portero"
	c := d.newCall(callID, zap.Int64("promise", p.ID))
	dest := p.Destination
	if dest == "" {
		dest = c.agents()
	}
	c.promise = &promise{id: strconv.FormatInt(p.ID, 10), destination: dest, result: make(chan callback.Result, 1)}
	if code, reason := d.admit(c, ""); code != 0 {
		return callback.Result{Outcome: callback.NotDialed, Detail: reason}
	}
	d.deps.Metrics.CallStarted()
	c.box.begin(func() { c.callBack(callID, p.Number) })
	d.hand(c)
	select {
	case r := <-c.promise.result:
		return r
	case <-ctx.Done():
		c.post(func() {
			if !c.promise.told { // a joined call is not cut off by its dialer's deadline
				c.keep(c.unanswered(), "given up: "+ctx.Err().Error())
				c.end("portero", "callback given up")
			}
		})
	case <-c.over:
	}
	select { // the call has its last word, or is over without one
	case r := <-c.promise.result:
		return r
	case <-c.over:
	}
	select {
	case r := <-c.promise.result:
		return r
	default: // hung up by whoever was called, or by the end of the door
		return callback.Result{Outcome: c.unanswered(), Detail: "the call ended before it was joined", CallID: callID}
	}
}

// unanswered is what a dial came to that nobody was joined by: whether a phone
// may have rung decides if it counts as an attempt.
func (c *call) unanswered() callback.Outcome {
	switch {
	case !c.answeredAt.IsZero():
		return callback.Machine
	case c.caller != nil && !c.rec.RingingAt.IsZero():
		return callback.NoAnswer
	}
	return callback.NotDialed
}

// onTheLine counts the calls in which a number was promised a callback: until
// they have ended it is busy, with us.
func (d *Door) onTheLine(number string, change int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.promised[number] += change; d.promised[number] <= 0 {
		delete(d.promised, number)
	}
}

func (d *Door) isOnTheLine(number string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.promised[number] > 0
}

// keep tells the dialer what came of the promise; the first word counts.
func (c *call) keep(o callback.Outcome, detail string) {
	if c.promise == nil || c.promise.told {
		return
	}
	c.promise.told = true
	c.promise.result <- callback.Result{Outcome: o, Detail: detail, CallID: c.rec.CallID}
}

// joined: the person called back and the agents have each other.
func (c *call) joined() {
	if c.promise != nil {
		c.keep(callback.Joined, "joined to "+c.promise.destination)
	}
}

// callBack calls the number. For the rest of its life the call is like any
// other: the person called is its caller leg.
func (c *call) callBack(callID, number string) {
	now := time.Now()
	c.in.at = now
	c.rec.Direction, c.rec.From, c.rec.To = store.Callback, number, number
	c.rec.InviteAt = store.At(now)
	c.plan = policy.Decision{Action: policy.ToCallback, Reason: policy.ReasonPromised}
	var err error
	if c.session, err = c.d.deps.Relay.Open(callID, relay.Options{}); err != nil {
		c.keep(callback.NotDialed, "no media ports: "+err.Error())
		c.end("portero", "no media ports")
		return
	}
	c.startHearing()
	if err := c.ringUp(&search{dest: c.d.cfg.CallbackVia, place: c.d.upstream}, callID, number); err != nil {
		c.keep(callback.NotDialed, "no target of "+c.d.cfg.CallbackVia+": "+err.Error())
		c.end("portero", "no target")
	}
}

// ringUp calls the number by the next target.
func (c *call) ringUp(s *search, callID, number string) error {
	at, err := c.pick(s)
	if err != nil {
		return err
	}
	l := &leg{c: c, role: "caller", log: c.log, search: s, at: at, transport: at.Address.Transport, peer: at.Address.AddrPort.String(), state: legCalling,
		callID: callID, localTag: token(12), session: uint64(rand.Uint32()), version: 1, cseq: uint64to31(rand.Uint64())}
	l.hop = c.d.hopFor(l.transport, l.peer)
	l.auth = c.d.cfg.Destinations[c.d.cfg.CallbackVia].Credentials.client()
	l.srtp = c.d.cfg.Destinations[c.d.cfg.CallbackVia].SRTP
	l.securesByDefault()
	c.rec.Transport = l.transport
	from := l.hop.contact("portero", "UDP")
	if c.d.cfg.CallerID != "" {
		var own sipmsg.Uri
		if err := sipmsg.ParseUri(c.d.cfg.CallerID, &own); err != nil {
			c.log.Error("caller_id cannot be read", zap.Error(err))
		} else {
			from = own
		}
	}
	l.target = *at.URI.Clone()
	l.target.User = number
	l.local, l.remote = partyOf("", from, nil), partyOf("", l.target, nil)
	if c.caller != nil { // the target before
		c.old = append(c.old, c.caller)
	}
	c.caller = l
	c.d.addDialog(l)
	req := l.request(sipmsg.INVITE)
	l.invite = req
	req.AppendHeader(sipmsg.NewHeader("Allow", allow))
	c.tell(req)
	l.askTimer(req)
	setBody(req, sdpType, l.ownOffer(spoken, true))
	l.offerOwnReliable(req)
	l.out = l.send(req, l.onCallbackResponse, func(err error) {
		if l.out == nil || l.out.final {
			l.out = nil
			l.gone(408)
		}
		if l.ringsElsewhere(nil, err) {
			return
		}
		c.keep(c.unanswered(), err.Error())
		c.outcome(408, "", "portero")
		c.end("portero", "no answer")
	})
	l.out.within(l.patience())
	c.log.Info("calling back", zap.String("number", number), zap.Stringer("target", at.Address))
	return nil
}

// ringsElsewhere says whether a callback's leg that came to nothing is not the
// call's end: another target was asked, or the leg had been given up before.
func (l *leg) ringsElsewhere(res *sipmsg.Response, err error) bool {
	c := l.c
	another := l.concluded(res, err)
	if l != c.caller {
		c.settle()
		return true
	}
	return another && c.ringUp(l.search, token(20)+"@portero", l.target.User) == nil
}

// onCallbackResponse is what the person's phone, or the PBX for it, answers.
func (l *leg) onCallbackResponse(res *sipmsg.Response) {
	c, o := l.c, l.out
	switch {
	case res.IsProvisional():
		if l.unwanted || res.StatusCode > 100 && !l.prackForItself(o, res) {
			return
		}
		ring := c.d.cfg.RingTimeout
		if q := c.d.deps.Queue; q != nil && q.RingTimeout() > 0 {
			ring = q.RingTimeout()
		}
		o.within(ring)
		if res.StatusCode > 100 {
			l.lives()
			l.state = legEarly
			if c.rec.RingingAt.IsZero() {
				c.rec.RingingAt = store.At(time.Now())
			}
		}
	case res.IsSuccess():
		l.out = nil
		l.concluded(res, nil)
		l.establish(res)
		l.state = legUp
		l.acknowledge(o, "", "", nil)
		answer, err := l.answerIn(res)
		if l.unwanted || c.ending {
			l.sendBye()
			return
		}
		c.answered()
		l.grantedTimer(res)
		if err != nil || answer == nil {
			c.keep(callback.Failed, "the answer has no readable session description")
			c.end("portero", "no usable answer")
			return
		}
		l.settleMedia(answer)
		c.agreed()
		c.startTalk(dialogue.NewConfirm(confirmPatience))
	case !l.unwanted && l.longer(o.req, res):
		l.inviteAgain(o)
	default:
		l.out = nil
		l.gone(res.StatusCode)
		if l.ringsElsewhere(res, nil) {
			return
		}
		what := callback.Failed
		switch res.StatusCode {
		case 486, 600:
			what = callback.Busy
		case 603:
			what = callback.Declined
		case 408, 480, 487:
			what = callback.NoAnswer
		}
		c.keep(what, fmt.Sprintf("%d %s", res.StatusCode, res.Reason))
		c.outcome(res.StatusCode, "", "far")
		c.end("far", res.Reason)
	}
}
