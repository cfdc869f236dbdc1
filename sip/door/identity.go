package door

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/identity/stir"
)

// verifyGrace is how much longer than its budget a verification is waited for
// before the call goes on without it.
const verifyGrace = 50 * time.Millisecond

// verified finds out what the INVITE's Identity headers are worth and goes on
// with then. It is done beside the call, which meanwhile takes a
// CANCEL; an emergency waits for nothing.
func (c *call) verified(then func()) {
	v := c.d.deps.Verifier
	if v == nil {
		then()
		return
	}
	raw, at, trusted := c.in.raw, c.in.at, c.trunk.TrustIdentity
	r, wait := v.AtOnce(raw, trusted)
	if !wait {
		if r != nil {
			c.foundOut(r)
		}
		then()
		return
	}
	var late *time.Timer
	over := false
	done := func(r *stir.Result) {
		if over {
			return
		}
		over = true
		late.Stop()
		if c.ending { // cancelled, or hung up by the door's own end
			return
		}
		c.foundOut(r)
		then()
	}
	late = c.after(v.Budget()+verifyGrace, func() {
		done(&stir.Result{Verstat: stir.None, Code: stir.CodeBadInfo, Reason: fmt.Sprintf("the verification did not end within the budget of %v", v.Budget())})
	})
	c.d.spawn(func() {
		r := c.verify(raw, at, trusted)
		c.post(func() { done(r) })
	})
}

// verify runs on a goroutine of its own. A fault in it leaves the call
// unverified.
func (c *call) verify(raw []byte, at time.Time, trusted bool) (r *stir.Result) {
	defer func() {
		if p := recover(); p != nil {
			c.d.deps.Metrics.Panicked()
			c.log.Error("verifying the identity failed", zap.Any("panic", p), zap.Stack("stack"))
			r = &stir.Result{Verstat: stir.None, Reason: "the verification failed"}
		}
	}()
	got := c.d.deps.Verifier.Verify(context.Background(), raw, at, trusted)
	return &got
}

// foundOut notes a verification's result.
func (c *call) foundOut(r *stir.Result) {
	c.identity = r
	c.rec.Identity = &store.Identity{Verstat: string(r.Verstat), Attestation: r.Attest, OrigID: r.OrigID, Code: r.Code, Reason: r.Reason,
		Signer: r.Signer, Diverted: r.Diverted, Notes: r.Notes}
	if r.Code != stir.CodeMissing {
		c.log.Info("identity", zap.String("verstat", string(r.Verstat)), zap.String("attestation", r.Attest), zap.Int("code", r.Code),
			zap.String("reason", r.Reason), zap.String("signer", r.Signer))
	}
}
