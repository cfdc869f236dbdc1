package stir

import (
	"fmt"
	"strings"

	"github.com/portero/portero/sip/syntax"
)

// header is one value of an Identity header field (RFC 8224 section 4).
type header struct {
	digest string // the PASSporT, full or compact
	info   string // URI of the certificate
	alg    string // ES256 if it is not said
	ppt    string // the PASSporT's extension, empty for none
}

// compact says whether claims are left out and to be taken from the request.
func (h header) compact() bool { return strings.HasPrefix(h.digest, "..") }

// values splits a header field at the commas between its values, which stand
// neither in quotes nor in brackets.
func values(field string) []string {
	var kept []string
	for field != "" {
		end := syntax.Separator(field, ",")
		if v := strings.TrimSpace(field[:end]); v != "" {
			kept = append(kept, v)
		}
		field = field[min(end+1, len(field)):]
	}
	return kept
}

// parseHeader takes one value apart.
func parseHeader(value string) (header, error) {
	h := header{alg: "ES256"}
	if len(value) > maxHeader {
		return h, fmt.Errorf("the header has %d bytes, more than %d", len(value), maxHeader)
	}
	rest := ""
	h.digest, rest, _ = strings.Cut(value, ";")
	h.digest = strings.TrimSpace(h.digest)
	if strings.Count(h.digest, ".") != 2 || strings.ContainsAny(h.digest, " \t\"<>") {
		return h, fmt.Errorf("%.20q is no PASSporT", h.digest)
	}
	for rest != "" {
		var name, v string
		name, v, rest = param(rest)
		switch strings.ToLower(name) {
		case "info":
			if !strings.HasPrefix(v, "<") || !strings.HasSuffix(v, ">") {
				return h, fmt.Errorf("info %.60q is not a URI in brackets", v)
			}
			h.info = strings.TrimSpace(v[1 : len(v)-1])
		case "alg":
			h.alg = v
		case "ppt":
			h.ppt = v
		}
	}
	if h.info == "" {
		return h, fmt.Errorf("there is no info parameter")
	}
	return h, nil
}

// param takes the first of ";name=value" parameters off; the value loses its
// quotes. A URI in brackets may hold semicolons.
func param(s string) (name, value, rest string) {
	end := syntax.Separator(s, ";")
	one, rest := s[:end], s[min(end+1, len(s)):]
	name, value, _ = strings.Cut(one, "=")
	value = strings.TrimSpace(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return strings.TrimSpace(name), value, rest
}
