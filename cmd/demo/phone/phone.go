// Package phone is a plain SIP phone for demonstrations and tests: it places and
// answers calls over UDP, says and hears G.711, and presses keys (RFC 4733).
//
// It has what a call needs and nothing for a product: no registration, no
// authentication, no transfer, no jitter buffer. It does not judge or decide.
package phone

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// Phone is a SIP user agent on one address.
type Phone struct {
	addr   netip.AddrPort
	ua     *sipgo.UserAgent
	client *sipgo.Client
	conn   net.PacketConn
	served chan struct{}

	mu     sync.Mutex
	calls  map[string]*Call // by Call-ID
	answer func(*Incoming)
}

// Open makes a phone on addr (port 0 takes a free one).
func Open(addr netip.AddrPort) (*Phone, error) {
	conn, err := net.ListenPacket("udp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("phone: %w", err)
	}
	p := &Phone{
		addr:   conn.LocalAddr().(*net.UDPAddr).AddrPort(),
		conn:   conn,
		served: make(chan struct{}),
		calls:  map[string]*Call{},
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	p.ua, err = sipgo.NewUA(
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet)),
	)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("phone: %w", err)
	}
	server, err := sipgo.NewServer(p.ua, sipgo.WithServerLogger(quiet))
	if err == nil {
		// The listener's own socket sends, so that answers come to it.
		p.client, err = sipgo.NewClient(p.ua, sipgo.WithClientLogger(quiet),
			sipgo.WithClientHostname(p.addr.Addr().String()), sipgo.WithClientPort(int(p.addr.Port())),
			sipgo.WithClientConnectionAddr(p.addr.String()))
	}
	if err != nil {
		p.ua.Close()
		conn.Close()
		return nil, fmt.Errorf("phone: %w", err)
	}
	server.OnInvite(p.onInvite)
	server.OnAck(p.onAck)
	server.OnBye(p.onBye)
	server.OnOptions(func(r *sip.Request, tx sip.ServerTransaction) { respond(tx, r, 200, "OK") })
	server.OnNotify(func(r *sip.Request, tx sip.ServerTransaction) { respond(tx, r, 200, "OK") })
	server.OnInfo(func(r *sip.Request, tx sip.ServerTransaction) { respond(tx, r, 200, "OK") })
	go func() {
		defer close(p.served)
		server.ServeUDP(conn) // ends when Close closes the socket
	}()
	p.listening()
	return p, nil
}

// listening waits until sipgo knows the socket: before that it would open one
// of its own to send from.
func (p *Phone) listening() {
	for range 1000 {
		if c, err := p.ua.TransportLayer().GetConnection("udp", p.addr.String()); err == nil && c != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// Addr is where the phone listens.
func (p *Phone) Addr() netip.AddrPort { return p.addr }

// OnCall sets what happens to calls that come in; without it they are refused
// with 480. f runs in a goroutine of its own for each call.
func (p *Phone) OnCall(f func(*Incoming)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// Close drops every call without a word and gives the address back.
func (p *Phone) Close() error {
	p.mu.Lock()
	calls := p.calls
	p.calls = map[string]*Call{}
	p.mu.Unlock()
	for _, c := range calls {
		c.end(ByUs)
	}
	// An ACK or a BYE that is on its way is let in: sipgo would answer it from a
	// socket of its own when ours is gone, and never close that.
	time.Sleep(settle)
	err := p.conn.Close()
	<-p.served
	p.ua.Close()
	return err
}

// settle is how long messages may be on their way on loopback.
const settle = 50 * time.Millisecond

func (p *Phone) call(id string) *Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[id]
}

func (p *Phone) keep(id string, c *Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[id] = c
}

func (p *Phone) drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.calls, id)
}

func (p *Phone) onAck(r *sip.Request, _ sip.ServerTransaction) {
	if c := p.call(r.CallID().Value()); c != nil {
		c.acknowledged(r)
	}
}

func (p *Phone) onBye(r *sip.Request, tx sip.ServerTransaction) {
	c := p.call(r.CallID().Value())
	if c == nil {
		respond(tx, r, 481, "Call/Transaction Does Not Exist")
		return
	}
	respond(tx, r, 200, "OK")
	c.end(ByFar)
}

func (p *Phone) onInvite(r *sip.Request, tx sip.ServerTransaction) {
	if c := p.call(r.CallID().Value()); c != nil {
		c.reinvited(r, tx)
		return
	}
	p.mu.Lock()
	f := p.answer
	p.mu.Unlock()
	if f == nil {
		respond(tx, r, 480, "Temporarily Unavailable")
		return
	}
	in := &Incoming{Request: r, phone: p, tx: tx, over: make(chan struct{})}
	tx.OnCancel(func(*sip.Request) { in.once.Do(func() { close(in.over) }) })
	go f(in)
	// sipgo ends the transaction when its handler returns: not before the answer.
	select {
	case <-in.over:
	case <-tx.Done():
	}
}

func respond(tx sip.ServerTransaction, r *sip.Request, code int, reason string) {
	// A response that cannot be sent is as good as one that was lost: the
	// request comes again.
	_ = tx.Respond(sip.NewResponseFromRequest(r, code, reason, nil))
}

// token is n random bytes in hex, for tags, branches and Call-IDs.
func token(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// request sends one request in a dialog and waits for its final response.
func (p *Phone) request(ctx context.Context, r *sip.Request) (*sip.Response, error) {
	tx, err := p.client.TransactionRequest(ctx, r, withVia(p))
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, tx.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// withVia gives a request that was built here its Via, and sends it from the
// phone's own socket.
func withVia(p *Phone) sipgo.ClientRequestOption {
	return func(c *sipgo.Client, r *sip.Request) error {
		if r.Via() == nil {
			v := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: p.addr.Addr().String(), Port: int(p.addr.Port())}
			v.Params.Add("branch", sip.RFC3261BranchMagicCookie+token(8))
			r.PrependHeader(v)
		}
		r.Laddr = sip.Addr{IP: p.addr.Addr().AsSlice(), Port: int(p.addr.Port())}
		if r.Body() == nil {
			r.SetBody(nil)
		}
		return nil
	}
}
