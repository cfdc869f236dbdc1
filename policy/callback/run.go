package callback

import (
	"context"

	"github.com/portero/portero/policy/store"
)

// Attempted is one dial of a run.
type Attempted struct {
	Promise store.Promise `json:"promise"` // as it was claimed
	Result  Result        `json:"result"`
}

// Ran is what a run did.
type Ran struct {
	Attempted []Attempted `json:"attempted"`
	Stopped   string      `json:"stopped"` // why it dialled no more, in words
}

// RunOnce dials what is due now, each promise once, without the pace between
// dials; free agents, calling hours and MaxConcurrent hold as ever. With hasten,
// promises that wait for a retry are due too. It returns when the dials have
// ended. When ctx ends it starts no more; dials under way are the dialer's and
// go on.
func (d *Dialer) RunOnce(ctx context.Context, hasten bool) (Ran, error) {
	ran := Ran{Attempted: []Attempted{}}
	if hasten {
		if _, err := d.ledger.Hasten(ctx, d.now()); err != nil {
			return ran, err
		}
	}
	var under []*attempt
	tried := make(map[int64]bool)
	for {
		a, why, err := d.start(ctx, false)
		switch {
		case err != nil:
			ran.Stopped = why
			d.gather(ctx, &ran, under)
			return ran, err
		case a != nil:
			under = append(under, a)
			if tried[a.promise.ID] { // due again already: that is enough
				why = WhyNoneDue
			}
			tried[a.promise.ID] = true
		}
		// A dial that ends makes room, in the count and among the agents.
		if (why == WhyBusy || why == WhyAgents) && len(under) > 0 {
			if under = d.gatherFirst(ctx, &ran, under); ctx.Err() == nil {
				continue
			}
		}
		if why != "" || ctx.Err() != nil {
			ran.Stopped = why
			d.gather(ctx, &ran, under)
			return ran, ctx.Err()
		}
	}
}

// gather waits for all dials.
func (d *Dialer) gather(ctx context.Context, ran *Ran, under []*attempt) {
	for len(under) > 0 && ctx.Err() == nil {
		under = d.gatherFirst(ctx, ran, under)
	}
}

// gatherFirst waits for the first dial.
func (d *Dialer) gatherFirst(ctx context.Context, ran *Ran, under []*attempt) []*attempt {
	select {
	case <-under[0].done:
		ran.Attempted = append(ran.Attempted, Attempted{under[0].promise, under[0].result})
		return under[1:]
	case <-ctx.Done():
		return under
	}
}
