package transaction

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/transport"
)

// serverState is that of RFC 3261 figures 7 and 8, and of RFC 6026 figure 6.
type serverState int

const (
	trying     serverState = iota // nothing was sent
	proceeding                    // a provisional response was sent
	accepted                      // INVITE: a 2xx was sent; its user repeats it
	completed                     // a final response was sent
	confirmed                     // INVITE: its ACK has come
	terminated
)

// Server is a server transaction.
type Server struct {
	layer  *Layer
	key    serverKey
	flow   transport.Flow
	to     netip.AddrPort // where responses go: over UDP, or when the connection is gone
	invite bool
	callID string // of an INVITE
	cseq   uint32

	mu       sync.Mutex
	state    serverState
	last     []byte // the newest response, sent again for a repeated request
	timer    *time.Timer
	deadline time.Time     // of timers H, I, J, L
	interval time.Duration // of timer G, 0 when it does not run
	tag      string        // To tag of the response to a CANCEL
	onCancel func(*sipmsg.Request)
	cancel   *sipmsg.Request // one that came before onCancel was set
}

func newServer(l *Layer, key serverKey, in Incoming) *Server {
	t := &Server{layer: l, key: key, flow: in.Flow, invite: in.Req.IsInvite()}
	via := in.Req.Via()
	switch {
	case in.Flow.Transport == transport.UDP:
		t.to = l.replyTo(via, in.Flow)
	case via != nil:
		t.to = netip.AddrPortFrom(in.Flow.Remote.Addr(), sentByPort(via, in.Flow.Transport))
	}
	if id, cseq := in.Req.CallID(), in.Req.CSeq(); t.invite && id != nil && cseq != nil {
		t.callID, t.cseq = id.Value(), cseq.SeqNo
	}
	if !t.invite {
		// RFC 4320 section 4.1: after timer F its sender no longer listens, so a
		// request that nobody answered is forgotten. T4 more, for the 408 of a
		// proxy whose own timer F began a moment after.
		t.mu.Lock() // the timer's goroutine must see what is written here
		t.wait(l.timers.Timeout() + l.timers.T4)
		t.mu.Unlock()
	}
	return t
}

// Flow is where the request came from.
func (t *Server) Flow() transport.Flow { return t.flow }

// SetTag is the To tag for the response to a CANCEL (RFC 3261 section 9.2).
func (t *Server) SetTag(tag string) {
	t.mu.Lock()
	t.tag = tag
	t.mu.Unlock()
}

// OnCancel has f called, once, when a CANCEL comes before the final response.
// The CANCEL is answered already; the INVITE's 487 is the user's to send.
func (t *Server) OnCancel(f func(*sipmsg.Request)) {
	t.mu.Lock()
	t.onCancel = f
	early := t.cancel
	t.cancel = nil
	t.mu.Unlock()
	if early != nil {
		f(early)
	}
}

// Respond sends a response. After a final one it is an error, but for the 2xx of
// an INVITE, which its user repeats until the ACK (RFC 6026 section 7.1).
func (t *Server) Respond(res *sipmsg.Response) error {
	b := encode(res)
	defer b.free()
	t.mu.Lock()
	again := t.state == accepted && res.IsSuccess()
	if t.state >= accepted && !again {
		t.mu.Unlock()
		return ErrEnded
	}
	if !again {
		t.keep(b, res.StatusCode)
	}
	t.mu.Unlock()
	return t.send(b.Bytes())
}

// keep moves the state machine on for a response. The caller holds t.mu.
func (t *Server) keep(b *buffer, status int) {
	timers := t.layer.timers
	reliable := transport.Reliable(t.flow.Transport)
	switch {
	case status < 200:
		t.state = proceeding
		t.last = append(t.last[:0:0], b.Bytes()...)
		return
	case t.invite && status < 300:
		t.state = accepted
		t.last = nil
		t.wait(timers.Timeout()) // timer L
	case t.invite:
		t.state = completed
		t.last = append(t.last[:0:0], b.Bytes()...)
		if reliable {
			t.last = nil
		} else {
			t.interval = timers.T1
			t.timer = time.AfterFunc(t.interval, t.tick)
		}
		t.wait(timers.Timeout()) // timer H
	default:
		t.state = completed
		t.last = append(t.last[:0:0], b.Bytes()...)
		if reliable { // timer J is 0
			t.end()
			return
		}
		t.wait(timers.Timeout())
	}
	t.onCancel, t.cancel = nil, nil
}

