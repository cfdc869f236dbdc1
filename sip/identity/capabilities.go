package identity

import (
	"slices"
	"strings"

	"github.com/portero/portero/sip/fingerprint"
)

// baseTags are the feature tags that are written without a + (RFC 3840 section
// 9, RFC 4569).
var baseTags = []string{"actor", "application", "audio", "automata", "class", "control", "data", "description", "duplex", "events", "extensions",
	"isfocus", "language", "message", "methods", "mobility", "priority", "schemes", "text", "type", "video"}

// maxNoted bounds what is noted of one kind.
const maxNoted = 32

// capabilities are the feature tags among a Contact's parameters. The instance
// names a device for good (RFC 5626) and is left out.
func capabilities(params []byte) []string {
	var out []string
	for name, value := range fingerprint.Params(params) {
		n := strings.ToLower(string(name))
		if !strings.HasPrefix(n, "+") && !slices.Contains(baseTags, n) || n == "+sip.instance" {
			continue
		}
		if len(value) > 0 {
			n += "=" + strings.ToLower(string(value))
		}
		if len(out) < maxNoted {
			out = append(out, printable([]byte(n)))
		}
	}
	return out
}

// callInfo notes the values of a Call-Info header.
func (c *Caller) callInfo(value []byte, trusted bool) {
	for len(value) > 0 && len(c.CallInfo) < maxNoted {
		a := fingerprint.ParseAddress(value)
		purpose := "info"
		if p, ok := fingerprint.Param(a.Params, "purpose"); ok && len(p) > 0 {
			purpose = strings.ToLower(printable(p))
		}
		if len(a.URI) > 0 {
			c.CallInfo = append(c.CallInfo, purpose)
		}
		if why, ok := fingerprint.Param(a.Params, "call-reason"); ok && trusted && c.CallReason == "" {
			c.CallReason = printable(why)
		}
		if len(a.Rest) >= len(value) {
			return
		}
		value = a.Rest
	}
}
