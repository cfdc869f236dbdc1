package phone

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/portero/portero/media/codec"
)

// Invite says what call is placed.
type Invite struct {
	To      string    // Request-URI, with the address to send to
	From    string    // the caller's number
	Domain  string    // host part of From; empty is the phone's address
	Contact string    // parameters of the Contact, such as ";automata"
	Headers []string  // further header lines, "Name: value"
	Law     codec.Law // of the media; the default is µ-law
}

// Refused is the error of a call that got a final response other than 2xx.
type Refused struct {
	Code   int
	Reason string
}

func (r *Refused) Error() string { return fmt.Sprintf("refused: %d %s", r.Code, r.Reason) }

// Dial places a call and waits for the answer; ended by ctx it sends CANCEL.
// Early media is heard as soon as a response brings its SDP. The error is a
// *Refused when the far side refused.
func (p *Phone) Dial(ctx context.Context, inv Invite) (*Call, error) {
	c, err := p.newCall(inv.Law)
	if err != nil {
		return nil, err
	}
	if err := c.dial(ctx, inv); err != nil {
		c.end(ByUs)
		return nil, err
	}
	return c, nil
}

func (c *Call) dial(ctx context.Context, inv Invite) error {
	var to sip.Uri
	if err := sip.ParseUri(inv.To, &to); err != nil {
		return fmt.Errorf("phone: %q cannot be called: %w", inv.To, err)
	}
	domain := inv.Domain
	if domain == "" {
		domain = c.phone.addr.String()
	}
	c.id = token(16) + "@" + c.phone.addr.Addr().String()
	c.local = fmt.Sprintf("<sip:%s@%s>;tag=%s", inv.From, domain, token(6))
	c.remote = fmt.Sprintf("<sip:%s@%s>", to.User, to.Host)
	c.contact = fmt.Sprintf("<sip:%s@%s>%s", inv.From, c.phone.addr, inv.Contact)
	c.cseq = 100
	r := c.request(sip.INVITE, to, c.cseq)
	for _, h := range inv.Headers {
		name, value, err := headerLine(h)
		if err != nil {
			return err
		}
		r.AppendHeader(sip.NewHeader(name, value))
	}
	r.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	r.SetBody(c.sdp("sendrecv"))
	c.phone.keep(c.id, c)

	tx, err := c.phone.client.TransactionRequest(context.WithoutCancel(ctx), r, withVia(c.phone))
	if err != nil {
		return fmt.Errorf("phone: %w", err)
	}
	// A 200 that comes again wants its ACK again (RFC 3261 section 13.2.2.4).
	tx.OnRetransmission(func(res *sip.Response) {
		if res.IsSuccess() {
			go c.ack(res)
		}
	})
	gaveUp := ctx.Done()
	var heard, cancel bool // a response came; a CANCEL is owed
	for {
		// No CANCEL before the first response (RFC 3261 section 9.1).
		if heard && cancel {
			cancel = false
			go c.cancel(r)
		}
		select {
		case res := <-tx.Responses():
			heard = true
			switch {
			case res.IsProvisional():
				if len(res.Body()) > 0 {
					if err := c.line.connect(res.Body()); err != nil {
						return err
					}
				}
			case res.IsSuccess():
				return c.established(res, ctx.Err())
			default:
				return &Refused{res.StatusCode, res.Reason}
			}
		case <-tx.Done():
			return fmt.Errorf("phone: no answer: %w", tx.Err())
		case <-gaveUp:
			gaveUp, cancel = nil, true
		}
	}
}

// established takes the answer; a call that was given up meanwhile is
// acknowledged and ended (RFC 3261 section 15).
func (c *Call) established(res *sip.Response, gaveUp error) error {
	c.mu.Lock()
	c.remote = res.To().Value()
	if h := res.Contact(); h != nil {
		c.target = h.Address
	}
	c.answered = time.Now()
	c.mu.Unlock()
	if err := c.ack(res); err != nil {
		return fmt.Errorf("phone: %w", err)
	}
	if gaveUp != nil {
		c.Hangup()
		return gaveUp
	}
	return c.line.connect(res.Body())
}

func (c *Call) ack(res *sip.Response) error {
	c.mu.Lock()
	target := c.target
	c.mu.Unlock()
	r := c.request(sip.ACK, target, res.CSeq().SeqNo)
	r.ReplaceHeader(sip.NewHeader("To", res.To().Value()))
	return c.phone.client.WriteRequest(r, withVia(c.phone))
}

// cancel ends an INVITE that has no final response (RFC 3261 section 9.1).
func (c *Call) cancel(invite *sip.Request) {
	r := sip.NewRequest(sip.CANCEL, invite.Recipient)
	r.AppendHeader(sip.HeaderClone(invite.Via()))
	for _, name := range []string{"From", "To", "Call-ID", "Max-Forwards"} {
		if h := invite.GetHeader(name); h != nil {
			r.AppendHeader(sip.HeaderClone(h))
		}
	}
	r.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	r.SetDestination(invite.Destination())
	ctx, done := context.WithTimeout(context.Background(), 5*time.Second)
	defer done()
	// What became of the call is told by the INVITE's own final response.
	_, _ = c.phone.request(ctx, r)
}
