package stir

import (
	"strings"
)

// canonical is a telephone number as it is signed (RFC 8224 section 8.3): the
// digits without + and visual separators; # and * stay. Empty if s is no number.
func canonical(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), ";")
	if len(s) > 64 {
		return ""
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9', c == '#', c == '*':
			b.WriteByte(c)
		case c == '+' || c == '-' || c == '.' || c == '(' || c == ')' || c == ' ':
		default:
			return ""
		}
	}
	return b.String()
}

// spellings are the forms in which the number of a request may have been signed:
// as it is, without its international prefix, and with the country code if it
// is written in national form.
func spellings(number, country string) []string {
	n := canonical(number)
	if n == "" {
		return nil
	}
	out := []string{n}
	if strings.HasPrefix(strings.TrimSpace(number), "+") {
		return out
	}
	if rest, ok := strings.CutPrefix(n, "00"); ok {
		out = append(out, rest)
	} else if country != "" {
		out = append(out, country+strings.TrimPrefix(n, "0"))
	}
	return out
}

// canonicalURI is a SIP URI as it is signed (RFC 8224 section 8.5): scheme, user
// and host in lower case, no port, password, parameters or headers.
func canonicalURI(scheme, user, host string) string {
	if host == "" {
		return ""
	}
	return strings.ToLower(scheme) + ":" + user + "@" + strings.ToLower(host)
}
