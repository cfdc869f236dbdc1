package transaction

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transport"
)

// short are timers that let 64*T1 pass in 640 ms.
var short = Timers{T1: 10 * time.Millisecond, T2: 40 * time.Millisecond, T4: 50 * time.Millisecond, D: 100 * time.Millisecond}

var (
	here  = netip.MustParseAddrPort("192.0.2.1:5060")
	there = netip.MustParseAddrPort("192.0.2.9:5060")
)

// wire is the network in memory: what the layer writes is kept, what the test
// gives is read.
type wire struct {
	mu     sync.Mutex
	out    []sentDatagram
	in     chan sentDatagram
	broken bool
	closed chan struct{}
	once   sync.Once
}

type sentDatagram struct {
	peer netip.AddrPort
	data string
	at   time.Time
}

func newWire() *wire {
	return &wire{in: make(chan sentDatagram, 64), closed: make(chan struct{})}
}

func (w *wire) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-w.in:
		return copy(b, d.data), net.UDPAddrFromAddrPort(d.peer), nil
	case <-w.closed:
		return 0, nil, net.ErrClosed
	}
}

func (w *wire) WriteTo(b []byte, to net.Addr) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return 0, os.ErrPermission
	}
	w.out = append(w.out, sentDatagram{to.(*net.UDPAddr).AddrPort(), string(b), time.Now()})
	return len(b), nil
}

func (w *wire) Close() error                     { w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(here) }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// sent is what was written, of messages that begin so.
func (w *wire) sent(prefix string) (out []sentDatagram) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.out {
		if strings.HasPrefix(d.data, prefix) {
			out = append(out, d)
		}
	}
	return out
}

func (w *wire) String() string {
	s := ""
	for _, d := range w.sent("") {
		s += d.data
	}
	return s
}

// bench is a layer over a wire, and its user.
type bench struct {
	*Layer
	t    *testing.T
	wire *wire
	net  *transport.Layer

	parser *sipmsg.Parser

	mu       sync.Mutex
	requests []Incoming
	servers  []*Server
	strays   int
	serve    func(Incoming, *Server) // runs in Request
	done     chan error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, wire: newWire(), parser: sipmsg.NewParser(), done: make(chan error, 1)}
	b.net = transport.New(b, transport.DefaultLimits(), zap.NewNop())
	b.Layer = New(b.net, b, short)
	serve, err := b.net.UDP(b.wire)
	if err != nil {
		t.Fatal(err)
	}
	go func() { b.done <- serve() }()
	t.Cleanup(b.close)
	return b
}

func (b *bench) close() {
	b.Layer.Close()
	b.net.Close()
	b.Layer.Wait()
	if err := <-b.done; !errors.Is(err, net.ErrClosed) {
		b.t.Errorf("the reader ended with %v", err)
	}
	if s, c := b.Count(); s != 0 || c != 0 {
		b.t.Errorf("%d server and %d client transactions are left", s, c)
	}
	goleak.VerifyNone(b.t)
}

// Admit implements transport.Handler.
func (b *bench) Admit(string, netip.AddrPort, netip.AddrPort) bool { return true }

// Refused implements transport.Handler.
func (b *bench) Refused(string) {}

// Receive implements transport.Handler.
func (b *bench) Receive(r transport.Received) {
	m, err := b.parser.ParseSIP(r.Data)
	if err != nil {
		b.t.Errorf("%v: %q", err, r.Data)
		return
	}
	b.Layer.Receive(m, r.Data, r.Flow, r.At)
}

// Request implements User.
func (b *bench) Request(in Incoming, tx *Server) {
	b.mu.Lock()
	b.requests = append(b.requests, in)
	b.servers = append(b.servers, tx)
	serve := b.serve
	b.mu.Unlock()
	if serve != nil {
		serve(in, tx)
	}
}

// Stray implements User.
func (b *bench) Stray(*sipmsg.Response, transport.Flow) {
	b.mu.Lock()
	b.strays++
	b.mu.Unlock()
}

func (b *bench) got() (n int, last *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n = len(b.requests); n > 0 {
		last = b.servers[n-1]
	}
	return n, last
}

// say has a peer send a message.
func (b *bench) say(from netip.AddrPort, text string) {
	b.wire.in <- sentDatagram{peer: from, data: text}
}

// settle waits until everything said so far was taken: the reader keeps the order.
func (b *bench) settle() {
	b.t.Helper()
	b.mu.Lock()
	n := b.strays
	b.mu.Unlock()
	b.say(there, response("OPTIONS", "z9hG4bKnobody", 200))
	b.until("the reader", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.strays > n })
}

// until polls for 5 s.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("waited in vain for %s; sent so far:\n%s", what, b.wire)
		}
	}
}

// gone waits until no transaction is left.
func (b *bench) gone() {
	b.t.Helper()
	b.until("the end of all transactions", func() bool { s, c := b.Count(); return s+c == 0 })
}

