package door

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/portero/portero/sip/upstream"
)

// transports are those that the door can send by, the ones it likes best first.
var transports = []string{"UDP", "TCP", "TLS"}

// all are the destination's targets, whichever way it is written.
func (d Destination) all() []upstream.Target {
	if d.URI != "" {
		return append([]upstream.Target{{URI: d.URI}}, d.Targets...)
	}
	return d.Targets
}

// String tells the targets, for `portero check`.
func (d Destination) String() string {
	var out []string
	for _, t := range d.all() {
		s := t.URI
		if len(d.Targets) > 0 {
			s += fmt.Sprintf(" (priority %d, weight %d)", t.Priority, max(t.Weight, 1))
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (d Destination) check(fault func(path, format string, args ...any)) {
	switch {
	case d.URI != "" && len(d.Targets) > 0:
		fault(".uri", "stands beside targets; allowed: one of the two")
	case d.URI != "":
		upstream.Target{URI: d.URI}.Check(transports, func(path, format string, args ...any) { fault("."+path, format, args...) })
	case len(d.Targets) == 0:
		fault(".uri", "no target; allowed: a SIP URI like sip:192.0.2.10:5060;transport=udp, or targets")
	}
	if d.Redirects != "" && d.Redirects != redirectsPass && d.Redirects != redirectsFollow {
		fault(".redirects", "%q is not known; allowed: pass, follow", d.Redirects)
	}
	checkSRTP(".srtp", d.SRTP, fault, srtpOptional, srtpRequired, srtpOff)
	seen := map[string]bool{}
	for i, t := range d.Targets {
		at := fmt.Sprintf(".targets[%d].", i)
		t.Check(transports, func(path, format string, args ...any) { fault(at+path, format, args...) })
		if t.URI != "" && seen[t.URI] {
			fault(at+"uri", "%q is there twice", t.URI)
		}
		seen[t.URI] = true
	}
}

// newUpstream builds the book of targets and looks their names up for the first
// time. A name without an address does not keep the door shut: other targets
// may have one, and DNS may come back.
func newUpstream(cfg Config, deps Deps) (*upstream.Pool, error) {
	destinations := map[string][]upstream.Target{}
	for name, d := range cfg.Destinations {
		destinations[name] = d.all()
	}
	return newPool(cfg, deps, destinations)
}

// newPlace is the book of where a trunk's uri leads. A carrier is not asked for
// its health: it has not asked for that.
func newPlace(cfg Config, deps Deps, t Trunk) (*upstream.Pool, error) {
	cfg.Upstream.Health.Interval = 0
	return newPool(cfg, deps, map[string][]upstream.Target{t.Name: {{URI: t.URI}}})
}

func newPool(cfg Config, deps Deps, destinations map[string][]upstream.Target) (*upstream.Pool, error) {
	u := upstream.Deps{Log: deps.Log, Transports: transports, Resolver: deps.Resolver}
	for _, s := range cfg.Listen {
		l, err := parseListen(s)
		if err != nil {
			return nil, err
		}
		u.IPv4 = u.IPv4 || l.addr.Addr().Unmap().Is4()
		u.IPv6 = u.IPv6 || !l.addr.Addr().Unmap().Is4()
	}
	p, err := upstream.New(cfg.Upstream, destinations, u)
	if err != nil {
		return nil, err
	}
	p.Resolve(context.Background())
	return p, nil
}

// Upstream lists the targets and how they fare.
func (d *Door) Upstream() []upstream.TargetStatus { return d.upstream.Status(time.Now()) }
