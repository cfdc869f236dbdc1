package door

import (
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/syntax"
	"github.com/portero/portero/sip/transport"
)

// refuse answers a message that has a fault, where an answer is owed and may be
// sent, and counts it. There is no transaction: the same bytes get the same
// answer (RFC 3261 section 8.2.7).
func (g *gate) refuse(r transport.Received, f syntax.Fault) {
	g.d.log.Debug("a message has a fault", zap.Stringer("source", r.Flow.Remote), zap.Stringer("fault", f), zap.Int("status", f.Status))
	res, ok := []byte(nil), false
	if !f.Drop && g.d.knowsFlow(r.Flow) {
		res, ok = syntax.Response(r.Data, r.Flow.Remote, f.Status, f.Reason())
	}
	if ok {
		code := policy.ReasonMalformed
		if f.Status == 413 || f.Status == 414 || f.Status == 513 {
			code = policy.ReasonTooLarge
		}
		g.d.deps.Metrics.SIPRefused(code)
		if err := g.d.net.Reply(r.Flow, res); err != nil {
			g.d.log.Debug("a refusal could not be sent", zap.Stringer("source", r.Flow.Remote), zap.Error(err))
		}
	} else {
		g.d.deps.Metrics.SIPDropped("malformed")
	}
	if f.Close {
		g.d.net.HangUp(r.Flow)
	}
}