// wait keeps the transaction for so long. The caller holds t.mu.
func (t *Server) wait(d time.Duration) { t.deadline = t.layer.endings.add(d, t) }

// expired is timers H, I, J and L, and the end of a request that got no answer.
func (t *Server) expired(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.deadline.After(now) {
		t.end()
	}
}

// tick is timer G: a refusal is sent until its ACK comes.
func (t *Server) tick() {
	t.mu.Lock()
	if t.state != completed || t.interval == 0 {
		t.mu.Unlock()
		return
	}
	last := t.last
	t.interval = min(2*t.interval, t.layer.timers.T2)
	t.timer.Reset(t.interval)
	t.mu.Unlock()
	_ = t.send(last)
}

// end takes the transaction out of the books. The caller holds t.mu.
func (t *Server) end() {
	if t.state == terminated {
		return
	}
	t.state = terminated
	t.last = nil
	if t.timer != nil {
		t.timer.Stop()
	}
	t.onCancel, t.cancel = nil, nil
	t.layer.mu.Lock()
	if t.layer.servers[t.key] == t {
		delete(t.layer.servers, t.key)
	}
	if t.invite && t.layer.invites[t.key.branch] == t {
		delete(t.layer.invites, t.key.branch)
	}
	t.layer.mu.Unlock()
}

// stop ends the transaction when its layer closes.
func (t *Server) stop() {
	t.mu.Lock()
	t.end()
	t.mu.Unlock()
}

// Drop ends a transaction whose request gets no response.
func (t *Server) Drop() { t.stop() }

// receive takes a repeated request, or the ACK of a refusal.
func (t *Server) receive(in Incoming) {
	t.mu.Lock()
	if in.Req.IsAck() {
		if t.state == accepted { // RFC 6026 section 7.1: for the user
			t.mu.Unlock()
			t.layer.user.Request(in, nil)
			return
		}
		if t.state == completed && t.invite {
			t.state, t.last, t.interval = confirmed, nil, 0
			if t.timer != nil {
				t.timer.Stop()
			}
			if transport.Reliable(t.flow.Transport) {
				t.end()
			} else {
				t.wait(t.layer.timers.T4) // timer I
			}
		}
		t.mu.Unlock()
		return
	}
	last := t.last
	t.mu.Unlock()
	if last != nil {
		_ = t.send(last)
	}
}

// cancels answers a CANCEL and tells the INVITE's user (RFC 3261 section 9.2).
func (t *Server) cancels(invite *Server, in Incoming) {
	if invite == nil {
		_ = t.Respond(sipmsg.NewResponseFromRequest(in.Req, 481, "Call/Transaction Does Not Exist", nil))
		return
	}
	invite.mu.Lock()
	tag := invite.tag
	invite.mu.Unlock()
	res := sipmsg.NewResponseFromRequest(in.Req, 200, "OK", nil)
	if to := res.To(); to != nil && tag != "" {
		to.Params.Remove("tag")
		to.Params.Add("tag", tag)
	}
	_ = t.Respond(res)
	invite.mu.Lock()
	var f func(*sipmsg.Request)
	if invite.state < accepted {
		f = invite.onCancel
		invite.onCancel = nil
		if f == nil && invite.cancel == nil {
			invite.cancel = in.Req
		}
	}
	invite.mu.Unlock()
	if f != nil {
		f(in.Req)
	}
}

func (t *Server) send(data []byte) error {
	var err error
	if t.flow.Transport == transport.UDP {
		err = t.layer.net.ReplyTo(t.flow, t.to, data)
	} else if err = t.layer.net.Reply(t.flow, data); errors.Is(err, transport.ErrNoRoute) {
		err = t.sendBack(data, err)
	}
	if err != nil {
		return wrapSend(t.flow.Remote, err)
	}
	return nil
}

// sendBack connects to a peer whose connection is gone, to respond: at the
// address it came from and the port of its sent-by (RFC 3261 section 18.2.2). A
// peer of WebSocket cannot be connected to.
func (t *Server) sendBack(data []byte, gone error) error {
	if over := t.flow.Transport; over != transport.TCP && over != transport.TLS || !t.to.IsValid() {
		return gone
	}
	data = bytes.Clone(data)
	to := transport.Target{Transport: t.flow.Transport, Addr: t.to}
	return t.layer.spawn(func() {
		if f, err := t.layer.connect(to, t.layer.timers.Timeout()); err == nil {
			_ = t.layer.net.Reply(f, data)
		}
	})
}
