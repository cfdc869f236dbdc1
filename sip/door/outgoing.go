package door

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/transport"
)

// outgoing is a request of ours and its transaction.
type outgoing struct {
	leg       *leg
	req       *sipmsg.Request
	tx        *transaction.Client
	alive     bool // a response was received
	final     bool
	cancelled bool // a CANCEL is wanted
	cancelOut bool // and was sent
	tries     int  // challenges answered
	timer     *time.Timer

	response func(*sipmsg.Response) // runs as an event of the call
	failed   func(error)            // no final response; the same
}

var errSilent = errors.New("no response")

// send starts a client transaction toward the leg's peer.
func (l *leg) send(req *sipmsg.Request, response func(*sipmsg.Response), failed func(error)) *outgoing {
	l.confine(req)
	o := &outgoing{leg: l, req: req, response: response, failed: failed}
	l.sign(req)
	o.launch()
	return o
}

// launch starts the transaction of the request as it is now.
func (o *outgoing) launch() {
	c := o.leg.c
	tx, err := c.d.startBy(o.leg.connectionFor(o.req), o.req, c.d.cfg.AnswerTimeout, o)
	if err != nil {
		c.post(func() { o.fail(err) })
	}
	o.tx = tx
}

// start sends a request to its destination and has u told what it comes to.
// within bounds connecting.
func (d *Door) start(req *sipmsg.Request, within time.Duration, u transaction.ClientUser) (*transaction.Client, error) {
	return d.startBy(0, req, within, u)
}

// startBy starts it by a connection and by no other, unless that is 0.
func (d *Door) startBy(connection uint64, req *sipmsg.Request, within time.Duration, u transaction.ClientUser) (*transaction.Client, error) {
	if req.Body() == nil {
		req.SetBody(nil) // Content-Length: 0, which a stream needs (RFC 3261 section 18.3)
	}
	to, err := targetOf(req, connection)
	if err != nil {
		return nil, err
	}
	return d.tx.Request(req, to, within, u)
}

// write sends an ACK, which has no transaction, to its destination.
func (l *leg) write(ack *sipmsg.Request) error {
	to, err := targetOf(ack, l.connectionFor(ack))
	if err != nil {
		return err
	}
	return l.c.d.tx.Write(ack, to)
}

// targetOf is a request's destination, by a connection and no other unless that is 0.
func targetOf(req *sipmsg.Request, connection uint64) (transport.Target, error) {
	a, err := netip.ParseAddrPort(req.Destination())
	if err != nil {
		return transport.Target{}, fmt.Errorf("door: a request has no address to go to: %w", err)
	}
	t := transport.Target{Transport: req.Transport(), Addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), Connection: connection}
	if ip, ok := netip.AddrFromSlice(req.Laddr.IP); ok {
		t.Local = netip.AddrPortFrom(ip.Unmap(), uint16(req.Laddr.Port))
	}
	return t, nil
}

// unheard is the user of a request whose outcome changes nothing.
type unheard struct{}

// Response implements transaction.ClientUser.
func (unheard) Response(*sipmsg.Response) {}

// Failed implements transaction.ClientUser.
func (unheard) Failed(error) {}

// Response implements transaction.ClientUser.
func (o *outgoing) Response(res *sipmsg.Response) {
	c := o.leg.c
	if res.To() == nil || res.From() == nil {
		c.d.deps.Metrics.SIPDropped("bad_response")
		return
	}
	res.Contact() // sipgo parses lazily, and another goroutine goes on with it
	// A call that ends at this moment may have taken the event and never run it.
	c.deliver(event{run: func() { o.handle(res) }, late: func() {
		switch {
		case res.IsSuccess() && o.req.IsInvite():
			o.leg.late(o, res)
		case !res.IsSuccess():
			c.d.spawn(func() { o.challengedLate(res) })
		}
	}})
}

// Failed implements transaction.ClientUser.
func (o *outgoing) Failed(err error) {
	if errors.Is(err, transaction.ErrTimeout) {
		err = errSilent
	}
	o.leg.c.deliver(event{run: func() { o.fail(err) }})
}

// handle gives one response to whoever sent the request.
func (o *outgoing) handle(res *sipmsg.Response) {
	if o.final {
		if res.IsSuccess() && o.req.IsInvite() { // a repeat, or another branch
			o.leg.again(o, res)
		}
		return
	}
	if o.challenged(res) {
		return
	}
	o.alive = true
	o.leg.distrust(res)
	if res.IsProvisional() {
		if o.cancelled {
			o.cancel()
		}
	} else {
		o.done()
		if res.IsSuccess() && o.req.IsInvite() {
			o.leg.taken = append(o.leg.taken, o)
		}
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

// within gives up a request that has no final response after so long: timer B
// ends with the first provisional response, and timer C is the proxy's.
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
	for _, h := range headersOf(o.req, "Route") {
		req.AppendHeader(sipmsg.HeaderClone(h))
	}
	mf := sipmsg.MaxForwardsHeader(70)
	req.AppendHeader(&mf)
	req.AppendHeader(sipmsg.HeaderClone(o.req.From()))
	req.AppendHeader(sipmsg.HeaderClone(o.req.To()))
	req.AppendHeader(sipmsg.HeaderClone(o.req.CallID()))
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: o.req.CSeq().SeqNo, MethodName: sipmsg.CANCEL})
	if why := o.leg.c.farewell; why != nil {
		for _, h := range headersOf(why, "Reason") { // RFC 3326
			req.AppendHeader(sipmsg.HeaderClone(h))
		}
	}
	req.SetBody(nil)
	if _, err := o.leg.c.d.tx.RequestOn(o.tx.Flow(), req, unheard{}); err != nil {
		o.leg.log.Info("a CANCEL could not be sent", zap.Error(err))
	}
	// A peer that answers neither the CANCEL nor the INVITE is given 64*T1
	// (RFC 3261 section 9.1), then the leg is given up.
	o.within64T1()
}

func (o *outgoing) within64T1() {
	if o.timer != nil {
		o.timer.Stop()
	}
	o.timer = o.leg.c.after(o.leg.c.d.timers.Timeout(), func() {
		if !o.final {
			o.done()
			o.leg.gone(408)
			o.leg.c.settle()
		}
	})
}
