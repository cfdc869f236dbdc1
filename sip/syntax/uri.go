package syntax

import (
	"bytes"
	"unicode/utf8"
)

// Where an address stands decides what may be in it (RFC 3261 section 19.1.1).
type place uint8

const (
	inRequest  place = iota // Request-URI: no headers
	inBrackets              // < >
	bare                    // without them: neither comma, semicolon nor question mark
)

// scheme is what kind of address it is.
type scheme uint8

const (
	schemeOther scheme = iota
	schemeSIP          // sip, sips
	schemeTel
	schemeURN
)

// uri reads an address (RFC 3261 section 19.1, RFC 3986 for other schemes).
func (c *checker) uri(u []byte, at place) (scheme, string) {
	colon := span(u, 0, isScheme)
	switch {
	case len(u) == 0:
		return 0, "has an empty address"
	case u[0] == '<':
		return 0, "has angle brackets around it"
	case colon == 0 || colon == len(u) || u[colon] != ':' || classes[u[0]]&isDigit != 0:
		return 0, "has an address without a scheme"
	}
	rest := u[colon+1:]
	if fold(u[:colon], "sip") || fold(u[:colon], "sips") {
		return schemeSIP, c.sipURI(rest, at)
	}
	if len(rest) == 0 || span(rest, 0, isURI) < len(rest) {
		return 0, "has an address with blanks or other bytes that no address has"
	}
	switch {
	case fold(u[:colon], "tel"):
		return schemeTel, ""
	case fold(u[:colon], "urn"):
		return schemeURN, ""
	}
	return schemeOther, ""
}

// sipURI reads what follows sip: or sips:.
func (c *checker) sipURI(u []byte, at place) string {
	host := u
	if i := bytes.IndexByte(u, '@'); i >= 0 {
		if problem := userPart(u[:i], at); problem != "" {
			return problem
		}
		host = u[i+1:]
	}
	i, problem := c.hostPort(host, 0)
	if problem != "" {
		return problem
	}
	for i < len(host) && host[i] == ';' {
		end, ok := escaped(host, i+1, isParam)
		if !ok {
			return "has an address with a % that is no escape"
		}
		if end == i+1 {
			return "has an address with an empty parameter"
		}
		i = end
	}
	if i < len(host) && host[i] == '?' {
		switch end, ok := i+1, true; {
		case at == inRequest:
			return "has header fields, which a Request-URI may not (RFC 3261 section 19.1.1)"
		case at == bare:
			return "has an address with header fields and no angle brackets"
		default:
			for end < len(host) {
				if end, ok = escaped(host, end, isParam|isUser); !ok {
					return "has an address with a % that is no escape"
				}
				if end < len(host) {
					break
				}
			}
			i = end
		}
	}
	if i < len(host) {
		return "has an address with blanks or other bytes that no address has"
	}
	return ""
}

// userPart reads user [ ":" password ], each with its escapes.
func userPart(u []byte, at place) string {
	if len(u) == 0 {
		return "has an address with an empty user part"
	}
	end, ok := escaped(u, 0, isUser)
	switch {
	case !ok:
		return "has an address with a % that is no escape"
	case end < len(u):
		return "has an address with blanks or other bytes that no user part has"
	case at == bare && bytes.ContainsAny(u, "?,"):
		return "has an address that needs angle brackets"
	case !utf8.Valid(u):
		return "has an address that is not UTF-8"
	}
	return ""
}

// escaped gives the end of the run of bytes of a class and of escapes, and
// whether each % began one.
func escaped(b []byte, i int, class uint16) (int, bool) {
	for i < len(b) {
		switch {
		case classes[b[i]]&class != 0:
			i++
		case b[i] != '%':
			return i, true
		case i+2 < len(b) && classes[b[i+1]]&classes[b[i+2]]&isHex != 0:
			i += 3
		default:
			return i, false
		}
	}
	return i, true
}

// hostPort reads host [ ":" port ] from b[i:] and returns where it ends.
func (c *checker) hostPort(b []byte, i int) (int, string) {
	start := i
	if i < len(b) && b[i] == '[' {
		end := bytes.IndexByte(b[i:], ']')
		if end < 0 || !c.ipv6(b[i+1:i+end]) {
			return 0, "has brackets without an IPv6 address in them"
		}
		i += end + 1
	} else {
		i = span(b, i, isHost)
		if i == start || i-start > 255 {
			return 0, "has an address without a host"
		}
		if !hostName(b[start:i]) {
			return 0, "has a host that is neither a name nor an address"
		}
	}
	if i == len(b) || b[i] != ':' {
		return i, ""
	}
	return port(b, i+1)
}

// port reads the digits behind a colon.
func port(b []byte, i int) (int, string) {
	end := span(b, i, isDigit)
	n, problem := number(b[i:end], 65535)
	switch {
	case end < len(b) && b[end] == ':':
		return 0, "has a host with too many colons: an IPv6 address stands in brackets"
	case problem != "" || n == 0 || end-i > 5:
		return 0, "has no port from 1 to 65535 behind the colon"
	}
	return end, ""
}

// hostName takes what names have in practice: underscores, a dot at the end.
func hostName(b []byte) bool {
	if b[0] == '.' || b[0] == '-' {
		return false
	}
	for i := 1; i < len(b); i++ {
		if b[i] == '.' && b[i-1] == '.' {
			return false
		}
	}
	return true
}

// ipv6 reads an IPv6 address (RFC 4291 section 2.2). Three colons are what the
// grammar of RFC 3261 makes of two; RFC 5118 section 4.10 wants them taken.
func (c *checker) ipv6(b []byte) bool {
	groups, gap := 0, false
	for i := 0; ; {
		switch {
		case i+1 < len(b) && b[i] == ':' && b[i+1] == ':':
			if gap {
				return false
			}
			gap = true
			if i += 2; i < len(b) && b[i] == ':' {
				i++
				c.odd = true
			}
			if i == len(b) {
				return groups < 8
			}
		case i > 0 && i < len(b) && b[i] == ':':
			i++
		case i > 0:
			return false
		}
		end := span(b, i, isHex)
		if end < len(b) && b[end] == '.' {
			groups += 2
			return ipv4(b[i:]) && (groups == 8 || gap && groups < 8)
		}
		if end == i || end-i > 4 {
			return false
		}
		groups++
		if i = end; i == len(b) {
			return groups == 8 || gap && groups < 8
		}
	}
}

func ipv4(b []byte) bool {
	for n := 1; ; n++ {
		i := span(b, 0, isDigit)
		if _, problem := number(b[:i], 255); problem != "" || i > 3 {
			return false
		}
		if n == 4 {
			return i == len(b)
		}
		if i == len(b) || b[i] != '.' {
			return false
		}
		b = b[i+1:]
	}
}