// text is a request of a peer.
func text(method, sentBy, branch string) string {
	cseq := method
	return fmt.Sprintf("%s sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s\r\nFrom: <sip:b@x>;tag=1\r\nTo: <sip:a@x>\r\nCall-ID: c1\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, sentBy, branch, cseq)
}

// ours is a request of the layer's.
func ours(t *testing.T, method sipmsg.RequestMethod, branch string) *sipmsg.Request {
	t.Helper()
	m, err := sipmsg.ParseMessage([]byte(text(string(method), "192.0.2.1", branch)))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sipmsg.Request)
}

// response is a peer's response to ours.
func response(method, branch string, status int) string {
	return fmt.Sprintf("SIP/2.0 %d X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=%s\r\nFrom: <sip:b@x>;tag=1\r\nTo: <sip:a@x>;tag=2\r\nCall-ID: c1\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n", status, branch, method)
}

// told is a ClientUser that remembers.
type told struct {
	mu       sync.Mutex
	statuses []int
	errs     []error
}

// Response implements ClientUser.
func (u *told) Response(res *sipmsg.Response) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.statuses = append(u.statuses, res.StatusCode)
}

// Failed implements ClientUser.
func (u *told) Failed(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.errs = append(u.errs, err)
}

func (u *told) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := fmt.Sprint(u.statuses)
	for _, err := range u.errs {
		for _, e := range []error{ErrTimeout, ErrTransport, ErrEnded} {
			if errors.Is(err, e) {
				s += " " + e.Error()
			}
		}
	}
	return s
}

// The client's machines: RFC 3261 figures 5 and 6, RFC 6026 section 7.2 (accepted).
func TestClient(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  sipmsg.RequestMethod
		answers []int // in order, each once the request was sent
		pause   time.Duration
		told    string
		acks    int // at least
		copies  [2]int
	}{
		// Timer A doubles: 0, 10, 30, 70, 150, 310, 630 ms of 640.
		{name: "INVITE, timer B", method: "INVITE", told: "[] transaction: no response", copies: [2]int{5, 7}},
		// Timer E doubles up to T2: about 17 in 640 ms.
		{name: "other, timer F", method: "OPTIONS", told: "[] transaction: no response", copies: [2]int{10, 18}},
		{name: "INVITE answered", method: "INVITE", answers: []int{100, 180, 200}, told: "[100 180 200]", copies: [2]int{1, 4}},
		{name: "INVITE, 2xx repeated and forked", method: "INVITE", answers: []int{200, 200, 200}, told: "[200 200 200]", copies: [2]int{1, 4}},
		{name: "INVITE, nothing but a 2xx after a 2xx", method: "INVITE", answers: []int{200, 486, 180}, told: "[200]", copies: [2]int{1, 4}},
		{name: "INVITE refused", method: "INVITE", answers: []int{180, 486}, told: "[180 486]", acks: 1, copies: [2]int{1, 4}},
		{name: "INVITE, refusal repeated", method: "INVITE", answers: []int{486, 486, 486}, told: "[486]", acks: 3, copies: [2]int{1, 4}},
		{name: "INVITE, no 2xx after a refusal", method: "INVITE", answers: []int{486, 200, 183}, told: "[486]", acks: 1, copies: [2]int{1, 4}},
		{name: "other answered", method: "OPTIONS", answers: []int{200, 200, 404}, told: "[200]", copies: [2]int{1, 4}},
		{name: "other, provisional", method: "OPTIONS", answers: []int{100, 183, 404}, told: "[100 183 404]", copies: [2]int{1, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			u := &told{}
			if _, err := b.Layer.Request(ours(t, c.method, "z9hG4bKa"), transport.Target{Transport: "UDP", Addr: there}, 0, u); err != nil {
				t.Fatal(err)
			}
			b.until("the request", func() bool { return len(b.wire.sent(string(c.method))) > 0 })
			for _, status := range c.answers {
				b.say(there, response(string(c.method), "z9hG4bKa", status))
			}
			if len(c.answers) > 0 {
				b.until("the responses: "+c.told, func() bool { return u.String() == c.told })
				b.until("the ACKs", func() bool { return len(b.wire.sent("ACK")) >= c.acks })
			}
			b.gone()
			// The transaction is out of the books a moment before its user hears of it.
			b.until("its user told "+c.told, func() bool { return u.String() == c.told })
			if n := len(b.wire.sent(string(c.method))); n < c.copies[0] || n > c.copies[1] {
				t.Errorf("sent %d times, want %d to %d", n, c.copies[0], c.copies[1])
			}
			if n := len(b.wire.sent("ACK")); n != c.acks {
				t.Errorf("%d ACKs, want %d", n, c.acks)
			}
		})
	}
}

// Timer A doubles each time, and timer E up to T2, not faster.
func TestClientIntervals(t *testing.T) {
	for method, least := range map[sipmsg.RequestMethod][]time.Duration{
		"INVITE":  {10, 20, 40, 80, 160},
		"OPTIONS": {10, 20, 40, 40, 40},
	} {
		t.Run(string(method), func(t *testing.T) {
			b := newBench(t)
			if _, err := b.Layer.Request(ours(t, method, "z9hG4bKa"), transport.Target{Transport: "UDP", Addr: there}, 0, &told{}); err != nil {
				t.Fatal(err)
			}
			b.gone()
			sent := b.wire.sent(string(method))
			for i, ms := range least {
				if i+1 >= len(sent) {
					break // a busy machine; TestClient counts
				}
				if got := sent[i+1].at.Sub(sent[i].at); got < ms*time.Millisecond-2*time.Millisecond {
					t.Errorf("copy %d came %v after the one before, want %d ms at least", i+2, got, ms)
				}
			}
		})
	}
}

