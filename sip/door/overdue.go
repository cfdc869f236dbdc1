package door

import (
	"time"

	"go.uber.org/zap"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/identity"
	"github.com/portero/portero/sip/transaction"
)

// overdue says whether an INVITE has waited for longer than max_delay. Requests
// within a dialog and responses never are: they bring calls to their end.
func (d *Door) overdue(in transaction.Incoming, now time.Time) bool {
	return d.cfg.MaxDelay > 0 && now.Sub(in.At) > d.cfg.MaxDelay && !identity.Of(in.Raw, false).Emergency
}

// tooLateFor tells the sender of an overdue INVITE to try elsewhere, or later
// (RFC 3261 section 21.5.4).
func (d *Door) tooLateFor(in transaction.Incoming, tx *transaction.Server, log *zap.Logger) {
	d.deps.Metrics.SIPRefused(policy.ReasonOverloaded)
	log.Warn("overloaded: a call is refused that has waited too long", zap.Duration("waited", time.Since(in.At)), zap.Stringer("source", in.Flow.Remote))
	d.answer(in.Req, tx, 503, "Service Unavailable", sipmsg.NewHeader("Retry-After", "2"), reasonHeader(503, policy.ReasonOverloaded))
}
