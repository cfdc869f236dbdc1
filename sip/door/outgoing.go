package door

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emiago/sipgo"
	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// outgoing is a request of ours and its transaction.
type outgoing struct {
	leg       *leg
	req       *sipmsg.Request
	tx        sipmsg.ClientTransaction
	alive     bool // a response was received
	final     bool
	cancelled bool // a CANCEL is wanted
	cancelOut bool // and was sent
	timer     *time.Timer

	response func(*sipmsg.Response) // runs on the call's goroutine
	failed   func(error)            // no final response; runs on the call's goroutine
}

var errSilent = errors.New("no response")

// asIs has sipgo send a request as it was made.
func asIs(*sipgo.Client, *sipmsg.Request) error { return nil }

// send starts a client transaction. With async the connection is made and the
// request written on another goroutine: the first request to a place may have
// to dial it.
func (l *leg) send(req *sipmsg.Request, async bool, response func(*sipmsg.Response), failed func(error)) *outgoing {
	o := &outgoing{leg: l, req: req, response: response, failed: failed}
	run := func(within time.Duration) bool {
		tx, ok := o.start(within)
		if !ok {
			return false
		}
		l.c.post(func() {
			o.tx = tx
			if o.cancelled {
				o.cancel()
			}
		})
		l.c.d.spawn(func() { o.pump(tx) })
		return true
	}
	if !async {
		run(2 * time.Second)
		return o
	}
	l.c.d.spawn(func() { run(l.c.d.cfg.AnswerTimeout) })
	return o
}

func (o *outgoing) start(within time.Duration) (sipmsg.ClientTransaction, bool) {
	c := o.leg.c
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if o.req.Body() == nil {
		o.req.SetBody(nil) // Content-Length: 0, which a stream needs (RFC 3261 section 18.3)
	}
	tx, err := c.d.client.TransactionRequest(ctx, o.req, asIs)
	if err != nil {
		c.post(func() { o.fail(fmt.Errorf("cannot send to %s: %w", o.req.Destination(), err)) })
		return nil, false
	}
	if o.req.IsInvite() {
		// Repeated and forked 2xx come this way, after the transaction's first.
		tx.OnRetransmission(func(res *sipmsg.Response) {
			if !c.post(func() { o.leg.again(o, res) }) {
				o.leg.late(o, res)
			}
		})
	}
	return tx, true
}

// pump hands responses to the call until the first final one.
func (o *outgoing) pump(tx sipmsg.ClientTransaction) {
	d := o.leg.c.d
	for {
		select {
		case res := <-tx.Responses():
			if res.To() == nil || res.CSeq() == nil {
				d.deps.Metrics.SIPDropped("bad_response")
				continue
			}
			res.Contact()
			posted := o.leg.c.post(func() { o.handle(res) })
			if !posted && res.IsSuccess() && o.req.IsInvite() {
				o.leg.late(o, res)
			}
			if !res.IsProvisional() {
				return
			}
		case <-tx.Done():
			err := tx.Err()
			if err == nil {
				err = errSilent
			}
			o.leg.c.post(func() { o.fail(err) })
			return
		}
	}
}

// handle gives one response to whoever sent the request.
func (o *outgoing) handle(res *sipmsg.Response) {
	if o.final {
		return
	}
	o.alive = true
	if res.IsProvisional() {
		if o.cancelled {
			o.cancel()
		}
	} else {
		o.done()
	}
	o.response(res)
}

func (o *outgoing) fail(err error) {
	if o.final {
		return
	}
	o.done()
	o.failed(err)
}

func (o *outgoing) done() {
	o.final = true
	if o.timer != nil {
		o.timer.Stop()
	}
}

// within gives up a request that has no final response after so long: sipgo has
// no timer C, and its timer B ends with the first provisional response.
func (o *outgoing) within(t time.Duration) {
	if o.timer != nil {
		o.timer.Stop()
	}
	o.timer = o.leg.c.after(t, func() {
		if !o.final {
			o.giveUp(fmt.Errorf("%w within %v", errSilent, t))
		}
	})
}

// giveUp ends the wait for a final response. The transaction is kept: whatever
// still comes on it is cancelled, or acknowledged and hung up.
func (o *outgoing) giveUp(err error) {
	o.leg.unwanted = true
	o.cancel()
	o.failed(err)
}

// cancel sends CANCEL as soon as it may be sent: after a provisional response
// (RFC 3261 section 9.1).
func (o *outgoing) cancel() {
	o.cancelled = true
	if o.final || !o.alive || o.cancelOut || o.tx == nil {
		return
	}
	o.cancelOut = true
	req := sipmsg.NewRequest(sipmsg.CANCEL, *o.req.Recipient.Clone())
	req.AppendHeader(o.req.Via().Clone())
	for _, h := range o.req.GetHeaders("Route") {
		req.AppendHeader(sipmsg.HeaderClone(h))
	}
	mf := sipmsg.MaxForwardsHeader(70)
	req.AppendHeader(&mf)
	req.AppendHeader(sipmsg.HeaderClone(o.req.From()))
	req.AppendHeader(sipmsg.HeaderClone(o.req.To()))
	req.AppendHeader(sipmsg.HeaderClone(o.req.CallID()))
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: o.req.CSeq().SeqNo, MethodName: sipmsg.CANCEL})
	if why := o.leg.c.farewell; why != nil {
		for _, h := range why.GetHeaders("Reason") { // RFC 3326
			req.AppendHeader(sipmsg.HeaderClone(h))
		}
	}
	req.SetTransport(o.req.Transport())
	req.SetDestination(o.req.Destination())
	req.Laddr = o.req.Laddr
	ignore := func(*sipmsg.Response) {}
	o.leg.send(req, false, ignore, func(err error) {
		o.leg.log.Info("no answer to a CANCEL", zap.Error(err))
	})
	// A peer that answers neither the CANCEL nor the INVITE is given 64*T1
	// (RFC 3261 section 9.1), then the leg is given up.
	o.within64T1()
}

func (o *outgoing) within64T1() {
	if o.timer != nil {
		o.timer.Stop()
	}
	o.timer = o.leg.c.after(64*sipmsg.T1, func() {
		if !o.final {
			o.done()
			o.leg.gone(408)
			o.leg.c.settle()
		}
	})
}
