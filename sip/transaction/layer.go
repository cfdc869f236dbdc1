package transaction

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/transport"
)

// Layer matches messages to transactions.
type Layer struct {
	net     *transport.Layer
	user    User
	timers  Timers
	endings *endings

	mu      sync.Mutex
	servers map[serverKey]*Server
	invites map[string]*Server // newest INVITE of a branch, for requests whose sent-by has changed
	clients map[clientKey]*Client
	closed  bool
	wg      sync.WaitGroup

	noTCP sync.Map // netip.AddrPort: time until which large requests go by UDP
	maddr func(netip.Addr) bool
}

// New makes a layer over a transport. The transport's receiver parses and calls
// Receive.
func New(n *transport.Layer, u User, t Timers) *Layer {
	l := &Layer{net: n, user: u, timers: t, endings: endingsFor(t), servers: map[serverKey]*Server{}, invites: map[string]*Server{}, clients: map[clientKey]*Client{}}
	n.Gone(l.gone)
	return l
}

// Maddr has responses follow the maddr of a Via to the addresses that f allows
// (RFC 3261 section 18.2.2); without it to none, as anybody may write any address
// there. It is set before anything is received.
func (l *Layer) Maddr(f func(netip.Addr) bool) { l.maddr = f }

// asked are the client transactions of the moment.
func (l *Layer) asked() []*Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.clients))
}

// gone tells the requests that wait for a response by a connection of its end.
func (l *Layer) gone(f transport.Flow) {
	for _, t := range l.asked() {
		t.lost(f, transport.ErrNoRoute)
	}
}

// Timers are the layer's.
func (l *Layer) Timers() Timers { return l.timers }

// Count is how many transactions there are, finished ones that wait for repeats
// included.
func (l *Layer) Count() (servers, clients int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.servers), len(l.clients)
}

// Receive takes a parsed message. raw is good until it returns.
func (l *Layer) Receive(m sipmsg.Message, raw []byte, f transport.Flow, at time.Time) {
	switch m := m.(type) {
	case *sipmsg.Request:
		received(m, f)
		l.request(Incoming{Req: m, Raw: raw, Flow: f, At: at})
	case *sipmsg.Response:
		m.SetTransport(f.Transport)
		l.response(m, f)
	}
}

// received notes where a request came from in its top Via (RFC 3261 section
// 18.2.1, RFC 3581 section 4).
func received(req *sipmsg.Request, f transport.Flow) {
	req.SetTransport(f.Transport)
	req.SetSource(f.Remote.String())
	v := req.Via()
	if v == nil {
		return
	}
	rport, has := v.Params.Get("rport")
	asked := has && rport == ""
	if asked {
		v.Params.Add("rport", strconv.Itoa(int(f.Remote.Port())))
	}
	if host, err := netip.ParseAddr(strings.Trim(v.Host, "[]")); asked || err != nil || host.Unmap() != f.Remote.Addr() {
		v.Params.Add("received", f.Remote.Addr().String())
	}
}

// replyTo is where responses to a request over UDP go (RFC 3261 section 18.2.2,
// RFC 3581 section 4).
func (l *Layer) replyTo(v *sipmsg.ViaHeader, f transport.Flow) netip.AddrPort {
	if v == nil {
		return f.Remote
	}
	if maddr, ok := v.Params.Get("maddr"); ok && l.maddr != nil {
		if a, err := netip.ParseAddr(strings.Trim(maddr, "[]")); err == nil && l.maddr(a.Unmap()) {
			return netip.AddrPortFrom(a.Unmap(), sentByPort(v, f.Transport))
		}
	}
	if v.Params.Has("rport") {
		return f.Remote
	}
	return netip.AddrPortFrom(f.Remote.Addr(), sentByPort(v, f.Transport))
}

// sentByPort is the port of a Via's sent-by.
func sentByPort(v *sipmsg.ViaHeader, over string) uint16 {
	switch {
	case v.Port > 0 && v.Port <= 65535:
		return uint16(v.Port)
	case over == transport.TLS:
		return 5061
	}
	return 5060
}

func (l *Layer) request(in Incoming) {
	key := keyOf(in.Req)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	if t := l.servers[key]; t != nil {
		l.mu.Unlock()
		t.receive(in)
		return
	}
	if in.Req.IsAck() {
		t := l.renamed(key, in)
		l.mu.Unlock()
		if t != nil {
			t.receive(in)
			return
		}
		l.user.Request(in, nil)
		return
	}
	t := newServer(l, key, in)
	l.servers[key] = t
	var invite *Server
	switch {
	case t.invite:
		l.invites[key.branch] = t
	case in.Req.IsCancel():
		key.method = string(sipmsg.INVITE)
		if invite = l.servers[key]; invite == nil {
			invite = l.renamed(key, in)
		}
	}
	l.mu.Unlock()
	if in.Req.IsCancel() {
		t.cancels(invite, in)
		return
	}
	l.user.Request(in, t)
}

