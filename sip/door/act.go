package door

import (
	"errors"
	"fmt"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/dialogue"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/refusal"
	"github.com/portero/portero/sip/upstream"
)

// note writes a decision into the record, the log and the figures.
func (c *call) note(d policy.Decision, enforced bool) *store.RecordedDecision {
	c.rec.Decisions = append(c.rec.Decisions, store.RecordedDecision{Decision: d, Enforced: enforced})
	c.d.deps.Metrics.Decided(d, enforced)
	c.log.Info("decision", zap.String("stage", string(d.Stage)), zap.String("rule", d.Rule), zap.String("action", string(d.Action)),
		zap.String("destination", d.Destination), zap.String("reason", d.Reason), zap.Bool("enforced", enforced))
	c.tellDecision(c.rec.Decisions[len(c.rec.Decisions)-1])
	return &c.rec.Decisions[len(c.rec.Decisions)-1]
}

// came writes what acting on the last decision came to.
func (c *call) came(to string) {
	if n := len(c.rec.Decisions); n > 0 && c.rec.Decisions[n-1].Enforced && c.rec.Decisions[n-1].Outcome == "" {
		c.rec.Decisions[n-1].Outcome = to
	}
}

// agents is where calls go by default: the destination whose calls count as
// busy agents, and the refuge when anything of Portero's own fails.
func (c *call) agents() string { return c.bench.Rules.Destination() }

// toAgents is the call's way when nobody decides otherwise.
func (c *call) toAgents(stage policy.Stage, rule, reason string) policy.Decision {
	return policy.Decision{At: time.Now(), Stage: stage, Rule: rule, Action: policy.ToAgents, Destination: c.agents(), Reason: reason}
}

// carryOut acts on the decision of an arrival.
func (c *call) carryOut(d policy.Decision) {
	enforced := c.mode == policy.Enforce
	c.note(d, enforced)
	c.plan = d
	if !enforced {
		c.goTo(c.agents())
		return
	}
	c.act(d)
}

// screenSpare lets the judge's own tick at the end of a screening come first.
const screenSpare = 2 * time.Second

// act does what a decision orders, wherever the call is.
func (c *call) act(d policy.Decision) {
	switch d.Action {
	case policy.ToCallback:
		c.startTalk(dialogue.NewOffer())
	case policy.ToScreen:
		c.startTalk(dialogue.NewScreen(c.bench.Config.ScreenFor + screenSpare))
	case policy.Reject:
		c.turnAway(d)
	default:
		dest := d.Destination
		if dest == "" {
			dest = c.agents()
		}
		c.goTo(dest)
	}
}

// turnAway refuses the call, or hangs up if it was answered.
func (c *call) turnAway(d policy.Decision) {
	a := c.refusal(d)
	c.came("refused")
	if c.caller.in == nil || !c.answeredAt.IsZero() {
		c.end("portero", d.Reason)
		return
	}
	if n := len(c.rec.Decisions); n > 0 {
		c.rec.Decisions[n-1].Status = a.Status
	}
	headers := make([]sipmsg.Header, 0, len(a.Headers))
	for _, h := range a.Headers {
		headers = append(headers, sipmsg.NewHeader(h.Name, h.Value))
	}
	c.refuse(a.Status, a.Phrase, headers...)
}

// refusal is what a rejected caller is told.
func (c *call) refusal(d policy.Decision) refusal.Answer {
	if d.Refusal == "" && d.Status != 0 {
		return c.d.refuser.Status(d.Status, d.Reason)
	}
	caller := refusal.Caller{Verified: c.identity != nil && c.identity.Verstat == stir.Passed}
	for _, h := range headersOf(c.caller.invite, "Feature-Caps") { // RFC 8688 section 3.3
		caller.Understands608 = caller.Understands608 || strings.Contains(strings.ToLower(h.Value()), "+sip.608")
	}
	return c.d.refuser.Profile(d.Refusal, d.Reason, caller, time.Now())
}

// decided acts on decisions of the listening and dialogue stages, which come
// from the analysis.
func (c *call) decided(ds []policy.Decision) {
	for _, d := range ds {
		if c.promise != nil || c.written {
			return
		}
		if c.ending || c.mode != policy.Enforce || c.xfer != nil || c.unjudged { // too late, or not to be acted on
			c.note(d, false)
			continue
		}
		if d.Stage == policy.Dialogue && c.talk == nil {
			continue // the dialogue is over already
		}
		c.note(d, true)
		c.plan = d
		if c.talk != nil {
			c.step(dialogue.Decided{Decision: d})
			continue
		}
		c.act(d)
	}
}

// goTo sends the call to a destination, or moves it there.
func (c *call) goTo(dest string) {
	if c.far != nil && c.far.dest == dest && c.next == nil {
		return
	}
	if c.next != nil {
		if c.next.dest == dest {
			return
		}
		c.letGo(c.next)
		c.next = nil
	}
	if c.far != nil && c.far.dest == dest { // it was to be moved away and now stays
		return
	}
	l, err := c.dial(dest)
	if err != nil {
		c.log.Error("a destination cannot be called", zap.String("destination", dest), zap.Error(err))
		if dest != c.agents() && c.far == nil {
			c.failOpen(policy.ReasonDestinationDown, err.Error())
			return
		}
		if c.far == nil {
			if errors.Is(err, upstream.ErrInsecure) {
				c.refuseInsecure(dest)
			} else if reason := lack(err); reason != "" {
				c.unserved(dest, reason, err)
			} else {
				c.noPlace(err.Error())
			}
			return
		}
		c.came("failed: " + err.Error())
		return
	}
	if c.far != nil {
		c.next = l
		return
	}
	c.far = l
	if !c.answeredAt.IsZero() {
		c.ringback()
	}
}

// failOpen sends the call to the agents as if there were no Portero, as often as
// something fails: only the agents' own failure ends it.
func (c *call) failOpen(reason, why string) {
	c.came("failed: " + why)
	c.log.Warn("failing open: the call goes to the agents", zap.String("reason", reason), zap.String("why", why))
	c.rec.Errors = append(c.rec.Errors, fmt.Sprintf("%s: %s", reason, why))
	stage := policy.Arrival
	if n := len(c.rec.Decisions); n > 0 {
		stage = c.rec.Decisions[n-1].Stage
	}
	d := c.toAgents(stage, "fail-open", reason)
	c.note(d, true)
	c.plan = d
	c.goTo(c.agents())
}

// noPlace ends a call that nowhere would take.
func (c *call) noPlace(why string) {
	c.came("failed: " + why)
	if c.caller.in != nil && c.answeredAt.IsZero() {
		c.refuse(503, "Service Unavailable")
		return
	}
	c.end("portero", why)
}
