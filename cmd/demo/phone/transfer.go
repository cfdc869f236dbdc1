package phone

import (
	"context"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Refer asks the other side to call somebody else in place of the phone (RFC
// 3515). The error is a *Refused if the other side does not; how the transfer
// ends is not waited for.
func (c *Call) Refer(ctx context.Context, to string) error {
	c.mu.Lock()
	c.cseq++
	n, target := c.cseq, c.target
	c.mu.Unlock()
	r := c.request(sip.REFER, target, n)
	r.AppendHeader(sip.NewHeader("Contact", c.contact))
	r.AppendHeader(sip.NewHeader("Refer-To", "<"+to+">"))
	r.SetBody(nil)
	res, err := c.phone.request(ctx, r)
	switch {
	case err != nil:
		return fmt.Errorf("phone: REFER: %w", err)
	case !res.IsSuccess():
		return &Refused{res.StatusCode, res.Reason}
	}
	return nil
}

// Replaces is the call as a Refer-To names it, for an attended transfer to
// whoever is at its other end (RFC 3891).
func (c *Call) Replaces() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	escape := strings.NewReplacer("@", "%40", ";", "%3B", "=", "%3D")
	return "Replaces=" + escape.Replace(c.id+";to-tag="+tagOf(c.remote)+";from-tag="+tagOf(c.local))
}

func tagOf(value string) string {
	_, tag, _ := strings.Cut(value, ";tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}
