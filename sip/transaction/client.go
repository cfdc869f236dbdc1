package transaction

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/transport"
)

// clientState is that of RFC 3261 figures 5 and 6, and of RFC 6026 figure 5.
type clientState int

const (
	connecting clientState = iota // the request waits for a connection
	calling                       // it was sent; "trying" for a non-INVITE
	ringing                       // a provisional response came: "proceeding"
	taken                         // INVITE: a 2xx came: "accepted"
	refused                       // a final response came: "completed"
	over
)

// ClientUser gets what a request comes to.
type ClientUser interface {
	// Response is called with each response; for an INVITE also with every
	// repeated or forked 2xx, until 64*T1 after the first.
	Response(*sipmsg.Response)
	// Failed is called when there will be no final response. It is the last call.
	Failed(error)
}

// Client is a client transaction.
type Client struct {
	layer  *Layer
	key    clientKey
	invite bool
	to     transport.Target // not of a CANCEL
	within time.Duration

	mu       sync.Mutex
	again    bool        // it was sent by a second connection already
	instead  *largeByUDP // what is left to a large request whose connection ends
	user     ClientUser
	state    clientState
	flow     transport.Flow
	req      *sipmsg.Request // until a final response: the ACK and CANCEL are made of it
	sent     []byte          // until a response: sent again by timers A and E
	ack      []byte          // of a refused INVITE, sent again for each repeat
	timer    *time.Timer
	deadline time.Time
	interval time.Duration
	unwanted bool // INVITE: a CANCEL was sent, and limits the ringing
}

// Request sends a request and has u told what it comes to. The request must have
// its top Via; over a stream it may be sent after Request has returned. The
// error is that of closing: every other failure goes to u.
func (l *Layer) Request(req *sipmsg.Request, to transport.Target, within time.Duration, u ClientUser) (*Client, error) {
	via := req.Via()
	branch, _ := via.Params.Get("branch")
	t := &Client{layer: l, key: clientKey{branch, string(req.Method)}, invite: req.IsInvite(), to: to, within: within, user: u, req: req}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, ErrEnded
	}
	l.clients[t.key] = t
	l.mu.Unlock()

	f, ready := l.net.Ready(to)
	if to.Transport == transport.UDP {
		if !ready {
			t.fail(wrapSend(to.Addr, transport.ErrNoSocket))
			return t, nil
		}
		data := Encode(req)
		if len(data) > MTU && l.mayTCP(to.Addr) {
			byTCP := req.Clone() // the request stays its user's, who may yet make another of it
			byTCP.Via().Transport = transport.TCP
			byTCP.SetTransport(transport.TCP)
			return t, l.spawn(func() { t.large(byTCP, largeByUDP{req: req, flow: f, data: data}) })
		}
		t.start(f, data)
		return t, nil
	}
	if ready {
		t.start(f, Encode(req))
		return t, nil
	}
	return t, l.spawn(func() { t.connect(Encode(req)) })
}

// connect sends the request once there is a connection.
func (t *Client) connect(data []byte) {
	f, err := t.layer.connect(t.to, t.within)
	if err != nil {
		t.fail(wrapSend(t.to.Addr, err))
		return
	}
	t.start(f, data)
}

// RequestOn sends a request by the way another went, and has its Via say so: a
// CANCEL after its INVITE.
func (l *Layer) RequestOn(f transport.Flow, req *sipmsg.Request, u ClientUser) (*Client, error) {
	via := req.Via()
	if f.Transport != "" { // a large INVITE went by TCP
		via.Transport = f.Transport
	}
	branch, _ := via.Params.Get("branch")
	t := &Client{layer: l, key: clientKey{branch, string(req.Method)}, invite: req.IsInvite(), user: u, req: req}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, ErrEnded
	}
	l.clients[t.key] = t
	var invite *Client
	if req.IsCancel() {
		invite = l.clients[clientKey{branch, string(sipmsg.INVITE)}]
	}
	l.mu.Unlock()
	if invite != nil {
		invite.cancelled()
	}
	t.start(f, Encode(req))
	return t, nil
}

// cancelled gives the INVITE's final response 64*T1 from now on: a peer that does
// not even know CANCEL any more would keep the transaction for ever (RFC 3261
// section 9.1).
func (t *Client) cancelled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.invite || t.state != ringing || t.unwanted {
		return
	}
	t.unwanted = true
	t.deadline = time.Now().Add(t.layer.timers.Timeout())
	t.arm(t.layer.timers.Timeout())
}

