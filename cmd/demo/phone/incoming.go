package phone

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/portero/portero/media/codec"
)

// Incoming is a call that rings at this phone.
type Incoming struct {
	Request *sip.Request

	phone *Phone
	tx    sip.ServerTransaction
	over  chan struct{} // closed when the INVITE has its final response
	once  sync.Once
}

// Header is the value of the INVITE's first header of that name, or empty.
func (in *Incoming) Header(name string) string {
	if h := in.Request.GetHeader(name); h != nil {
		return h.Value()
	}
	return ""
}

// Ring sends 180.
func (in *Incoming) Ring() { respond(in.tx, in.Request, 180, "Ringing") }

// Refuse ends the call with a final response of 300 or more.
func (in *Incoming) Refuse(code int, reason string) {
	respond(in.tx, in.Request, code, reason)
	in.once.Do(func() { close(in.over) })
}

// Answer takes the call and waits for the ACK.
func (in *Incoming) Answer(ctx context.Context) (*Call, error) {
	defer in.once.Do(func() { close(in.over) })
	r := in.Request
	c, err := in.phone.newCall(codec.MuLaw)
	if err != nil {
		respond(in.tx, r, 500, "Server Internal Error")
		return nil, err
	}
	c.id = r.CallID().Value()
	c.remote = r.From().Value()
	c.cseq = 1
	c.contact = fmt.Sprintf("<sip:%s@%s>", r.Recipient.User, in.phone.addr)
	if h := r.Contact(); h != nil {
		c.target = h.Address
	}
	offer := r.Body()
	if len(offer) > 0 {
		if err := c.line.connect(offer); err != nil {
			c.end(ByUs)
			respond(in.tx, r, 488, "Not Acceptable Here")
			return nil, err
		}
		c.line.mu.Lock()
		c.law = c.line.law // an answer has nothing that was not offered (RFC 3264 section 6.1)
		c.line.mu.Unlock()
	}
	res := sip.NewResponseFromRequest(r, 200, "OK", nil)
	c.local = res.To().Value()
	res.AppendHeader(sip.NewHeader("Contact", c.contact))
	res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	res.SetBody(c.sdp(mirrored(offer)))
	c.acks = make(chan *sip.Request, 1)
	in.phone.keep(c.id, c)
	if err := c.sendAnswer(ctx, in.tx, res); err != nil {
		c.end(ByUs)
		return nil, err
	}
	c.mu.Lock()
	c.answered = time.Now()
	c.mu.Unlock()
	return c, nil
}

// sendAnswer repeats a 200 until its ACK comes (RFC 3261 section 13.3.1.4).
func (c *Call) sendAnswer(ctx context.Context, tx sip.ServerTransaction, res *sip.Response) error {
	wait := sip.T1
	limit := time.After(64 * sip.T1)
	for {
		if err := tx.Respond(res); err != nil {
			return fmt.Errorf("phone: %w", err)
		}
		select {
		case ack := <-c.acks:
			if len(ack.Body()) > 0 {
				return c.line.connect(ack.Body())
			}
			return nil
		case <-time.After(wait):
			wait = min(2*wait, sip.T2)
		case <-limit:
			return fmt.Errorf("phone: no ACK for the 200")
		case <-c.done:
			return fmt.Errorf("phone: ended before the ACK")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// acknowledged hands an ACK to whoever waits for it.
func (c *Call) acknowledged(r *sip.Request) {
	select {
	case c.acks <- r:
	default: // a repeated one, or nobody waits
	}
}

// reinvited answers a re-INVITE: media goes where it says, held when it says so
// (RFC 3264 section 8).
func (c *Call) reinvited(r *sip.Request, tx sip.ServerTransaction) {
	if h := r.Contact(); h != nil {
		c.mu.Lock()
		c.target = h.Address
		c.mu.Unlock()
	}
	direction := mirrored(r.Body())
	if len(r.Body()) > 0 {
		if err := c.line.connect(r.Body()); err != nil {
			respond(tx, r, 488, "Not Acceptable Here")
			return
		}
	}
	c.mu.Lock()
	c.version++
	c.mu.Unlock()
	res := sip.NewResponseFromRequest(r, 200, "OK", nil)
	res.AppendHeader(sip.NewHeader("Contact", c.contact))
	res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	res.SetBody(c.sdp(direction))
	// An ACK that never comes shows in the far side's own log.
	_ = tx.Respond(res)
}

// mirrored is the direction that answers an offer's (RFC 3264 section 6.1).
func mirrored(offer []byte) string {
	for _, line := range strings.Split(string(offer), "\n") {
		switch strings.TrimSpace(line) {
		case "a=sendonly":
			return "recvonly"
		case "a=recvonly":
			return "sendonly"
		case "a=inactive":
			return "inactive"
		}
	}
	return "sendrecv"
}

func headerLine(s string) (name, value string, err error) {
	name, value, ok := strings.Cut(s, ":")
	if !ok || name == "" || strings.ContainsAny(s, "\r\n") {
		return "", "", fmt.Errorf("phone: %q is no header line", s)
	}
	return name, strings.TrimSpace(value), nil
}
