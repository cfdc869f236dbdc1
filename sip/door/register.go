package door

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/auth"
	"github.com/portero/portero/sip/registration"
	"github.com/portero/portero/sip/upstream"
)

// Register is the door's own registration at a carrier that wants one (RFC 3261
// section 10). Its credentials are the trunk's; REGISTER goes to the trunk's uri.
type Register struct {
	// AOR is the address of record, sip:USER@DOMAIN: who the carrier calls, and
	// the domain of its registrar. Empty: no registration. Default: none.
	AOR string `yaml:"aor"`
	// Expires is how long the carrier is asked to remember the door, 10s to 24h;
	// it is refreshed after 80 to 90 % of what the carrier grants. Default: 1h.
	Expires time.Duration `yaml:"expires"`
}

func (r Register) uri() (u sipmsg.Uri, err error) {
	if err := sipmsg.ParseUri(r.AOR, &u); err != nil || u.Scheme != "sip" || u.User == "" || u.Host == "" || strings.ContainsAny(r.AOR, "<> \t\r\n\"") {
		return u, fmt.Errorf("%q is not a SIP URI with a user, like sip:+15550100@carrier.example", r.AOR)
	}
	return u, nil
}

func (r Register) expires() time.Duration {
	if r.Expires == 0 {
		return time.Hour
	}
	return r.Expires
}

func (r Register) check(t Trunk, at string, fault func(path, format string, args ...any)) {
	if r == (Register{}) {
		return
	}
	if _, err := r.uri(); err != nil {
		fault(at+".aor", "%v", err)
	}
	if err := registration.Refused(r.expires()); err != nil {
		fault(at+".expires", "%v", err)
	}
	if t.URI == "" {
		fault(at, "trunk %q has no uri, and so no place to register at", t.Name)
	}
}

// registrar is one registration under way.
type registrar struct {
	d       *Door
	trunk   Trunk
	log     *zap.Logger
	aor     sipmsg.Uri
	callID  string
	tag     string
	cseq    uint32
	auth    *auth.Client
	machine *registration.Machine
	open    bool // the last REGISTER has no answer: it may count
}

// lineParam marks the door's registered Contacts with their trunk: a carrier
// with several accounts calls all of them from the same address.
const lineParam = "line"

// line is the same for a trunk from start to start, so that a new registration
// replaces the one before.
func (d *Door) line(trunk string) string {
	return base64.RawURLEncoding.EncodeToString(d.signature([]byte("line " + trunk)))
}

// lineTrunk is the trunk whose registered Contact is called, if the source is an
// address of it; else the one of the address.
func (d *Door) lineTrunk(req *sipmsg.Request, source netip.Addr, byAddress Trunk) Trunk {
	v, has := req.Recipient.UriParams.Get(lineParam)
	if !has {
		return byAddress
	}
	for _, t := range d.trunks {
		if t.Register.AOR == "" || d.line(t.Name) != v {
			continue
		}
		if t.has(source) {
			return t.Trunk
		}
	}
	return byAddress
}

// register keeps the door registered at its carriers until ctx ends, and then
// tells them that it is gone. The group is done when they know.
func (d *Door) register(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, t := range d.trunks {
		if t.Register.AOR == "" {
			continue
		}
		r, err := d.newRegistrar(t.Trunk)
		if err != nil {
			d.log.Error("a trunk cannot be registered at", zap.String("trunk", t.Name), zap.Error(err))
			continue
		}
		wg.Go(func() { r.run(ctx) })
	}
	return &wg
}

func (d *Door) newRegistrar(t Trunk) (*registrar, error) {
	aor, err := t.Register.uri()
	if err != nil {
		return nil, err
	}
	return &registrar{d: d, trunk: t, aor: aor, callID: token(20) + "@portero", tag: token(12), cseq: uint64to31(rand.Uint64()),
		log: d.log.With(zap.String("trunk", t.Name)), auth: t.Credentials.client(), machine: registration.New(t.Register.expires(), rand.Float64)}, nil
}

// registerWithin bounds the wait for a registrar, and unregisterWithin that for
// its answer when the door closes.
const (
	registerWithin   = 40 * time.Second // beyond timer F
	unregisterWithin = 2 * time.Second
)

func (r *registrar) run(ctx context.Context) {
	r.log = r.log.With(zap.String("call_id", r.callID))
	was := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.leave()
			return
		case <-timer.C:
		}
		expires := r.machine.Expires()
		result := r.send(ctx, expires, registerWithin)
		if r.open = ctx.Err() != nil; r.open {
			continue
		}
		now := time.Now()
		wait, err := r.machine.Done(now, result)
		is := r.machine.Registered(now)
		r.d.deps.Metrics.Registered(r.trunk.Name, is)
		switch {
		case err != nil:
			r.log.Error("registration failed", zap.Error(err), zap.Bool("still_registered", is), zap.Duration("again_in", wait))
		case is && !was:
			r.log.Info("registered", zap.String("aor", r.aor.Addr()), zap.Duration("refreshed_in", wait))
		}
		was = is
		timer.Reset(wait)
	}
}

