package fingerprint

import "strings"

// headerKind is a header that the print looks at, or one that it leaves out.
type headerKind uint8

const (
	otherHeader headerKind = iota
	pathHeader             // of the path or the errand of a call, not of the stack
	viaHeader
	fromHeader
	toHeader
	contactHeader
	callIDHeader
	cseqHeader
	agentHeader
	allowHeader
	supportedHeader
	subjectHeader
	lengthHeader
	diversionHeader // looked at by signatures, and left out of the print
	extensionHeader // X-...
)

// kinds are the headers by their names in lower case.
//
// Left out of the print is what comes and goes with the path or the errand of a
// call: what proxies add, who the caller is, what credentials were asked for.
var kinds = map[string]headerKind{
	"via": viaHeader, "from": fromHeader, "to": toHeader, "contact": contactHeader,
	"call-id": callIDHeader, "cseq": cseqHeader, "user-agent": agentHeader, "server": agentHeader,
	"allow": allowHeader, "supported": supportedHeader, "subject": subjectHeader, "content-length": lengthHeader,
	"diversion": diversionHeader,

	"record-route": pathHeader, "route": pathHeader, "path": pathHeader, "service-route": pathHeader,
	"authorization": pathHeader, "proxy-authorization": pathHeader, "history-info": pathHeader,
	"privacy": pathHeader, "p-asserted-identity": pathHeader, "p-preferred-identity": pathHeader,
	"remote-party-id": pathHeader, "identity": pathHeader, "identity-info": pathHeader, "call-info": pathHeader,
	"user-to-user": pathHeader, "reason": pathHeader, "referred-by": pathHeader, "replaces": pathHeader,
	"p-charging-vector": pathHeader, "p-charge-info": pathHeader, "resource-priority": pathHeader,
	"priority": pathHeader, "geolocation": pathHeader, "alert-info": pathHeader,
}

// compactKinds are the one-letter forms.
var compactKinds = func() (out [256]headerKind) {
	for letter, name := range compact {
		out[letter] = kinds[strings.ToLower(name)]
	}
	return out
}()

// kindOf says which header a name is, in any case and form.
func kindOf(name []byte) headerKind {
	switch n := len(name); {
	case n == 1:
		return compactKinds[name[0]|0x20]
	case n > 2 && name[1] == '-' && name[0]|0x20 == 'x':
		if n >= 9 && foldEqual(name[2:9], "portero") {
			return pathHeader // this house's own
		}
		return extensionHeader
	case n > 19: // the longest name in kinds
		return otherHeader
	}
	var buf [19]byte
	low := buf[:len(name)]
	for i, c := range name {
		low[i] = lower(c)
	}
	return kinds[string(low)]
}
