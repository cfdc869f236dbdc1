package phone

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/portero/portero/media/codec"
)

// Party is who ended a call.
type Party string

// The parties.
const (
	ByUs  Party = "us"
	ByFar Party = "far"
)

// Call is one call of a phone: an INVITE dialog and its media.
type Call struct {
	phone *Phone
	line  *Line
	law   codec.Law
	done  chan struct{}
	acks  chan *sip.Request

	id      string
	local   string // From of what we send, with its tag
	contact string

	mu       sync.Mutex
	remote   string // To of what we send
	target   sip.Uri
	cseq     uint32
	version  int // of our SDP
	answered time.Time
	endedBy  Party
}

func (p *Phone) newCall(law codec.Law) (*Call, error) {
	if law == codec.NoLaw {
		law = codec.MuLaw
	}
	l, err := openLine(p.addr.Addr(), law)
	if err != nil {
		return nil, err
	}
	return &Call{phone: p, line: l, law: law, done: make(chan struct{}), version: 1}, nil
}

// ID is the Call-ID.
func (c *Call) ID() string { return c.id }

// Line is the call's media.
func (c *Call) Line() *Line { return c.line }

// Done is closed when the call has ended.
func (c *Call) Done() <-chan struct{} { return c.done }

// EndedBy says who ended the call; empty while it lasts.
func (c *Call) EndedBy() Party {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endedBy
}

// Hangup ends the call with a BYE and waits up to 5 s for its answer.
func (c *Call) Hangup() error {
	select {
	case <-c.done:
		return nil
	default:
	}
	c.mu.Lock()
	c.cseq++
	n, target := c.cseq, c.target
	c.mu.Unlock()
	r := c.request(sip.BYE, target, n)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	res, err := c.phone.request(ctx, r)
	c.end(ByUs)
	switch {
	case err != nil:
		return fmt.Errorf("phone: BYE: %w", err)
	case !res.IsSuccess() && res.StatusCode != 481: // 481: the far side hung up at the same moment
		return fmt.Errorf("phone: BYE was answered %d %s", res.StatusCode, res.Reason)
	}
	return nil
}

// Reinvite offers the media again with a direction (sendrecv, sendonly,
// inactive) and takes the answer.
func (c *Call) Reinvite(ctx context.Context, direction string) error {
	c.mu.Lock()
	c.cseq++
	c.version++
	n, target := c.cseq, c.target
	c.mu.Unlock()
	r := c.request(sip.INVITE, target, n)
	r.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	r.SetBody(c.sdp(direction))
	res, err := c.phone.request(ctx, r)
	switch {
	case err != nil:
		return fmt.Errorf("phone: re-INVITE: %w", err)
	case !res.IsSuccess():
		return &Refused{res.StatusCode, res.Reason}
	}
	if err := c.ack(res); err != nil {
		return fmt.Errorf("phone: %w", err)
	}
	return c.line.connect(res.Body())
}

// end closes the media and forgets the dialog, once.
func (c *Call) end(by Party) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.endedBy != "" {
		return
	}
	c.endedBy = by
	c.phone.drop(c.id)
	c.line.close()
	close(c.done)
}

// request is a request of the call's dialog without a Via.
func (c *Call) request(m sip.RequestMethod, uri sip.Uri, cseq uint32) *sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := sip.NewRequest(m, uri)
	r.AppendHeader(sip.NewHeader("Max-Forwards", "70"))
	r.AppendHeader(sip.NewHeader("From", c.local))
	r.AppendHeader(sip.NewHeader("To", c.remote))
	callID := sip.CallIDHeader(c.id)
	r.AppendHeader(&callID)
	r.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: m})
	if m == sip.INVITE {
		r.AppendHeader(sip.NewHeader("Contact", c.contact))
		r.AppendHeader(sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO"))
	}
	return r
}

// sdp is what we offer or answer (RFC 4566, RFC 3264).
func (c *Call) sdp(direction string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.line.Addr()
	family := "IP4"
	if a.Addr().Is6() {
		family = "IP6"
	}
	pt := c.law.PayloadType()
	return fmt.Appendf(nil, "v=0\r\no=- %d %d IN %s %s\r\ns=-\r\nc=IN %[3]s %[4]s\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP %d 101\r\na=rtpmap:%[6]d %s/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=%s\r\n",
		c.line.ssrc, c.version, family, a.Addr(), a.Port(), pt, c.law, direction)
}

// remoteMedia reads where an SDP wants its audio, which G.711 law it takes, and
// the payload type of its telephone events (0 without).
func remoteMedia(body []byte) (to netip.AddrPort, law codec.Law, events uint8, err error) {
	d := parseSDP(body)
	addr, err := netip.ParseAddr(d.address)
	if err != nil || d.port == 0 {
		return to, law, 0, fmt.Errorf("phone: the SDP has no audio: %q", body)
	}
	for _, pt := range d.formats {
		switch {
		case pt == 0 && law == codec.NoLaw:
			law = codec.MuLaw
		case pt == 8 && law == codec.NoLaw:
			law = codec.ALaw
		case d.names[pt] == "telephone-event/8000":
			events = pt
		}
	}
	if law == codec.NoLaw {
		return to, law, 0, fmt.Errorf("phone: the SDP has no G.711: %v", d.formats)
	}
	return netip.AddrPortFrom(addr, d.port), law, events, nil
}
