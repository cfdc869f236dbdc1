package identity

import (
	"bytes"
	"strings"

	"github.com/portero/portero/sip/fingerprint"
)

// Caller is who a request says is calling.
type Caller struct {
	// User is the caller's number, digits with a leading + kept, or the user part
	// as it is if that is no number. It is filled even for a withheld identity if
	// a trusted trunk asserts it: do not show it where Anonymous is true.
	User string
	// Host is the domain of the identity; empty for a tel URI.
	Host string
	// DisplayName is the name shown, without quotes.
	DisplayName string
	// Asserted is true if the identity is a trusted trunk's
	// P-Asserted-Identity, false if it is the caller's own From.
	Asserted bool
	// Anonymous is true if the identity is withheld: Privacy id, user or header
	// (RFC 3323, RFC 3325), or an anonymous From (RFC 3323 section 4.1.1.3).
	Anonymous bool
	// Emergency is true for urn:service:sos in Request-URI or To (RFC 5031), a
	// Resource-Priority of esnet, wps or ets (RFC 7135, RFC 4412), or a PSAP
	// calling back (RFC 7090). It is believed from anyone: the price of a lie is
	// one call unjudged, the price of doubt a life.
	Emergency bool
	// Attestation is A, B or C as a trusted trunk gives it in Attestation-Info
	// (TS 24.229 section 7.2) or P-Attestation-Indicator, else empty.
	Attestation string
	// Verstat is passed, failed or none as a trusted trunk gives it in the
	// verstat parameter (TS 24.229 section 7.2A.20), else empty.
	Verstat string
	// Signed is true if an Identity header (RFC 8224) is there; what it is worth
	// stir says.
	Signed bool
	// Capabilities are the feature tags of the Contact (RFC 3840 section 9), in
	// lower case, with = and the value if there is one. Anybody declares them.
	Capabilities []string
	// CallInfo are the purposes of the Call-Info headers, in lower case; info if
	// one has none (RFC 3261 section 20.9).
	CallInfo []string
	// CallReason is why the caller calls, as a trusted trunk says in Call-Info
	// (RFC 9796 section 7).
	CallReason string
}

// Of reads the identity from a request as received. trusted says that the
// trunk it came by may assert identities. It never fails; what is missing
// stays empty.
func Of(raw []byte, trusted bool) Caller {
	var c Caller
	var from, asserted fingerprint.Address
	var haveAsserted bool

	_, rest, _ := bytes.Cut(fingerprint.StartLine(raw), []byte{' '})
	target, _, _ := bytes.Cut(rest, []byte{' '})
	c.Emergency = sos(target)

	for h := range fingerprint.Headers(raw) {
		switch {
		case h.Is("From"):
			from = fingerprint.ParseAddress(h.Value)
		case h.Is("To"):
			c.Emergency = c.Emergency || sos(fingerprint.ParseAddress(h.Value).URI)
		case h.Is("P-Asserted-Identity"):
			if trusted {
				asserted, haveAsserted = prefer(asserted, haveAsserted, h.Value)
			}
		case h.Is("Privacy"):
			c.Anonymous = c.Anonymous || withheld(h.Value)
		case h.Is("Resource-Priority"):
			c.Emergency = c.Emergency || priority(h.Value)
		case h.Is("Priority"):
			c.Emergency = c.Emergency || strings.EqualFold(string(h.Value), "psap-callback")
		case h.Is("Identity"):
			c.Signed = true
		case h.Is("Contact"):
			if c.Capabilities == nil {
				c.Capabilities = capabilities(fingerprint.ParseAddress(h.Value).Params)
			}
		case h.Is("Call-Info"):
			c.callInfo(h.Value, trusted)
		case h.Is("Attestation-Info"), h.Is("P-Attestation-Indicator"):
			if trusted && len(h.Value) == 1 {
				switch a := h.Value[0] &^ 0x20; a {
				case 'A', 'B', 'C':
					c.Attestation = string(rune(a))
				}
			}
		}
	}

	address := from
	if haveAsserted {
		address, c.Asserted = asserted, true
	}
	scheme, user, host, _, params := fingerprint.SplitURI(address.URI)
	c.Host = printable(host)
	c.DisplayName = printable(unescapeQuoted(address))
	number, userParams, _ := bytes.Cut(user, []byte{';'})
	c.User = Unescape(number)
	if n := Number(c.User); n != "" {
		c.User = n
	}
	c.User = printable([]byte(c.User))
	if trusted {
		c.Verstat = verstat(userParams, params, address.Params)
		if c.Verstat == "" && haveAsserted {
			_, u, _, _, p := fingerprint.SplitURI(from.URI)
			_, up, _ := bytes.Cut(u, []byte{';'})
			c.Verstat = verstat(up, p, from.Params)
		}
	}
	_, fromUser, fromHost, _, _ := fingerprint.SplitURI(from.URI)
	if strings.EqualFold(string(fromUser), "anonymous") || strings.EqualFold(string(fromHost), "anonymous.invalid") ||
		len(scheme) == 0 && len(user) == 0 && len(host) == 0 {
		c.Anonymous = true
	}
	return c
}

// prefer keeps the most telling of several asserted identities: a tel URI or a
// number before a name (RFC 3325 section 9.1 allows one of each).
func prefer(had fingerprint.Address, have bool, value []byte) (fingerprint.Address, bool) {
	for len(value) > 0 {
		a := fingerprint.ParseAddress(value)
		if len(a.URI) > 0 && (!have || !isNumber(had.URI) && isNumber(a.URI)) {
			had, have = a, true
		}
		if len(a.Rest) >= len(value) {
			break
		}
		value = a.Rest
	}
	return had, have
}

func isNumber(uri []byte) bool {
	_, user, _, _, _ := fingerprint.SplitURI(uri)
	number, _, _ := bytes.Cut(user, []byte{';'})
	return Number(Unescape(number)) != ""
}

// sos reports an emergency service URN, sub-services included (RFC 5031
// section 3).
func sos(uri []byte) bool {
	const urn = "urn:service:sos"
	s := strings.ToLower(string(uri[:min(len(uri), len(urn)+1)]))
	return s == urn || strings.HasPrefix(s, urn) && s[len(urn)] == '.'
}

// withheld reports a Privacy value that hides the caller. "none" and
// "critical" alone, "session" and "history" do not.
func withheld(value []byte) bool {
	for one := range strings.FieldsFuncSeq(strings.ToLower(string(value)), func(r rune) bool {
		return r == ';' || r == ',' || r == ' '
	}) {
		if one == "id" || one == "user" || one == "header" {
			return true
		}
	}
	return false
}

// priority reports a namespace of emergency or national preparedness in a
// Resource-Priority list: "esnet.1, wps.0".
func priority(value []byte) bool {
	for one := range strings.SplitSeq(strings.ToLower(string(value)), ",") {
		namespace, _, _ := strings.Cut(strings.TrimSpace(one), ".")
		if namespace == "esnet" || namespace == "wps" || namespace == "ets" {
			return true
		}
	}
	return false
}

// verstat looks for the parameter wherever carriers put it: in the telephone
// number's own parameters, the URI's, the header's.
func verstat(places ...[]byte) string {
	for _, p := range places {
		v, ok := fingerprint.Param(p, "verstat")
		if !ok {
			continue
		}
		switch s := strings.ToLower(string(v)); {
		case strings.HasPrefix(s, "tn-validation-passed"):
			return "passed"
		case strings.HasPrefix(s, "tn-validation-failed"):
			return "failed"
		case strings.HasPrefix(s, "no-tn-validation"):
			return "none"
		}
	}
	return ""
}