// leave takes the registration back (RFC 3261 section 10.2.2).
func (r *registrar) leave() {
	if !r.open && !r.machine.Registered(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), unregisterWithin)
	defer cancel()
	for range 2 { // the second answers a challenge
		result := r.send(ctx, 0, unregisterWithin)
		if result.Status != 401 && result.Status != 407 || result.Challenge != nil {
			r.log.Info("unregistered", zap.Int("status", result.Status))
			break
		}
	}
	r.d.deps.Metrics.Registered(r.trunk.Name, false)
}

// send sends one REGISTER and waits for what it comes to.
func (r *registrar) send(ctx context.Context, expires, within time.Duration) registration.Result {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	at, err := r.d.pickFor(r.d.placeOf(r.trunk.Name), r.trunk.Name, r.callID, false)
	if err != nil {
		return registration.Result{Err: err}
	}
	at.Done()
	req, contact := r.request(expires, at.Address.Transport, at.Address.AddrPort.String())
	if r.auth != nil {
		if err := r.auth.Sign(req); err != nil {
			return registration.Result{Err: err}
		}
	}
	res, err := r.d.ask(ctx, req)
	if err != nil {
		at.Failed(upstream.Silent, 0, time.Now()) // another of its addresses, if it has more
		return registration.Result{Err: err}
	}
	at.Answered(time.Now())
	out := registration.Result{Status: res.StatusCode, RetryAfter: retryAfterOf(res), Expires: granted(res, contact),
		MinExpires: secondsIn(res, "Min-Expires")}
	if res.StatusCode == 401 || res.StatusCode == 407 {
		out.Challenge = auth.ErrNotOurs
		if r.auth != nil {
			out.Challenge = r.auth.Challenged(res, req)
		}
	}
	return out
}

// request makes the next REGISTER, to an address.
func (r *registrar) request(expires time.Duration, over, hostport string) (*sipmsg.Request, sipmsg.Uri) {
	h := r.d.hopFor(over, hostport)
	req := sipmsg.NewRequest(sipmsg.REGISTER, sipmsg.Uri{Scheme: "sip", Host: r.aor.Host, Port: r.aor.Port})
	req.AppendHeader(h.via(over))
	hops := sipmsg.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	from := &sipmsg.FromHeader{Address: *r.aor.Clone()}
	from.Params.Add("tag", r.tag)
	req.AppendHeader(from)
	req.AppendHeader(&sipmsg.ToHeader{Address: *r.aor.Clone()})
	id := sipmsg.CallIDHeader(r.callID)
	req.AppendHeader(&id)
	r.cseq++
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: r.cseq, MethodName: sipmsg.REGISTER})
	contact := h.contact(r.aor.User, over)
	contact.UriParams.Add(lineParam, r.d.line(r.trunk.Name))
	req.AppendHeader(&sipmsg.ContactHeader{Address: contact})
	req.AppendHeader(sipmsg.NewHeader("Expires", strconv.Itoa(int(expires/time.Second))))
	req.AppendHeader(sipmsg.NewHeader("Allow", allow))
	req.SetBody(nil)
	req.SetTransport(over)
	req.SetDestination(hostport)
	h.leave(req, over)
	return req, contact
}

// granted is how long the registrar remembers a Contact (RFC 3261 section
// 10.2.4), 0: it does not say.
func granted(res *sipmsg.Response, contact sipmsg.Uri) time.Duration {
	line, _ := contact.UriParams.Get(lineParam)
	for _, h := range headersOf(res, "Contact") {
		c, ok := h.(*sipmsg.ContactHeader)
		if !ok {
			continue
		}
		theirs, has := c.Address.UriParams.Get(lineParam)
		if has && theirs != line || !has && (c.Address.User != contact.User || !strings.EqualFold(c.Address.Host, contact.Host)) {
			continue // somebody else at the same address of record
		}
		if v, ok := c.Params.Get("expires"); ok {
			if n, err := strconv.ParseUint(v, 10, 31); err == nil {
				return time.Duration(n) * time.Second
			}
		}
	}
	return secondsIn(res, "Expires")
}

// secondsIn reads a header that is a number of seconds; 0: there is none.
func secondsIn(m *sipmsg.Response, name string) time.Duration {
	h := headerOf(m, name)
	if h == nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// ask sends a request outside any dialog and waits for its final response.
func (d *Door) ask(ctx context.Context, req *sipmsg.Request) (*sipmsg.Response, error) {
	a := &asked{res: make(chan *sipmsg.Response, 1), failed: make(chan error, 1)}
	tx, err := d.start(req, d.cfg.AnswerTimeout, a)
	if err != nil {
		return nil, err
	}
	select {
	case res := <-a.res:
		return res, nil
	case err := <-a.failed:
		return nil, err
	case <-ctx.Done():
		tx.Drop()
		return nil, errSilent
	}
}

// asked waits for what a request comes to.
type asked struct {
	res    chan *sipmsg.Response
	failed chan error
}

// Response implements transaction.ClientUser.
func (a *asked) Response(res *sipmsg.Response) {
	if res.IsProvisional() {
		return
	}
	select {
	case a.res <- res:
	default:
	}
}

// Failed implements transaction.ClientUser.
func (a *asked) Failed(err error) {
	select {
	case a.failed <- err:
	default:
	}
}
