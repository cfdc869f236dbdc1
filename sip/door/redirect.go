package door

import (
	"cmp"
	"slices"
	"strconv"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transport"
)

const (
	redirectsPass   = "pass"
	redirectsFollow = "follow"
)

// maxRedirects is how many other places one call may be sent to by 3xx
// responses, all together.
const maxRedirects = 5

// redirection is what a call has been told by 3xx responses so far (RFC 3261
// section 8.1.3.4).
type redirection struct {
	waiting []sipmsg.Uri    // not tried yet, the best first
	told    map[string]bool // every place ever named
	tried   int
	last    *sipmsg.Response // the last 3xx
}

// redirect follows a 3xx of a destination that may redirect, and after the
// refusal of one place that it named the next. It returns false when there is
// nothing more to try, and the response is the caller's to know. A 6xx ends it
// all.
func (c *call) redirect(l *leg, res *sipmsg.Response) bool {
	if c.d.cfg.Destinations[l.dest].Redirects != redirectsFollow || c.out != nil || c.ending ||
		l != c.far && l != c.next || res.StatusCode >= 600 {
		return false
	}
	moved := res.StatusCode >= 300 && res.StatusCode < 400 && res.StatusCode != 305 // 305 names a proxy, and nobody uses it
	r := c.redirected
	if r == nil {
		if !moved {
			return false
		}
		r = &redirection{told: map[string]bool{}}
		c.redirected = r
	}
	if moved {
		r.learn(l, res)
	}
	for len(r.waiting) > 0 && r.tried < maxRedirects {
		u := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.tried++
		over, hostport, ok := c.d.reachable(&u)
		if !ok || !c.d.pbxAt(&u) {
			c.log.Info("a redirection is not followed: the configuration names no such PBX", zap.String("contact", u.Addr()))
			continue
		}
		if c.sips && !transport.Secure(over) {
			c.log.Info("a redirection of a sips call is not followed: it leads away from TLS", zap.String("contact", u.Addr()))
			continue
		}
		next := c.newFar(l.dest, target{uri: u, transport: over, hostport: hostport})
		next.target = u
		next.unsearched = c.takes(next)
		if _, err := c.place(next, r.carry); err != nil {
			next.gone(503)
			c.log.Error("a redirection cannot be followed", zap.Error(err))
			return false
		}
		c.old = append(c.old, l)
		c.endBranches(l, "it was redirected")
		c.dropMedia(l)
		if l == c.next {
			c.next = next
		} else {
			c.far = next
		}
		c.log.Info("following a redirection", zap.String("destination", l.dest), zap.String("contact", u.Addr()), zap.Int("status", res.StatusCode))
		return true
	}
	return false
}

// learn takes the places that a 3xx names, by their q (RFC 3261 section 20.10).
func (r *redirection) learn(l *leg, res *sipmsg.Response) {
	r.last = res
	type place struct {
		uri sipmsg.Uri
		q   float64
	}
	var places []place
	for _, h := range headersOf(res, "Contact") {
		contact, ok := h.(*sipmsg.ContactHeader)
		if !ok || contact.Address.Wildcard {
			continue
		}
		p := place{uri: *contact.Address.Clone(), q: 1}
		p.uri.Headers = nil
		if l.c.d.is(&p.uri) { // the door, as the PBX knows it: the PBX itself is meant
			p.uri.Host, p.uri.Port, p.uri.UriParams = l.target.Host, l.target.Port, l.target.UriParams
		}
		if v, has := contact.Params.Get("q"); has {
			if q, err := strconv.ParseFloat(v, 64); err == nil {
				p.q = q
			}
		}
		if key := p.uri.String(); !r.told[key] && len(r.told) < 4*maxRedirects {
			r.told[key] = true
			places = append(places, p)
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(b.q, a.q) })
	var uris []sipmsg.Uri
	for _, p := range places {
		uris = append(uris, p.uri)
	}
	r.waiting = append(uris, r.waiting...)
}

// carry keeps what the redirecting PBX says of the call's history (RFC 7044, RFC
// 5806): History-Info is told whole, a Diversion is one more.
func (r *redirection) carry(req *sipmsg.Request) {
	if hs := headersOf(r.last, "History-Info"); len(hs) > 0 {
		for req.RemoveHeader("History-Info") {
		}
		for _, h := range hs {
			req.AppendHeader(sipmsg.HeaderClone(h))
		}
	}
	before := headersOf(req, "Diversion")
	for req.RemoveHeader("Diversion") {
	}
	for _, h := range append(headersOf(r.last, "Diversion"), before...) {
		req.AppendHeader(sipmsg.NewHeader("Diversion", h.Value()))
	}
}
