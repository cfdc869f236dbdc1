package door

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/identity"
	"github.com/portero/portero/sip/transaction"
)

// overload is what the door takes at most. It is asked before anything is spent
// on a call but its parsing: no ports, no judgement, no goroutine.
type overload struct {
	calls   rate
	urgent  rate // emergency calls beyond calls
	mu      sync.Mutex
	said    time.Time
	refused int // since then
}

// sayEvery is how often refusals are logged: a flood must not become one of log
// lines.
const sayEvery = time.Second

// rate is a token bucket: so many a second, and as many at once after a pause.
type rate struct {
	perSecond float64 // 0: no bound

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

// take says whether one more may be taken now.
func (r *rate) take(now time.Time) bool {
	if r.perSecond == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.IsZero() {
		r.tokens = r.perSecond
	} else if d := now.Sub(r.last); d > 0 {
		r.tokens = min(r.perSecond, r.tokens+d.Seconds()*r.perSecond)
	}
	r.last = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// overloaded says why there is no room for another call, or returns "". urgent:
// it is an emergency call that is taken beyond the limits.
func (d *Door) overloaded(in transaction.Incoming) (reason string, urgent bool) {
	switch {
	case d.Draining():
		return policy.ReasonDraining, false
	case d.overdue(in):
		reason = policy.ReasonOverloaded
	case !d.overload.calls.take(in.At):
		reason = policy.ReasonCallRate
	case d.CallsNow() >= d.cfg.MaxCalls:
		reason = policy.ReasonTooManyCalls
	default:
		return "", false
	}
	if d.emergency(in) && d.overload.urgent.take(in.At) && d.CallsNow() < d.cfg.MaxCalls+d.cfg.spare() {
		return "", true
	}
	return reason, false
}

// overdue says whether an INVITE has waited for longer than max_delay. Requests
// within a dialog and responses never are: they bring calls to their end.
func (d *Door) overdue(in transaction.Incoming) bool {
	return d.cfg.MaxDelay > 0 && time.Since(in.At) > d.cfg.MaxDelay
}

// spare is the room for emergency calls beyond max_calls. It has a bound, as a
// caller can make any call look like one.
func (c Config) spare() int { return c.MaxCalls/10 + 1 }

// emergency says whether a call must not be held up, by its signalling or by the
// number it calls.
func (d *Door) emergency(in transaction.Incoming) bool {
	if identity.Of(in.Raw, false).Emergency {
		return true
	}
	f := policy.Facts{To: dialled(in.Req)}
	d.bench.Load().Rules.Fill(&f)
	return f.Emergency
}

// busy refuses a call for want of room (RFC 3261 section 21.5.4). Retry-After is
// spread, so that those who were refused do not come back all at once.
func (d *Door) busy(in transaction.Incoming, tx *transaction.Server, reason string) {
	d.deps.Metrics.SIPRefused(reason)
	d.overload.say(d.log, reason, in)
	wait := 2 + rand.IntN(4)
	if reason == policy.ReasonDraining {
		wait = 30
	}
	d.answer(in.Req, tx, 503, "Service Unavailable", sipmsg.NewHeader("Retry-After", strconv.Itoa(wait)), reasonHeader(503, reason))
}

func (o *overload) say(log *zap.Logger, reason string, in transaction.Incoming) {
	o.mu.Lock()
	o.refused++
	n, due := o.refused, in.At.Sub(o.said) >= sayEvery
	if due {
		o.said, o.refused = in.At, 0
	}
	o.mu.Unlock()
	if due {
		log.Warn("no room for a call", zap.String("call_id", callIDOf(in.Req)), zap.String("reason", reason), zap.Int("refused_since_last_said", n))
	}
}