func (l *Layer) connect(to transport.Target, within time.Duration) (transport.Flow, error) {
	if within <= 0 {
		within = l.timers.Timeout()
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return l.net.Connect(ctx, to)
}

// MTU is the size from which a request goes by TCP if the next hop takes it, as
// the path's MTU is not known (RFC 3261 section 18.1.1).
const MTU = 1300

// Of the attempt to send a large request by TCP.
const (
	largeWithin = 500 * time.Millisecond // a peer that drops SYNs must not cost more
	noTCPFor    = time.Minute            // one that refused is not asked again before
)

func (l *Layer) mayTCP(a netip.AddrPort) bool {
	v, ok := l.noTCP.Load(a)
	if !ok {
		return true
	}
	if time.Now().Before(v.(time.Time)) {
		return false
	}
	l.noTCP.Delete(a)
	return true
}

// largeByUDP is a large request as it goes by UDP, in fragments.
type largeByUDP struct {
	req  *sipmsg.Request
	flow transport.Flow
	data []byte
}

// large sends a request that exceeds the MTU by TCP if the peer takes it, else
// by UDP. The peer's other requests stay with UDP.
func (t *Client) large(byTCP *sipmsg.Request, instead largeByUDP) {
	to := transport.Target{Transport: transport.TCP, Addr: t.to.Addr, Local: t.to.Local}
	f, err := t.layer.connect(to, largeWithin)
	if err != nil {
		t.layer.noTCP.Store(to.Addr, time.Now().Add(noTCPFor))
		t.start(instead.flow, instead.data)
		return
	}
	data := Encode(byTCP)
	t.mu.Lock()
	if t.state == over {
		t.mu.Unlock()
		return
	}
	t.req, t.instead = byTCP, &instead
	t.mu.Unlock()
	t.start(f, data)
}

// start sends the request for the first time.
func (t *Client) start(f transport.Flow, data []byte) {
	t.mu.Lock()
	if t.state != connecting {
		t.mu.Unlock()
		return
	}
	t.state, t.flow = calling, f
	timers := t.layer.timers
	t.deadline = time.Now().Add(timers.Timeout()) // timers B and F
	t.sent = data
	if transport.Reliable(f.Transport) {
		t.arm(timers.Timeout())
	} else {
		t.interval = timers.T1
		t.arm(timers.T1)
	}
	t.mu.Unlock()
	if err := t.layer.net.Reply(f, data); err != nil {
		t.lost(f, err)
	}
}

// lost is told when a connection has ended or took nothing. A request that heard
// nothing by it goes by a new one, once: a peer that restarted makes its old
// connections known only when it is written to, and the same branch keeps one
// that did get it from taking it twice. A large one goes by UDP then: what
// accepts connections there and drops them may not be the peer. Later than that
// the peer is the one who connects, to respond (RFC 3261 section 18.2.2).
func (t *Client) lost(f transport.Flow, err error) {
	t.mu.Lock()
	if t.state != calling || t.flow != f {
		t.mu.Unlock()
		return
	}
	if u := t.instead; u != nil {
		t.instead, t.req, t.state = nil, u.req, connecting
		if t.timer != nil {
			t.timer.Stop()
		}
		t.mu.Unlock()
		t.start(u.flow, u.data)
		return
	}
	again := !t.again && (f.Transport == transport.TCP || f.Transport == transport.TLS) && t.to.Addr.IsValid()
	if again {
		t.again, t.state = true, connecting
		if t.timer != nil {
			t.timer.Stop()
		}
	}
	data := t.sent
	t.mu.Unlock()
	if again && t.layer.spawn(func() { t.connect(data) }) == nil {
		return
	}
	t.fail(wrapSend(f.Remote, err))
}

// Flow is the way the request went; the CANCEL goes the same.
func (t *Client) Flow() transport.Flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flow
}

func (t *Client) arm(d time.Duration) {
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.tick)
		return
	}
	t.timer.Reset(d)
}

// tick is every timer of the transaction.
func (t *Client) tick() {
	t.mu.Lock()
	left := time.Until(t.deadline)
	waits := t.state == calling || t.state == ringing && (!t.invite || t.unwanted)
	switch {
	case t.state == over || t.state == connecting:
		t.mu.Unlock()
		return
	case left <= 0 && waits:
		t.mu.Unlock()
		t.fail(ErrTimeout)
		return
	case t.state == ringing: // an INVITE rings as long as its user lets it
		if t.invite {
			if t.unwanted {
				t.arm(left)
			}
			t.mu.Unlock()
			return
		}
	case !waits: // it came in between; expired will end it
		t.mu.Unlock()
		return
	}
	data, f := t.sent, t.flow
	if transport.Reliable(f.Transport) {
		t.arm(max(left, time.Millisecond))
		t.mu.Unlock()
		return
	}
	if t.invite {
		t.interval *= 2
	} else if t.interval = min(2*t.interval, t.layer.timers.T2); t.state == ringing {
		t.interval = t.layer.timers.T2
	}
	t.arm(min(t.interval, max(left, 0)))
	t.mu.Unlock()
	_ = t.layer.net.Reply(f, data)
}

