package door

import (
	"strconv"

	sipmsg "github.com/emiago/sipgo/sip"
)

// The contract with the dialplan is a set of headers, X-Portero-*, on every
// INVITE toward the PBX (README, "What the dialplan is told"). They are taken out
// of whatever comes from outside and of whatever goes there (passHeaders,
// crossing): nobody else speaks in Portero's name.

// tell writes the dialplan's contract into an INVITE for the PBX.
func (c *call) tell(req *sipmsg.Request) {
	if c.out != nil {
		return // no business of the trunk's
	}
	set := func(name, value string) {
		if value != "" {
			req.AppendHeader(sipmsg.NewHeader(name, value))
		}
	}
	set("X-Portero-Call-ID", c.id)
	if c.judged != nil {
		v := c.verdict()
		set("X-Portero-Verdict", string(v.Class))
		set("X-Portero-P-Machine", strconv.FormatFloat(v.PMachine, 'f', 2, 64))
	}
	set("X-Portero-Verstat", string(c.verstat))
	set("X-Portero-Attestation", c.attested)
	set("X-Portero-Action", string(c.plan.Action))
	set("X-Portero-Rule", headerText(c.plan.Rule))
	set("X-Portero-Reason", headerText(c.plan.Reason))
	if c.promise != nil {
		set("X-Portero-Callback-ID", c.promise.id)
	}
}

// headerText keeps a configured name from ending a header line.
func headerText(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r >= ' ' && r != 0x7f {
			out = append(out, r)
		}
	}
	return string(out)
}
