package door

import (
	"errors"
	"net/netip"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/transport"
	"github.com/portero/portero/sip/upstream"
)

// routedHere says whether a request's first route is this door: it belongs to a
// dialog that the door record-routed as a proxy.
func (d *Door) routedHere(req *sipmsg.Request) bool {
	r := req.Route()
	return r != nil && d.is(&r.Address)
}

// proxy is the stateful proxy for everything that is not a call (RFC 3261
// section 16). Requests of a trunk go to the configured PBX, requests of the
// PBX to the address they name, if the configuration names it too.
func (d *Door) proxy(req *sipmsg.Request, tx *transaction.Server, source netip.AddrPort) {
	if req.IsAck() {
		d.deps.Metrics.SIPDropped("stray_ack")
		return
	}
	log := d.log.With(zap.String("call_id", callIDOf(req)), zap.String("method", string(req.Method)))
	// Section 16.3.
	switch strings.ToLower(req.Recipient.Scheme) {
	case "sip", "sips", "tel", "urn":
	default:
		d.answer(req, tx, 416, "Unsupported URI Scheme")
		return
	}
	mf := req.MaxForwards()
	if mf != nil && mf.Val() == 0 {
		d.answer(req, tx, 483, "Too Many Hops")
		return
	}
	for _, v := range headersOf(req, "Via") {
		if v, ok := v.(*sipmsg.ViaHeader); ok && d.isOwnVia(v) {
			d.answer(req, tx, 482, "Loop Detected")
			return
		}
	}
	if o := options(req, "Proxy-Require"); len(o) > 0 {
		d.answer(req, tx, 420, "Bad Extension", sipmsg.NewHeader("Unsupported", strings.Join(o, ", ")))
		return
	}
	next, at, code := d.proxyTarget(req, tx.Flow())
	if code == 0 && isSIPS(req, tx.Flow().Transport) && !transport.Secure(next.transport) {
		code = 480
	}
	if code == 480 {
		log.Info("a request for a sips URI is not relayed: its next hop is not over TLS", zap.String("target", req.Recipient.String()))
		d.answer(req, tx, code, "Temporarily Unavailable", sipsNotAllowed())
		return
	}
	if code == 430 { // RFC 5626 section 5.3.1
		d.answer(req, tx, code, "Flow Failed")
		return
	}
	if code == 503 {
		log.Warn("a request is not relayed: no target of the PBX has an address", zap.String("destination", d.cfg.Proxy))
		d.deps.Metrics.SIPRefused(policy.ReasonNoUpstream)
		d.answer(req, tx, code, "Service Unavailable", reasonHeader(code, policy.ReasonNoUpstream))
		return
	}
	if code != 0 {
		log.Info("a request is not relayed: its target is neither a trunk nor a PBX",
			zap.String("target", req.Recipient.String()), zap.Stringer("source", source))
		d.answer(req, tx, 403, "Forbidden")
		return
	}
	p := &passed{d: d, req: req, tx: tx, log: log, at: at, to: cameBy(tx.Flow())}
	p.send(next)
}

// passed is a request that was proxied: its responses go back (RFC 3261 section
// 16.7).
type passed struct {
	d   *Door
	req *sipmsg.Request
	tx  *transaction.Server
	log *zap.Logger

	from, to flow // of the responses

	at    *upstream.Attempt  // the target, when it was the door's choice
	tried []upstream.Address // those before
}

// send sends the request on.
func (p *passed) send(next flow) {
	out := p.d.forwarded(p.req, p.tx.Flow(), next)
	p.from = next
	p.d.crossing(out, p.to, p.from)
	if _, err := p.d.startBy(next.connection, out, p.d.cfg.AnswerTimeout, p); err != nil {
		p.Failed(err)
	}
}

// Response implements transaction.ClientUser.
func (p *passed) Response(res *sipmsg.Response) {
	if res.StatusCode == 100 {
		return
	}
	if res.StatusCode == 503 && p.elsewhere(upstream.Unavailable, retryAfterOf(res)) {
		return
	}
	p.lives(res)
	res.RemoveHeader("Via") // ours, the topmost
	if res.Via() == nil {
		p.log.Info("a response has no Via but ours and is dropped", zap.Int("status", res.StatusCode))
		if !res.IsProvisional() {
			p.d.answer(p.req, p.tx, 502, "Bad Gateway")
		}
		return
	}
	p.d.crossing(res, p.from, p.to)
	p.d.respond(p.tx, res)
}

