package fingerprint

import (
	"bytes"
	"iter"
)

// Address is a name-addr or addr-spec (RFC 3261 section 25.1) taken apart
// without being checked.
type Address struct {
	Display []byte // without quotes, escapes left as they are
	Quoted  bool   // the display name stood in quotes
	Angled  bool   // the URI stood in angle brackets
	URI     []byte // with its own parameters
	Params  []byte // the header parameters, from the first ';' on
	Rest    []byte // what follows the next comma, for lists
}

// ParseAddress takes the first address off a From, To, Contact,
// P-Asserted-Identity or alike. It never fails; what is not there is empty.
func ParseAddress(v []byte) Address {
	var a Address
	v = bytes.TrimLeft(v, " \t,")
	if len(v) > 0 && v[0] == '"' {
		i := 1
		for i < len(v) && v[i] != '"' {
			if v[i] == '\\' {
				i++
			}
			i++
		}
		if i >= len(v) {
			return a
		}
		a.Display, a.Quoted = v[1:i], true
		v = v[i+1:]
	}
	open := bytes.IndexByte(v, '<')
	if open >= 0 && bytes.IndexByte(v[:open], ',') >= 0 && !a.Quoted {
		open = -1 // the bracket belongs to the next address of the list
	}
	if open < 0 {
		// Without brackets all parameters are the header's (RFC 3261 section 20).
		v, a.Rest, _ = bytes.Cut(v, []byte{','})
		if i := bytes.IndexByte(v, ';'); i >= 0 {
			v, a.Params = v[:i], v[i:]
		}
		a.URI = bytes.TrimSpace(v)
		return a
	}
	if !a.Quoted {
		a.Display = bytes.TrimSpace(v[:open])
	}
	a.Angled = true
	v = v[open+1:]
	end := bytes.IndexByte(v, '>')
	if end < 0 {
		a.URI = v
		return a
	}
	a.URI, v = v[:end], v[end+1:]
	end = unquoted(v, ',')
	if end < len(v) {
		a.Rest = v[end+1:]
	}
	if i := bytes.IndexByte(v[:end], ';'); i >= 0 {
		a.Params = v[i:end]
	}
	return a
}

// Param finds a parameter by name in ";a=b;c" and tells whether it was there;
// the value is without quotes and empty for a bare name.
func Param(params []byte, name string) (value []byte, ok bool) {
	for len(params) > 0 {
		var n, v []byte
		n, v, params = nextParam(params)
		if foldEqual(n, name) {
			return unquote(v), true
		}
	}
	return nil, false
}

// Params walks over parameters ";a=b;c" in their order; values lose their quotes.
func Params(params []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for len(params) > 0 {
			var n, v []byte
			n, v, params = nextParam(params)
			if len(n) > 0 && !yield(n, unquote(v)) {
				return
			}
		}
	}
}

// unquote drops the quotes around a value.
func unquote(v []byte) []byte {
	for len(v) > 0 && v[0] == '"' {
		v = v[1:]
	}
	for len(v) > 0 && v[len(v)-1] == '"' {
		v = v[:len(v)-1]
	}
	return v
}

// nextParam takes the first parameter off, quotes left in place.
func nextParam(params []byte) (name, value, rest []byte) {
	for len(params) > 0 && (params[0] == ';' || blank(params[0])) {
		params = params[1:]
	}
	end := unquoted(params, ';')
	one := params[:end]
	name, value, _ = bytes.Cut(one, []byte{'='})
	return bytes.TrimSpace(name), bytes.TrimSpace(value), params[end:]
}

// unquoted finds c outside quoted strings; len(b) if it is not there.
func unquoted(b []byte, c byte) int {
	in := false
	for i := 0; i < len(b); i++ {
		switch {
		case in && b[i] == '\\':
			i++
		case b[i] == '"':
			in = !in
		case !in && b[i] == c:
			return i
		}
	}
	return len(b)
}

// SplitURI takes a sip, sips, tel or other URI apart: scheme in any case as
// spelled, user without password, host without port, port, and the parameters
// from the first ';' on. A tel URI's number is its user.
func SplitURI(uri []byte) (scheme, user, host, port, params []byte) {
	colon := bytes.IndexByte(uri, ':')
	if colon < 0 {
		return nil, nil, uri, nil, nil
	}
	scheme, rest := uri[:colon], uri[colon+1:]
	if !foldEqual(scheme, "sip") && !foldEqual(scheme, "sips") {
		user, params = rest, nil
		if i := bytes.IndexByte(rest, ';'); i >= 0 {
			user, params = rest[:i], rest[i:]
		}
		return scheme, user, nil, nil, params
	}
	if at := bytes.LastIndexByte(rest, '@'); at >= 0 {
		user, rest = rest[:at], rest[at+1:]
		user, _, _ = bytes.Cut(user, []byte{':'})
	}
	if i := bytes.IndexAny(rest, ";?"); i >= 0 {
		if rest[i] == ';' {
			params = rest[i:]
		}
		rest = rest[:i]
	}
	host = rest
	if i := bytes.LastIndexByte(rest, ':'); i >= 0 && bytes.IndexByte(rest[i:], ']') < 0 {
		host, port = rest[:i], rest[i+1:]
	}
	return scheme, user, host, port, params
}
