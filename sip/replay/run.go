package replay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/sip/auth"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/transport"
)

// Wire sees every message and packet that goes out or comes in. It is called
// from several goroutines and must not block.
type Wire func(at time.Time, src, dst netip.AddrPort, b []byte)

// Options say where calls are placed and how.
type Options struct {
	Target    Target
	Addr      netip.AddrPort // of the target
	Transport string         // transport.UDP, TCP or TLS
	// Bind is where to call from. Without an address it is the one that the way to
	// the target begins at; without a port it is 5060 if that is free (5061 for
	// TLS), as recorded Contacts often have none, else any.
	Bind netip.AddrPort
	// ClientTLS is for connections over TLS; nil: the system's roots.
	ClientTLS *tls.Config
	// User and Password answer challenges; without a user they end the call.
	User, Password string
	// Rate is how many calls begin in a second; 0: as recorded.
	Rate float64
	// Speed divides the pauses of the recording, 0 is 1; that between RTP packets
	// only with SpeedRTP.
	Speed    float64
	SpeedRTP bool
	// Loop is how often all of it is done, 0 is once, each after the one before.
	Loop int
	// Concurrency is how many calls there are at a time; 0: as many as it takes.
	Concurrency int
	// Patience is how long the far side's BYE may be late before the caller hangs up.
	Patience time.Duration
	Wire     Wire // may be nil
	Log      *zap.Logger
}

// Result is what came of one call.
type Result struct {
	Loop   int    `json:"loop"` // from 1
	From   string `json:"from"`
	To     string `json:"to"`
	CallID string `json:"call_id"` // of the recording
	Now    string `json:"now"`     // the fresh one
	// Equal says that the flows are; Differences where they part.
	Equal       bool         `json:"equal"`
	Differences []Difference `json:"differences"`
	Timing      string       `json:"timing"`
	// Fingerprint is that of the recorded INVITE, SameFingerprint that the one sent
	// has it too.
	Fingerprint     string `json:"fingerprint"`
	SameFingerprint bool   `json:"same_fingerprint"`
	// Note is why the call went otherwise than by itself: cut short, not sent.
	Note     string `json:"note"`
	Recorded Flow   `json:"recorded"`
	Flow     Flow   `json:"flow"`
}

// Run places the calls and tells each as it ends. When ctx is done, no more
// begin, and those in progress are ended with BYE or CANCEL. The error says why
// nothing could be placed at all.
func Run(ctx context.Context, calls []*Recording, o Options, told func(Result)) error {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Speed <= 0 {
		o.Speed = 1
	}
	r := &runner{options: o, calls: map[string]*call{}, used: map[string]bool{}, closing: make(chan struct{}), told: told}
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.layer.Close()
	if o.Concurrency > 0 {
		r.slots = make(chan struct{}, o.Concurrency)
	}
	for loop := range max(o.Loop, 1) {
		if !r.loop(ctx, calls, loop+1) {
			break
		}
	}
	r.talking.Wait()
	// What crossed the last message of the last call is still answered.
	time.Sleep(50 * time.Millisecond)
	close(r.closing)
	r.calling.Wait()
	return nil
}

// runner is a run of calls.
type runner struct {
	options Options
	layer   *transport.Layer
	local   netip.AddrPort
	slots   chan struct{}
	closing chan struct{} // closed at the end of the run: nobody lingers any more
	talking sync.WaitGroup
	calling sync.WaitGroup // goroutines of calls, lingering ones too

	mu    sync.Mutex
	calls map[string]*call // by the fresh Call-ID
	used  map[string]bool  // Call-IDs and branches
	told  func(Result)     // called under mu
}

// open binds and connects.
func (r *runner) open(ctx context.Context) error {
	o := &r.options
	bind := o.Bind
	if !bind.Addr().IsValid() || bind.Addr().IsUnspecified() {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(o.Addr))
		if err != nil {
			return fmt.Errorf("there is no way to %s: %w", o.Addr, err)
		}
		bind = netip.AddrPortFrom(c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), bind.Port())
		_ = c.Close()
	}
	if bind.Addr().Is4() != o.Addr.Addr().Is4() {
		return fmt.Errorf("%s cannot be called from %s: one is IPv4, the other IPv6", o.Addr, bind.Addr())
	}
	r.layer = transport.New(r, transport.DefaultLimits(), o.Log)
	if o.ClientTLS != nil {
		r.layer.ClientTLS(func(transport.Target) *tls.Config { return o.ClientTLS.Clone() })
	}
	if o.Wire != nil {
		r.layer.Mirror(func(in bool, f transport.Flow, data []byte, at time.Time) {
			if in {
				o.Wire(at, f.Remote, f.Local, data)
			} else {
				o.Wire(at, f.Local, f.Remote, data)
			}
		})
	}
	if err := r.bind(bind); err != nil {
		r.layer.Close()
		return err
	}
	f, err := r.layer.Connect(ctx, r.way(o.Addr))
	if err != nil {
		r.layer.Close()
		return err
	}
	if o.Transport == transport.TLS {
		r.local = f.Local // nobody can connect to us: we have no certificate
	}
	return nil
}

