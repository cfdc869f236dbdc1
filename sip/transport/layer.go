package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Limits bound what peers of stream transports may hold.
type Limits struct {
	// Message is the largest message, bytes.
	Message int
	// Connections is how many connections may come in over TCP and TLS, and
	// PerPeer how many of them from one address, or from one /64 of IPv6.
	// WebSockets and PerWebSocketPeer are the same for WS and WSS, whose peers
	// come from anywhere: they must not take the place of the others.
	Connections, PerPeer         int
	WebSockets, PerWebSocketPeer int
	// First is how long a new connection may take for its handshake and its
	// first message, and Whole how long a message may take from its first byte
	// to its last.
	First, Whole time.Duration
	// Idle is how long a connection may say nothing. Peers that want it longer
	// send keep-alives. WebSockets are pinged instead.
	Idle time.Duration
	// Ping is how often the door sends a keep-alive on connections that it made
	// (RFC 5626 section 4.4.1), 0 for never, and on every WebSocket (RFC 7118
	// section 6); Pong is how long the peer may take for its answer.
	Ping, WebSocketPing, Pong time.Duration
	// Write is how long a peer may take for what it is sent.
	Write time.Duration
	// Queue is how many messages may wait for a peer.
	Queue int
}

// DefaultLimits are generous for carriers and PBXs, and small enough that
// whoever only connects costs little.
func DefaultLimits() Limits {
	return Limits{Message: 32 << 10, Connections: 4096, PerPeer: 256, WebSockets: 2048, PerWebSocketPeer: 64,
		First: 20 * time.Second, Whole: 20 * time.Second, Idle: time.Hour,
		WebSocketPing: 30 * time.Second, Pong: 10 * time.Second, Write: 5 * time.Second, Queue: 512}
}

// Layer holds the sockets and connections.
type Layer struct {
	log     *zap.Logger
	handler Handler
	limits  Limits
	tap     Tap
	client  func(Target) *tls.Config // for connections that the door makes; nil: the system's roots
	gone    func(Flow)               // told of connections that have ended
	ctx     context.Context          // ends with the layer
	cancel  context.CancelFunc

	behind atomic.Int32 // UDP readers that have read more than they have handed on

	mu      sync.RWMutex
	sockets []*socket
	streams map[streamKey]*stream // newest of a peer
	all     map[*stream]struct{}
	came    map[comer]int // connections that peers made, by where they come from
	dialing map[streamKey]*dial
	closing []func() error
	closed  bool
	wg      sync.WaitGroup
}

type streamKey struct {
	transport string
	remote    netip.AddrPort
}

// New makes a layer that hands what arrives to h.
func New(h Handler, limits Limits, log *zap.Logger) *Layer {
	ctx, cancel := context.WithCancel(context.Background())
	return &Layer{log: log, handler: h, limits: limits, ctx: ctx, cancel: cancel, streams: map[streamKey]*stream{},
		all: map[*stream]struct{}{}, came: map[comer]int{}, dialing: map[streamKey]*dial{}}
}

// Gone has f told of each connection that has ended. It must not block. It is set
// before anything is served.
func (l *Layer) Gone(f func(Flow)) { l.gone = f }

// Mirror has t see every message. It is set before anything is served.
func (l *Layer) Mirror(t Tap) { l.tap = t }

// ClientTLS gives the configuration for TLS connections that the door makes. It
// is asked at each, so that certificates can change, and may set ServerName. What
// it returns is the layer's. It is set before anything is served.
func (l *Layer) ClientTLS(f func(Target) *tls.Config) { l.client = f }

// received hands a message on. A panic costs this message and nothing else.
func (l *Layer) received(r Received) {
	if l.tap != nil && !KeepAlive(r.Data) {
		l.tap(true, r.Flow, r.Data, r.At)
	}
	l.handler.Receive(r)
}

// Reply sends on a flow that a message came by, or if that connection is gone,
// to the address behind it if a newer connection is there. Not over WebSocket: who
// came by a port before is not who comes by it now.
func (l *Layer) Reply(f Flow, data []byte) error {
	if f.socket != nil {
		return l.sendUDP(f.socket, f.Remote, data)
	}
	if f.conn != nil && !f.conn.isClosed() {
		return f.conn.send(data)
	}
	if s := l.stream(f.Transport, f.Remote); s != nil && !IsWebSocket(f.Transport) {
		return s.send(data)
	}
	return fmt.Errorf("%w to %s over %s", ErrNoRoute, f.Remote, f.Transport)
}