// An INVITE that rings is not repeated and has no timer B; it ends by its answer.
func TestClientRings(t *testing.T) {
	b := newBench(t)
	u := &told{}
	if _, err := b.Layer.Request(ours(t, "INVITE", "z9hG4bKa"), transport.Target{Transport: "UDP", Addr: there}, 0, u); err != nil {
		t.Fatal(err)
	}
	b.say(there, response("INVITE", "z9hG4bKa", 180))
	b.until("180", func() bool { return u.String() == "[180]" })
	n := len(b.wire.sent("INVITE"))
	time.Sleep(short.Timeout() + 100*time.Millisecond)
	if got := u.String(); got != "[180]" || len(b.wire.sent("INVITE")) != n {
		t.Errorf("told %s, %d copies more", got, len(b.wire.sent("INVITE"))-n)
	}
	b.say(there, response("INVITE", "z9hG4bKa", 603))
	b.until("603", func() bool { return u.String() == "[180 603]" })
}

// The ACK of a refusal has the INVITE's branch, Request-URI and CSeq number, and
// the response's To (RFC 3261 section 17.1.1.3).
func TestClientACK(t *testing.T) {
	b := newBench(t)
	if _, err := b.Layer.Request(ours(t, "INVITE", "z9hG4bKa"), transport.Target{Transport: "UDP", Addr: there}, 0, &told{}); err != nil {
		t.Fatal(err)
	}
	b.say(there, response("INVITE", "z9hG4bKa", 404))
	b.until("the ACK", func() bool { return len(b.wire.sent("ACK")) == 1 })
	ack := b.wire.sent("ACK")[0].data
	for _, want := range []string{"ACK sip:a@192.0.2.1 SIP/2.0\r\n", ";branch=z9hG4bKa", "CSeq: 1 ACK\r\n", "To: <sip:a@x>;tag=2\r\n", "From: <sip:b@x>;tag=1\r\n", "Max-Forwards: "} {
		if !strings.Contains(ack, want) {
			t.Errorf("the ACK lacks %q:\n%s", want, ack)
		}
	}
	if strings.Count(ack, "Via:") != 1 {
		t.Errorf("the ACK has not one Via:\n%s", ack)
	}
}

// What cannot be sent fails at once, and what has no transaction is a stray.
func TestClientTransportError(t *testing.T) {
	b := newBench(t)
	b.wire.mu.Lock()
	b.wire.broken = true
	b.wire.mu.Unlock()
	u := &told{}
	if _, err := b.Layer.Request(ours(t, "INVITE", "z9hG4bKa"), transport.Target{Transport: "UDP", Addr: there}, 0, u); err != nil {
		t.Fatal(err)
	}
	if got := u.String(); got != "[] transaction: cannot send" {
		t.Errorf("told %s", got)
	}
	u = &told{}
	v6 := netip.MustParseAddrPort("[2001:db8::9]:5060")
	if _, err := b.Layer.Request(ours(t, "INVITE", "z9hG4bKb"), transport.Target{Transport: "UDP", Addr: v6}, 0, u); err != nil {
		t.Fatal(err)
	}
	if got := u.String(); got != "[] transaction: cannot send" {
		t.Errorf("without a socket of that family: told %s", got)
	}
	b.say(there, response("INVITE", "z9hG4bKother", 200))
	b.say(there, response("BYE", "z9hG4bKa", 200))
	b.until("two strays", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.strays == 2 })
}

// Close ends everything in flight, and nobody is told.
func TestCloseInFlight(t *testing.T) {
	b := newBench(t)
	b.serve = func(in Incoming, tx *Server) {
		if in.Req.IsInvite() {
			_ = tx.Respond(sipmsg.NewResponseFromRequest(in.Req, 180, "Ringing", nil))
		}
	}
	u := &told{}
	for i := range 50 {
		branch := fmt.Sprintf("z9hG4bK%d", i)
		if _, err := b.Layer.Request(ours(t, "INVITE", branch), transport.Target{Transport: "UDP", Addr: there}, 0, u); err != nil {
			t.Fatal(err)
		}
		b.say(there, text([]string{"INVITE", "OPTIONS"}[i%2], "192.0.2.9", branch))
	}
	b.until("all requests", func() bool { n, _ := b.got(); return n == 50 })
	b.Layer.Close()
	if got := u.String(); got != "[]" {
		t.Errorf("told %s", got)
	}
	if _, err := b.Layer.Request(ours(t, "INVITE", "z9hG4bKlate"), transport.Target{Transport: "UDP", Addr: there}, 0, u); !errors.Is(err, ErrEnded) {
		t.Errorf("a request after Close: %v", err)
	}
}
