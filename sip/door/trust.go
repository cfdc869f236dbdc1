package door

import (
	"maps"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/syntax"
)

// asserted are the headers in which one network tells another who calls and who
// pays (RFC 3324, RFC 3325, RFC 7315, RFC 8496, TS 24.229): worth what their
// sender is worth. P-Called-Party-ID is not among them; carriers put the number
// that was dialled there.
var asserted = headerSet("P-Asserted-Identity", "P-Asserted-Service", "P-Preferred-Service", "P-Charge-Info", "P-Charging-Vector",
	"P-Charging-Function-Addresses", "P-Access-Network-Info", "P-Visited-Network-ID", "P-Associated-URI", "P-User-Database", "P-Served-User",
	"P-Profile-Key", "P-Private-Network-Indication", "P-Attestation-Indicator", "P-Origination-ID", "Attestation-Info", "Origination-ID",
	"Remote-Party-ID")

// claimed are asserted, and what a user asks its network to assert (RFC 3325
// section 9.2): that means nothing from a network, but is a PBX's to say to its
// carrier.
var claimed = headerSet(append(slices.Collect(maps.Keys(asserted)), "P-Preferred-Identity")...)

// naming are those that name somebody.
var naming = headerSet("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")

func headerSet(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[strings.ToLower(n)] = true
	}
	return out
}

// trusts sets how far the leg's peer, a trunk, is trusted. Other legs lead to
// the PBX, which is at home.
func (l *leg) trusts(t Trunk) {
	l.foreign, l.outside = !t.TrustIdentity, !t.TrustIdentity && !t.AssertIdentity
}

// changeable is a request or a response.
type changeable interface {
	sipmsg.Message
	Headers() []sipmsg.Header
	RemoveHeader(name string) bool
}

// distrust takes out of a peer's message what only a trusted one may say. From
// stays as it is, since responses have to show it so; what goes on of it is
// cleaned by remoteOf.
func (l *leg) distrust(m changeable) {
	if l.foreign {
		distrust(m)
	}
}

func distrust(m changeable) {
	removeAll(m, claimed)
	infos := headersOf(m, "Call-Info")
	if !slices.ContainsFunc(infos, func(h sipmsg.Header) bool { return strings.Contains(strings.ToLower(h.Value()), "verified") }) {
		return
	}
	removeAll(m, headerSet("Call-Info"))
	for _, h := range infos {
		m.AppendHeader(sipmsg.NewHeader("Call-Info", unverified(h.Value())))
	}
}

// unverified takes the parameter out of a Call-Info by which a network says that
// it has verified what stands there (RFC 9796 section 6).
func unverified(value string) string {
	var out strings.Builder
	for value != "" {
		begin := 0
		if value[0] == ';' || value[0] == ',' {
			begin = 1
		}
		end := begin + syntax.Separator(value[begin:], ";,")
		name, _, _ := strings.Cut(strings.TrimLeft(value[:end], "; \t"), "=")
		if value[0] != ';' || !strings.EqualFold(strings.TrimSpace(name), "verified") {
			out.WriteString(value[:end])
		}
		value = value[end:]
	}
	return out.String()
}

// confine takes out of a message what must not leave to a peer outside the trust
// domain (RFC 3325 section 6), and, when its sender asks for privacy, what names
// the sender besides.
func (l *leg) confine(m changeable) {
	if !l.foreign {
		return
	}
	if l.outside {
		removeAll(m, asserted)
	}
	if asksPrivacy(m) {
		removeAll(m, naming)
	}
}

// asksPrivacy says whether a message's identity is to be withheld (RFC 3323, RFC
// 3325 section 7).
func asksPrivacy(m changeable) bool {
	for _, h := range headersOf(m, "Privacy") {
		for _, v := range strings.FieldsFunc(strings.ToLower(h.Value()), func(r rune) bool { return strings.ContainsRune(";, \t", r) }) {
			if v == "id" || v == "user" || v == "header" {
				return true
			}
		}
	}
	return false
}

// removeAll removes headers by name, in whatever case they are spelled: sipgo's
// RemoveHeader heeds it.
func removeAll(m changeable, set map[string]bool) {
	var names []string
	for _, h := range m.Headers() {
		if set[strings.ToLower(h.Name())] {
			names = append(names, h.Name())
		}
	}
	for _, n := range names {
		m.RemoveHeader(n)
	}
}

// remoteOf is the caller as the far leg shows him: without a verstat that nobody
// vouches for (TS 24.229 section 7.2A.20).
func (l *leg) remoteOf(p party) party {
	if !l.foreign {
		return p
	}
	p.uri = withoutVerstat(p.uri)
	p.params.Remove("verstat")
	return p
}

// crossing is distrust and confine for a proxied message from one peer to
// another, and takes out what only the door itself may say.
func (d *Door) crossing(m changeable, from, to flow) {
	if t, ok := d.trunkAtEnd(from); ok && !t.TrustIdentity {
		distrust(m)
	}
	if t, ok := d.trunkAtEnd(to); ok {
		var l leg
		l.trusts(t)
		l.confine(m)
	}
	for _, h := range slices.Clone(m.Headers()) {
		if strings.HasPrefix(strings.ToLower(h.Name()), "x-portero-") {
			m.RemoveHeader(h.Name())
		}
	}
}