// ReplyTo sends a datagram from a flow's socket to another address: the place
// where a Via wants the response (RFC 3261 section 18.2.2).
func (l *Layer) ReplyTo(f Flow, to netip.AddrPort, data []byte) error {
	if f.socket == nil {
		return l.Reply(f, data)
	}
	return l.sendUDP(f.socket, to, data)
}

// HangUp closes the connection that a message came by, once what waits for the
// peer was written; nothing more is read from it. Of UDP there is nothing to close.
func (l *Layer) HangUp(f Flow) {
	if f.conn != nil {
		f.conn.hungUp.Store(true)
		f.conn.flush()
	}
}

// Ready returns the way to a target if it needs no connecting.
func (l *Layer) Ready(t Target) (Flow, bool) {
	if t.Transport == UDP {
		s := l.socketFor(t.Local, t.Addr)
		if s == nil {
			return Flow{}, false
		}
		return Flow{Transport: UDP, Local: s.local, Remote: t.Addr, socket: s}, true
	}
	if s := l.stream(t.Transport, t.Addr); s != nil && (t.Connection == 0 || t.Connection == s.id) {
		return s.flow(), true
	}
	return Flow{}, false
}

// Connect returns the way to a target, connecting to it first if need be. It
// blocks until ctx is done at the latest.
func (l *Layer) Connect(ctx context.Context, t Target) (Flow, error) {
	if f, ok := l.Ready(t); ok {
		return f, nil
	}
	if t.Transport == UDP {
		return Flow{}, fmt.Errorf("%w: UDP to %s", ErrNoSocket, t.Addr)
	}
	if t.Connection != 0 {
		return Flow{}, fmt.Errorf("%w to %s over %s any more", ErrNoRoute, t.Addr, t.Transport)
	}
	s, err := l.dial(ctx, t)
	if err != nil {
		return Flow{}, err
	}
	return s.flow(), nil
}

// Connected says whether a connection to a peer is open: this one, see
// Flow.Connection, or with 0 any.
func (l *Layer) Connected(transport string, remote netip.AddrPort, connection uint64) bool {
	s := l.stream(transport, remote)
	return s != nil && (connection == 0 || connection == s.id)
}

func (l *Layer) stream(transport string, remote netip.AddrPort) *stream {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.streams[streamKey{transport, remote}]
}

func (l *Layer) sendUDP(s *socket, to netip.AddrPort, data []byte) error {
	if l.tap != nil {
		l.tap(false, Flow{Transport: UDP, Local: s.local, Remote: to}, data, time.Now())
	}
	_, err := s.conn.WriteToUDPAddrPort(data, to)
	return err
}

// Connections is how many stream connections are open.
func (l *Layer) Connections() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.all)
}

// Close closes every socket, listener and connection and waits for their
// goroutines.
func (l *Layer) Close() {
	l.cancel()
	l.mu.Lock()
	l.closed = true
	closing, sockets := l.closing, l.sockets
	l.closing = nil
	var open []*stream
	for s := range l.all {
		open = append(open, s)
	}
	for _, d := range l.dialing {
		d.cancel()
	}
	l.mu.Unlock()
	for _, c := range closing {
		_ = c()
	}
	for _, s := range sockets {
		_ = s.conn.Close()
	}
	for _, s := range open {
		s.flush()
	}
	l.wg.Wait()
}

// onClose has c called when the layer closes; false: it is closed already.
func (l *Layer) onClose(c func() error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closing = append(l.closing, c)
	return true
}

func network(kind string, a netip.AddrPort) string {
	if a.Addr().Unmap().Is4() {
		return kind + "4"
	}
	return kind + "6"
}

// ListenTCP opens a stream listener.
func ListenTCP(addr netip.AddrPort) (net.Listener, error) {
	return net.ListenTCP(network("tcp", addr), net.TCPAddrFromAddrPort(addr))
}