// receive takes a response.
func (t *Client) receive(res *sipmsg.Response) {
	t.mu.Lock()
	timers := t.layer.timers
	reliable := transport.Reliable(t.flow.Transport)
	switch {
	case t.state == over || t.state == connecting: // who answers what was not sent guesses
		t.mu.Unlock()
		return
	case t.state == refused:
		ack, f := t.ack, t.flow
		t.mu.Unlock()
		if ack != nil && res.StatusCode >= 300 { // a late 2xx is another branch's, and not this ACK's business
			_ = t.layer.net.Reply(f, ack)
		}
		return
	case t.state == taken:
		if !res.IsSuccess() {
			t.mu.Unlock()
			return
		}
	case res.IsProvisional():
		t.state, t.instead = ringing, nil
		if t.invite {
			t.sent = nil
			if t.timer != nil {
				t.timer.Stop()
			}
		}
	case t.invite && res.IsSuccess():
		t.state = taken
		t.sent, t.req, t.instead = nil, nil, nil
		t.wait(timers.Timeout()) // timer M
	case t.invite:
		t.state = refused
		ack := Encode(ackFor(t.req, res))
		f, u := t.flow, t.user
		t.sent, t.req, t.user, t.instead = nil, nil, nil, nil
		if reliable {
			t.end()
		} else {
			t.ack = ack
			t.wait(timers.D)
		}
		t.mu.Unlock()
		_ = t.layer.net.Reply(f, ack)
		u.Response(res)
		return
	default:
		t.state = refused
		u := t.user
		t.sent, t.req, t.user, t.instead = nil, nil, nil, nil
		if reliable {
			t.end()
		} else {
			t.wait(timers.T4) // timer K
		}
		t.mu.Unlock()
		u.Response(res)
		return
	}
	u := t.user
	t.mu.Unlock()
	u.Response(res)
}

// wait keeps a transaction that had its final response. The caller holds t.mu.
func (t *Client) wait(d time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.deadline = t.layer.endings.add(d, t)
}

// expired is timers D, K and M.
func (t *Client) expired(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state >= taken && !t.deadline.After(now) {
		t.end()
	}
}

// Drop ends a transaction at once: nothing more is sent, and its user is told
// nothing. Not for an INVITE, which a peer may yet answer.
func (t *Client) Drop() { t.stop() }

// Hand gives an answered INVITE's transaction another user, for the 2xx that are
// repeated or come of other branches.
func (t *Client) Hand(u ClientUser) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == taken {
		t.user = u
	}
}

func (t *Client) fail(err error) {
	t.mu.Lock()
	if t.state >= taken {
		t.mu.Unlock()
		return
	}
	u := t.user
	t.end()
	t.mu.Unlock()
	if u != nil && !errors.Is(err, ErrEnded) {
		u.Failed(err)
	}
}

// end takes the transaction out of the books. The caller holds t.mu.
func (t *Client) end() {
	if t.state == over {
		return
	}
	t.state = over
	t.sent, t.req, t.ack, t.user, t.instead = nil, nil, nil, nil, nil
	if t.timer != nil {
		t.timer.Stop()
	}
	t.layer.mu.Lock()
	if t.layer.clients[t.key] == t {
		delete(t.layer.clients, t.key)
	}
	t.layer.mu.Unlock()
}

func (t *Client) stop() {
	t.mu.Lock()
	t.end()
	t.mu.Unlock()
}

// ackFor acknowledges the refusal of an INVITE (RFC 3261 section 17.1.1.3).
func ackFor(invite *sipmsg.Request, res *sipmsg.Response) *sipmsg.Request {
	ack := sipmsg.NewRequest(sipmsg.ACK, invite.Recipient)
	ack.AppendHeader(invite.Via().Clone())
	for _, h := range invite.GetHeaders("Route") {
		ack.AppendHeader(sipmsg.HeaderClone(h))
	}
	mf := sipmsg.MaxForwardsHeader(70)
	ack.AppendHeader(&mf)
	ack.AppendHeader(sipmsg.HeaderClone(invite.From()))
	if to := res.To(); to != nil {
		ack.AppendHeader(sipmsg.HeaderClone(to))
	} else {
		ack.AppendHeader(sipmsg.HeaderClone(invite.To()))
	}
	ack.AppendHeader(sipmsg.HeaderClone(invite.CallID()))
	ack.AppendHeader(&sipmsg.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sipmsg.ACK})
	for _, name := range []string{"Authorization", "Proxy-Authorization"} { // section 22.1
		for _, h := range invite.GetHeaders(name) {
			ack.AppendHeader(sipmsg.HeaderClone(h))
		}
	}
	ack.SetBody(nil)
	return ack
}
