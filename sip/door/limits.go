package door

import (
	"math"
	"net/netip"
	"strconv"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/identity"
	"github.com/portero/portero/sip/limit"
	"github.com/portero/portero/sip/transaction"
)

// limited counts a trunk's new call. If it is over a limit, the INVITE is
// answered and the call must not begin; otherwise the Attempt is the call's to
// give back. Emergency calls and callers on allow and relay lists pass, but they
// count.
func (d *Door) limited(in transaction.Incoming, tx *transaction.Server, trunk Trunk, log *zap.Logger) (limit.Attempt, bool) {
	caller := ""
	if d.limits.Callers() {
		if who := identity.Of(in.Raw, trunk.TrustIdentity); !who.Anonymous {
			caller = who.User
		}
	}
	source := in.Flow.Remote
	attempt, v := d.limits.Call(source.Addr(), trunk.Name, caller, in.At)
	if v.Over == limit.Nobody || d.privileged(in.Req, in.Raw, trunk) {
		return attempt, false
	}
	log.Info("a call was refused: too many", zap.String("of", string(v.Over)), zap.String("trunk", trunk.Name), zap.Stringer("source", source))
	d.over(in.Req, tx, v)
	return limit.Attempt{}, true
}

// limitedRequest does the same for a request of a trunk outside dialogs that is
// no call.
func (d *Door) limitedRequest(req *sipmsg.Request, tx *transaction.Server, source netip.AddrPort, at time.Time) bool {
	trunk, ok := d.trunkBy(tx.Flow())
	if !ok {
		return false
	}
	v := d.limits.Request(source.Addr(), trunk.Name, at)
	if v.Over == limit.Nobody {
		return false
	}
	d.over(req, tx, v)
	return true
}

// over refuses a request. 503 tells a carrier to leave the whole door alone for a
// while (RFC 3261 section 21.5.4), so one caller's excess is answered with 480.
func (d *Door) over(req *sipmsg.Request, tx *transaction.Server, v limit.Verdict) {
	status, phrase, code := 503, "Service Unavailable", policy.ReasonSourceLimit
	switch v.Over {
	case limit.Trunk:
		code = policy.ReasonTrunkLimit
	case limit.Caller:
		status, phrase, code = 480, "Temporarily Unavailable", policy.ReasonCallerLimit
	}
	d.deps.Metrics.SIPRefused(code)
	d.answer(req, tx, status, phrase,
		sipmsg.NewHeader("Retry-After", strconv.Itoa(max(int(math.Ceil(v.Retry.Seconds())), 1))),
		reasonHeader(status, code))
}

// privileged says whether an INVITE is one that no limit holds.
func (d *Door) privileged(req *sipmsg.Request, raw []byte, trunk Trunk) bool {
	who := identity.Of(raw, trunk.TrustIdentity)
	f := policy.Facts{From: who.User, To: req.Recipient.User, Emergency: who.Emergency}
	if f.To == "" {
		f.To = req.Recipient.Raw() // of a tel URI
	}
	if b := d.bench.Load(); b != nil && b.Rules != nil {
		b.Rules.Fill(&f)
	}
	return f.Emergency || f.Relay || f.Allowed
}
