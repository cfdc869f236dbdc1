package door

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/transport"
	"github.com/portero/portero/sip/upstream"
)

// OutboundRule lets calls of the PBX to some numbers out by a trunk.
type OutboundRule struct {
	// Prefix is what the dialled number begins with. Default: none.
	Prefix string `yaml:"prefix"`
	// Pattern is a regular expression (RE2) that the whole dialled number
	// matches. Default: none; a rule has a prefix, a pattern, or both.
	Pattern string `yaml:"pattern"`
	// Trunk is the trunk that the call goes out by; it has a uri.
	Trunk string `yaml:"trunk"`
}

// way is an OutboundRule that is ready for use.
type way struct {
	prefix  string
	pattern *regexp.Regexp // nil: any
	trunk   Trunk
}

func (w way) fits(number string) bool {
	return strings.HasPrefix(number, w.prefix) && (w.pattern == nil || w.pattern.MatchString(number))
}

// whole makes a pattern match whole numbers only.
func whole(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	return regexp.Compile("^(?:" + pattern + ")$")
}

// checkOutbound reports the mistakes in trunks' URIs and in outbound.
func (c Config) checkOutbound(fault func(path, format string, args ...any)) {
	uris := map[string]bool{}
	for i, t := range c.Trunks {
		if t.URI == "" {
			continue
		}
		uris[t.Name] = true
		at := fmt.Sprintf("trunks[%d].uri", i)
		sound := true
		upstream.Target{URI: t.URI}.Check(transports, func(_, format string, args ...any) {
			sound = false
			fault(at, format, args...)
		})
		if !sound {
			continue
		}
		a, named := t.host()
		if named { // its addresses are the trunk's
			continue
		}
		if _, ok := (Config{Trunks: []Trunk{t}}).TrunkOf(a); !ok {
			fault(at, "%s is not among the addresses of trunk %q", a, t.Name)
		}
	}
	for i, r := range c.Outbound {
		at := fmt.Sprintf("outbound[%d]", i)
		if r.Prefix == "" && r.Pattern == "" {
			fault(at, "the rule would let every number out unsaid; allowed: a prefix, a pattern (\".*\" is every number), or both")
		}
		if _, err := whole(r.Pattern); err != nil {
			fault(at+".pattern", "%v", err)
		}
		if !uris[r.Trunk] {
			fault(at+".trunk", "%q is no trunk with a uri", r.Trunk)
		}
	}
}

// host is the address in the trunk's uri, or named: a name is there.
func (t Trunk) host() (a netip.Addr, named bool) {
	to, err := parseTarget(t.URI)
	if err != nil {
		return a, false
	}
	a, err = netip.ParseAddr(trimBrackets(to.uri.Host))
	return a, err != nil
}

// ways makes the outbound rules of a checked configuration ready for use.
func (c Config) ways() ([]way, error) {
	var out []way
	for _, r := range c.Outbound {
		for _, t := range c.Trunks {
			if t.Name != r.Trunk {
				continue
			}
			pattern, err := whole(r.Pattern)
			if err != nil {
				return nil, err
			}
			out = append(out, way{prefix: r.Prefix, pattern: pattern, trunk: t})
		}
	}
	return out, nil
}

// wayFor is the trunk by which a number may be called.
func (d *Door) wayFor(number string) (way, bool) {
	for _, w := range d.ways {
		if w.fits(number) {
			return w, true
		}
	}
	return way{}, false
}

// outbound is where a call of the PBX goes.
type outbound struct {
	name    string         // of the trunk
	place   *upstream.Pool // where the trunk is; nil: target
	target  target
	contact bool     // the Request-URI is a phone's Contact and stays as it is
	web     *browser // the phone is one; nil: it is not
}

// inviteOut starts a call of the PBX: by the trunk that a rule names for the
// number, whatever host its Request-URI or Route shows, and else nowhere.
func (d *Door) inviteOut(in transaction.Incoming, tx *transaction.Server, log *zap.Logger) {
	if token, ok := d.flowRouted(in.Req); ok {
		d.inviteFlow(in, tx, log, token)
		return
	}
	number := dialled(in.Req)
	w, ok := d.wayFor(number)
	if !ok {
		log.Info("a call of the PBX is refused: no outbound rule lets that number out", zap.String("number", number), zap.Stringer("source", in.Flow.Remote))
		d.answer(in.Req, tx, 403, "Forbidden")
		return
	}
	d.begin(in, tx, log, func(c *call) {
		c.trunk = w.trunk
		c.out = &outbound{name: w.trunk.Name, place: d.placeOf(w.trunk.Name)}
	})
}

// arriveOut carries an outbound call to its trunk. Nobody judges it: its caller
// is the PBX.
func (c *call) arriveOut() {
	req := c.caller.invite
	c.caller.auth = nil // the trunk's credentials are not the PBX's
	c.rec.From, c.rec.To = c.caller.remote.uri.User, dialled(req)
	c.rec.Direction, c.rec.Trunk, c.rec.Source, c.rec.Transport = store.Outbound, c.out.name, c.source.String(), c.caller.transport
	c.rec.InviteAt = store.At(c.in.at)
	offer, err := c.caller.read(bodyOf(req))
	if err != nil {
		c.log.Info("the offer cannot be read", zap.Error(err))
		c.refuse(488, "Not Acceptable Here: "+err.Error())
		return
	}
	c.caller.passesKeys(offer)
	if c.reachesBrowser() {
		if offer != nil && len(speakable(anchored(offer)).Formats) == 0 {
			c.refuse(488, "Not Acceptable Here: "+errNoG711.Error())
			return
		}
		if c.out.web, err = c.newBrowser(); err != nil {
			c.log.Error("a browser cannot be called", zap.Error(err))
			c.refuse(503, "Service Unavailable", retryAfter())
			return
		}
	}
	if c.session, err = c.d.deps.Relay.Open(c.rec.CallID, relay.Options{Outbound: true, IPv6: describesIPv6(offer, c.source), FarCarrier: c.out.web.carrier()}); err != nil {
		c.out.web.close()
		c.log.Error("no media ports", zap.Error(err))
		c.refuse(503, "Service Unavailable", sipmsg.NewHeader("Retry-After", "5"))
		return
	}
	c.log.Info("outbound call", zap.String("from", c.rec.From), zap.String("to", c.rec.To), zap.String("trunk", c.out.name))
	c.caller.settleMedia(offer)
	if c.far, err = c.dialOut(); err == nil {
		return
	}
	if errors.Is(err, upstream.ErrInsecure) {
		c.refuseInsecure(c.out.name)
		return
	}
	c.log.Error("a trunk cannot be called", zap.String("trunk", c.out.name), zap.Error(err))
	c.refuse(503, "Service Unavailable")
}

// dialOut calls the trunk: the phone at the end of a flow, or what its uri leads to.
func (c *call) dialOut() (*leg, error) {
	if c.out.place != nil {
		return c.try(&search{dest: c.out.name, place: c.out.place, leg: c.outLeg})
	}
	if c.sips && !transport.Secure(c.out.target.transport) {
		return nil, upstream.ErrInsecure
	}
	return c.place(c.outLeg(c.out.target), nil)
}

func (c *call) outLeg(t target) *leg {
	l := c.newFar(c.out.name, t)
	l.auth = c.trunk.Credentials.client()
	if c.out.contact {
		l.target, l.pinned = *c.caller.invite.Recipient.Clone(), true
	}
	l.web = c.out.web
	l.trusts(c.trunk)
	return l
}
