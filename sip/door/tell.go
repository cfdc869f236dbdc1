package door

import (
	"slices"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/policy/webhook"
)

// What is found out about a call is told as it comes, to whoever has asked for it
// (policy/webhook): of recording sessions, or of all calls.

// reports says whether anybody wants to know of this call.
func (c *call) reports() bool {
	e := c.d.deps.Events
	return e != nil && (c.srs != nil || e.All())
}

// event is one of this call's.
func (c *call) event(kind webhook.Kind, at time.Time) webhook.Event {
	e := webhook.Event{Kind: kind, At: at.UTC(), Call: c.id, CallID: c.rec.CallID, Trunk: c.rec.Trunk, From: c.rec.From, To: c.rec.To}
	if c.srs != nil {
		e.Session = c.session0().ID
	}
	return e
}

func (c *call) tellStarted() {
	if c.reports() {
		c.d.deps.Events.Put(c.event(webhook.Started, time.Now()))
	}
}

func (c *call) tellDecision(d store.RecordedDecision) {
	if !c.reports() {
		return
	}
	e := c.event(webhook.Decision, d.At)
	e.Decision = &d
	v := c.verdict()
	e.Verdict = &v
	c.d.deps.Events.Put(e)
}

func (c *call) tellVerdicts(all []policy.Verdict) {
	for _, v := range all {
		e := c.event(webhook.Verdict, v.At)
		e.Verdict = &v
		c.d.deps.Events.Put(e)
	}
}

func (c *call) tellEnded() {
	if !c.reports() {
		return
	}
	e := c.event(webhook.Ended, time.Now())
	r := c.rec
	e.Record = &r
	c.d.deps.Events.Put(e)
}

// news has the call tell verdicts that are new. The caller holds mu.
func (h *hearing) news() {
	if !h.c.reports() || h.judged == nil {
		return
	}
	all := h.judged.Verdicts()
	if len(all) == h.seen {
		return
	}
	fresh := slices.Clone(all[h.seen:])
	h.seen = len(all)
	c := h.c
	c.post(func() { c.tellVerdicts(fresh) })
}