// Failed implements transaction.ClientUser.
func (p *passed) Failed(err error) {
	p.log.Info("no response from the next hop", zap.Error(err))
	if p.failed(err) {
		return
	}
	if errors.Is(err, transaction.ErrTransport) { // RFC 3261 section 16.9
		p.d.answer(p.req, p.tx, 503, "Service Unavailable")
		return
	}
	p.d.answer(p.req, p.tx, 408, "Request Timeout")
}

func (d *Door) isOwnVia(v *sipmsg.ViaHeader) bool {
	for _, h := range d.hops {
		if trimBrackets(v.Host) == trimBrackets(h.host) && v.Port == h.port {
			return true
		}
	}
	return false
}

// proxyTarget says where a request goes (RFC 3261 sections 16.4 to 16.6), or the
// status that it is answered. What a trunk sends goes to the PBX and nowhere
// else, whatever its routes and its Request-URI say.
func (d *Door) proxyTarget(req *sipmsg.Request, from transport.Flow) (next flow, at *upstream.Attempt, code int) {
	_, fromTrunk := d.trunkBy(from)
	token, routed := d.flowRouted(req)
	for d.routedHere(req) { // two, where the sides have different sockets
		req.RemoveHeader("Route")
	}
	if routed && !fromTrunk {
		f, code := d.alongFlow(token)
		return f, nil, code
	}
	to := func(u *sipmsg.Uri) (flow, *upstream.Attempt, int) {
		over, hostport, ok := d.reachable(u)
		if !ok || fromTrunk && !d.pbxAt(u) {
			return flow{}, nil, 403
		}
		return flowTo(over, hostport), nil, 0
	}
	if r := req.Route(); r != nil {
		return to(&r.Address)
	}
	if tag, has := req.To().Params.Get("tag"); has && tag != "" { // in a dialog the Request-URI is the peer's Contact
		if next, _, code = to(&req.Recipient); code == 0 {
			return next, nil, code
		}
	}
	if fromTrunk {
		at, err := d.proxied(d.cfg.Proxy, callIDOf(req), isSIPS(req, from.Transport))
		if errors.Is(err, upstream.ErrInsecure) {
			return flow{}, nil, 480
		}
		if err != nil {
			return flow{}, nil, 503
		}
		if d.is(&req.Recipient) { // we are responsible for it: the PBX is its place (section 16.5)
			req.Recipient.Host, req.Recipient.Port = at.URI.Host, at.URI.Port
		}
		return flow{transport: at.Address.Transport, addr: at.Address.AddrPort}, at, 0
	}
	return to(&req.Recipient)
}

// reachable resolves a URI to an address that the configuration names.
func (d *Door) reachable(u *sipmsg.Uri) (over, hostport string, ok bool) {
	a, err := netip.ParseAddr(trimBrackets(u.Host))
	if err != nil || !d.knows(a) || d.is(u) {
		return "", "", false
	}
	over, port, ok := place(u, transport.UDP)
	if !ok {
		return "", "", false
	}
	return over, netip.AddrPortFrom(a, uint16(port)).String(), true
}

// forwarded is the copy of a request that goes on (RFC 3261 section 16.6).
func (d *Door) forwarded(req *sipmsg.Request, came transport.Flow, to flow) *sipmsg.Request {
	over, hostport := to.transport, to.addr.String()
	out := req.Clone()
	for out.RemoveHeader("Via") {
	}
	h := d.hopFor(over, hostport)
	vias := headersOf(req, "Via")
	for i := len(vias) - 1; i >= 0; i-- {
		out.PrependHeader(sipmsg.HeaderClone(vias[i]))
	}
	out.PrependHeader(h.via(over))
	switch req.Method { // these open dialogs whose later requests must come this way too
	case sipmsg.SUBSCRIBE, sipmsg.NOTIFY, sipmsg.REFER:
		if tag, ok := req.To().Params.Get("tag"); !ok || tag == "" {
			d.recordRoute(out, d.hopAt(came.Transport, came.Local), h, cameBy(came), to)
		}
	case sipmsg.REGISTER:
		addPath(out, h.route(d.between(cameBy(came), to), over))
	}
	hops := uint64(70)
	if mf := req.MaxForwards(); mf != nil {
		hops = uint64(mf.Val()) - 1
	}
	out.RemoveHeader("Max-Forwards")
	n := sipmsg.MaxForwardsHeader(hops)
	out.AppendHeader(&n)
	out.SetBody(req.Body())
	out.SetTransport(over)
	out.SetDestination(hostport)
	h.leave(out, over)
	return out
}