// bind opens the port that calls come from.
func (r *runner) bind(a netip.AddrPort) error {
	ports := []uint16{a.Port()}
	if a.Port() == 0 {
		ports = []uint16{5060, 0}
	}
	var err error
	for _, p := range ports {
		at := netip.AddrPortFrom(a.Addr(), p)
		switch r.options.Transport {
		case transport.UDP:
			var socks []net.PacketConn
			if socks, err = transport.ListenUDP(at, 1); err == nil {
				r.local = socks[0].LocalAddr().(*net.UDPAddr).AddrPort()
				var serve func() error
				if serve, err = r.layer.UDP(socks[0]); err == nil {
					go serve() //nolint:errcheck // ends with the layer
				}
			}
		case transport.TCP:
			var l net.Listener
			if l, err = transport.ListenTCP(at); err == nil {
				r.local = l.Addr().(*net.TCPAddr).AddrPort()
				go r.layer.ServeTCP(l) //nolint:errcheck // ends with the layer
			}
		default:
			r.local = netip.AddrPortFrom(a.Addr(), 0)
			return nil
		}
		if err == nil {
			r.local = netip.AddrPortFrom(r.local.Addr().Unmap(), r.local.Port())
			return nil
		}
	}
	return fmt.Errorf("calling from %s: %w", a, err)
}

func (r *runner) way(to netip.AddrPort) transport.Target {
	host, _, _ := splitPort([]byte(r.options.Target.Host))
	name := string(host)
	if _, err := netip.ParseAddr(name); err == nil || name == "" || name[0] == '[' {
		name = ""
	}
	return transport.Target{Transport: r.options.Transport, Addr: to, Local: r.local, Name: name}
}

func (r *runner) send(to netip.AddrPort, raw []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	f, err := r.layer.Connect(ctx, r.way(to))
	if err != nil {
		return err
	}
	return r.layer.Reply(f, raw)
}

func (r *runner) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / r.options.Speed)
}

// loop places all calls once; false: ctx was done.
func (r *runner) loop(ctx context.Context, calls []*Recording, n int) bool {
	began := time.Now()
	for i, rec := range calls {
		due := began.Add(r.scaled(rec.At.Sub(calls[0].At)))
		if r.options.Rate > 0 {
			due = began.Add(time.Duration(float64(i) / r.options.Rate * float64(time.Second)))
		}
		if !rest(ctx, time.Until(due)) {
			return false
		}
		if r.slots != nil {
			select {
			case r.slots <- struct{}{}:
			case <-ctx.Done():
				return false
			}
		}
		r.place(ctx, rec, n)
	}
	if r.options.Rate > 0 {
		// The rate goes on over the loop's end.
		return rest(ctx, time.Until(began.Add(time.Duration(float64(len(calls))/r.options.Rate*float64(time.Second)))))
	}
	ended := make(chan struct{})
	go func() {
		r.talking.Wait()
		close(ended)
	}()
	<-ended
	return ctx.Err() == nil
}

func rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// place begins a call.
func (r *runner) place(ctx context.Context, rec *Recording, loop int) {
	r.talking.Add(1)
	leave := func(res Result) {
		r.mu.Lock()
		r.told(res)
		r.mu.Unlock()
		if r.slots != nil {
			<-r.slots
		}
		r.talking.Done()
	}
	result := Result{Loop: loop, From: rec.From, To: rec.To, CallID: rec.CallID, Recorded: rec.Flow(), Differences: []Difference{},
		Fingerprint: rec.Fingerprint().ID}
	c, err := r.prepare(rec)
	if err != nil {
		result.Note = err.Error()
		result.Flow = Flow{Responses: []Response{}, Requests: []string{}}
		result.Differences = Compare(result.Recorded, result.Flow)
		leave(result)
		return
	}
	result.Now = c.id.callID
	r.calling.Add(1)
	go func() {
		defer r.calling.Done()
		c.place(ctx, func() {
			result.Flow, result.Note = c.flow, c.note
			if d := Compare(result.Recorded, result.Flow); d != nil {
				result.Differences = d
			}
			result.Timing = Timing(result.Recorded, result.Flow)
			result.Equal = len(result.Differences) == 0 && result.Note == ""
			result.SameFingerprint = c.sameFingerprint
			leave(result)
		})
		r.mu.Lock()
		delete(r.calls, c.id.callID)
		r.mu.Unlock()
	}()
}