// renamed finds the INVITE of a CANCEL or an ACK whose sent-by has changed on its
// way, as behind some NATs: it has the branch, and comes from the same address in
// the same call. The caller holds l.mu.
func (l *Layer) renamed(k serverKey, in Incoming) *Server {
	t := l.invites[k.branch]
	id, cseq := in.Req.CallID(), in.Req.CSeq()
	if t == nil || id == nil || cseq == nil || t.flow.Remote.Addr() != in.Flow.Remote.Addr() ||
		t.callID != id.Value() || t.cseq != cseq.SeqNo {
		return nil
	}
	return t
}

func (l *Layer) response(res *sipmsg.Response, f transport.Flow) {
	via, cseq := res.Via(), res.CSeq()
	if via == nil || cseq == nil {
		l.user.Stray(res, f)
		return
	}
	branch, _ := via.Params.Get("branch")
	l.mu.Lock()
	t := l.clients[clientKey{branch, string(cseq.MethodName)}]
	l.mu.Unlock()
	if t == nil {
		l.user.Stray(res, f)
		return
	}
	t.receive(res)
}

// Write sends a request outside any transaction: the ACK of a 2xx.
func (l *Layer) Write(req *sipmsg.Request, to transport.Target) error {
	if f, ok := l.net.Ready(to); ok {
		b := encode(req)
		defer b.free()
		return l.net.Reply(f, b.Bytes())
	}
	return l.Send(Encode(req), to)
}

// Send sends a request that was encoded before, outside any transaction. It
// keeps data.
func (l *Layer) Send(data []byte, to transport.Target) error {
	if f, ok := l.net.Ready(to); ok {
		return l.net.Reply(f, data)
	}
	if to.Transport == transport.UDP {
		return transport.ErrNoSocket
	}
	return l.spawn(func() {
		if f, err := l.connect(to, l.timers.Timeout()); err == nil {
			_ = l.net.Reply(f, data)
		}
	})
}

// spawn runs what has to wait for a connection.
func (l *Layer) spawn(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrEnded
	}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		f()
	}()
	return nil
}

// Settle waits until every request has its final response, at most so long.
func (l *Layer) Settle(atMost time.Duration) {
	for end := time.Now().Add(atMost); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if !l.waiting() {
			return
		}
	}
}

func (l *Layer) waiting() bool {
	for _, t := range l.asked() {
		t.mu.Lock()
		state := t.state
		t.mu.Unlock()
		if state < taken {
			return true
		}
	}
	return false
}

// Close ends every transaction; users hear nothing more.
func (l *Layer) Close() {
	l.mu.Lock()
	l.closed = true
	servers, clients := l.servers, l.clients
	l.servers, l.invites, l.clients = map[serverKey]*Server{}, map[string]*Server{}, map[clientKey]*Client{}
	l.mu.Unlock()
	l.endings.close()
	for _, t := range servers {
		t.stop()
	}
	for _, t := range clients {
		t.stop()
	}
}

// Wait waits for what was connecting; the transport must be closed before.
func (l *Layer) Wait() { l.wg.Wait() }

// serverKey matches requests to server transactions (RFC 3261 section 17.2.3).
type serverKey struct {
	branch string
	host   string // sent-by
	port   int
	method string // that of the INVITE for its ACK
}

func keyOf(req *sipmsg.Request) serverKey {
	k := serverKey{method: string(req.Method)}
	if req.IsAck() {
		k.method = string(sipmsg.INVITE)
	}
	v := req.Via()
	if v == nil {
		return k
	}
	k.host, k.port = v.Host, v.Port
	k.branch, _ = v.Params.Get("branch")
	if rest, ok := strings.CutPrefix(k.branch, sipmsg.RFC3261BranchMagicCookie); ok && rest != "" {
		return k
	}
	// RFC 2543: a transaction is told by what its requests have in common.
	tag, _ := req.From().Params.Get("tag")
	n := uint32(0)
	if c := req.CSeq(); c != nil {
		n = c.SeqNo
	}
	id := ""
	if h := req.CallID(); h != nil {
		id = h.Value()
	}
	k.branch = strings.Join([]string{"2543", id, tag, strconv.FormatUint(uint64(n), 10), req.Recipient.String(), k.branch}, "\n")
	return k
}

type clientKey struct{ branch, method string }

// buffer is where messages are written.
type buffer struct{ bytes.Buffer }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func encode(m sipmsg.Message) *buffer {
	b := buffers.Get().(*buffer)
	b.Reset()
	m.StringWrite(b)
	return b
}

func (b *buffer) free() {
	if b.Cap() <= 16<<10 {
		buffers.Put(b)
	}
}

// Encode is a message as it goes over the wire.
func Encode(m sipmsg.Message) []byte {
	b := encode(m)
	defer b.free()
	return bytes.Clone(b.Bytes())
}

// wrapSend says that a message could not be sent, and where.
func wrapSend(to fmt.Stringer, err error) error {
	if errors.Is(err, net.ErrClosed) {
		err = transport.ErrClosed
	}
	return fmt.Errorf("%w to %s: %w", ErrTransport, to, err)
}