// prepare makes a call with all that must be fresh.
func (r *runner) prepare(rec *Recording) (*call, error) {
	s := rec.script()
	if len(s.attempts) == 0 {
		return nil, errors.New("its recording has no INVITE to place it with")
	}
	m, err := openMedia(r.local.Addr(), rec.sections(), r.options.Wire)
	if err != nil {
		return nil, err
	}
	c := &call{run: r, rec: rec, script: s, media: m, inbox: make(chan inbound, 64),
		pracked: map[string]bool{}, served: map[string]*served{}, replied: map[string]int{},
		flow: Flow{Responses: []Response{}, Requests: []string{}}}
	if r.options.User != "" {
		c.auth = auth.NewClient(r.options.User, r.options.Password, "")
	}
	c.id = identity{target: r.options.Target, local: r.local, protocol: r.options.Transport,
		media: mediaPlace{addr: r.local.Addr(), port: m.port}, was: rec.Caller.Addr(), host: called(s.attempts[0].invite.uri())}
	r.mu.Lock()
	defer r.mu.Unlock()
	want := rec.Fingerprint().ID
	// The shape of tokens is kept but for accidents of chance, and short Call-IDs
	// may be drawn twice: then once more.
	for try := range 64 {
		c.id.freshen(s.attempts[0].invite, time.Now(), try > 32)
		if r.used[c.id.callID] {
			continue
		}
		c.firstBranch = c.id.tokens.like(branchOf(s.attempts[0].invite))
		trial := c.id.request(s.attempts[0].invite, nil, c.firstBranch, c.firstNumber(), nil)
		if fingerprint.Of(trial.bytes()).ID == want && !r.used[c.firstBranch] || try > 16 {
			break
		}
	}
	if r.used[c.id.callID] {
		m.close()
		return nil, fmt.Errorf("no fresh Call-ID of the shape of %q is left", rec.CallID)
	}
	r.used[c.id.callID], r.used[c.firstBranch] = true, true
	r.calls[c.id.callID] = c
	return c, nil
}

func (c *call) firstNumber() int {
	n, _ := c.script.attempts[0].invite.cseq()
	return n + c.id.move
}

// freshen draws Call-ID and tag; longer says that those of the recorded length
// are used up.
func (id *identity) freshen(invite *message, now time.Time, longer bool) {
	id.tokens = newTokens(newRand())
	n, _ := invite.cseq()
	old := invite.callID()
	if longer {
		old = "10000000" + old
	}
	id.callID, id.move = id.tokens.callID(old, n, now, id.was, id.local.Addr())
	id.tag = id.tokens.like(invite.tag("From"))
}

// branch draws a branch that no other request of the run has: those of some
// recorded shapes are short.
func (r *runner) branch(k *tokens, like string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := k.like(like)
	for try := 0; r.used[b]; try++ {
		if try > 8 {
			like += "0"
		}
		b = k.like(like)
	}
	if len(r.used) < 1<<20 {
		r.used[b] = true
	}
	return b
}

// Admit implements transport.Handler: only the target may connect.
func (r *runner) Admit(_ string, _, remote netip.AddrPort) bool {
	return remote.Addr().Unmap() == r.options.Addr.Addr().Unmap()
}

// Refused implements transport.Handler.
func (r *runner) Refused(string) {}

// Receive implements transport.Handler.
func (r *runner) Receive(in transport.Received) {
	if transport.KeepAlive(in.Data) {
		return
	}
	m, err := parse(slices.Clone(in.Data))
	if err != nil {
		return
	}
	r.mu.Lock()
	c := r.calls[m.callID()]
	r.mu.Unlock()
	if c == nil {
		if m.code() == 0 && m.method() != "ACK" {
			r.layer.ReplyTo(in.Flow, replyTo(m, in.Flow.Remote), refuseStray(m, in.Flow.Remote)) //nolint:errcheck // nobody's loss
		}
		return
	}
	select {
	case c.inbox <- inbound{in.Flow, m}:
	default: // far more than a call has; what matters comes again
	}
}
