package syntax

import (
	"bytes"
	"slices"
)

// tidy gives a sound message in the spelling that the parser reads right:
// header fields on one line each, one value a line where values make a list, no
// blanks around separators, the names of known parameters in lower case. What
// the message says stays the same; an escaped control character, which nobody
// can read, becomes a space.
func tidy(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+64)
	line, at, _ := nextLine(raw, 0)
	out = append(tidyStart(out, line), '\r', '\n')
	for {
		if at == len(raw) {
			break
		}
		line, next, _, _ := nextField(raw, at)
		if at = next; len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		out = tidyField(out, trim(line[:colon]), trim(line[colon+1:]))
	}
	out = append(out, '\r', '\n')
	return append(out, raw[at:]...)
}

// tidyStart writes the start line: SIP in capitals, a space before even an
// empty reason.
func tidyStart(out, line []byte) []byte {
	if fold(line[:4], "sip/") {
		out = append(append(out, "SIP"...), tidyText(line[3:])...)
		if bytes.IndexByte(line[8:], ' ') < 0 {
			out = append(out, ' ')
		}
		return out
	}
	last := bytes.LastIndexByte(line, ' ')
	first := bytes.IndexByte(line, ' ')
	out = append(out, line[:first+1]...)
	out = tidyURI(out, line[first+1:last])
	return append(out, " SIP/2.0"...)
}

func tidyField(out, name, v []byte) []byte {
	begin := func() { out = append(append(out, name...), ": "...) }
	end := func() { out = append(out, "\r\n"...) }
	switch h := headerOf(name); h {
	case hVia:
		for i := 0; i < len(v); i++ {
			begin()
			out, i = tidyVia(out, v, blanks(v, i))
			end()
		}
	case hFrom, hTo, hReferTo, hReferredBy, hContact, hRoute, hRecordRoute:
		for i := 0; i < len(v); i++ {
			begin()
			out, i = tidyAddress(out, h, v, blanks(v, i))
			end()
		}
	case hCSeq:
		i := span(v, 0, isDigit)
		begin()
		out = append(append(append(out, v[:i]...), ' '), trim(v[i:])...)
		end()
	case hContentType:
		slash := bytes.IndexByte(v, '/')
		begin()
		out = append(append(append(out, trim(v[:slash])...), '/'), tidyText(trim(v[slash+1:]))...)
		end()
	default:
		begin()
		out = append(out, tidyText(v)...)
		end()
	}
	return out
}

// tidyText makes spaces of escaped control characters.
func tidyText(v []byte) []byte {
	if plain(v) {
		return v
	}
	v = bytes.Clone(v)
	for i := range v {
		if v[i] < 0x20 && v[i] != '\t' || v[i] == 0x7f {
			v[i] = ' '
			if i > 0 && v[i-1] == '\\' {
				v[i-1] = ' '
			}
		}
	}
	return v
}

// tidyVia writes one Via value and returns where it ends in v.
func tidyVia(out, v []byte, i int) ([]byte, int) {
	transport := i
	for range 2 { // behind the second slash
		transport += bytes.IndexByte(v[transport:], '/') + 1
	}
	transport = blanks(v, transport)
	end := span(v, transport, isToken)
	out = append(append(append(out, "SIP/2.0/"...), v[transport:end]...), ' ')
	i = blanks(v, end)
	for end = i; end < len(v) && v[end] != ';' && v[end] != ','; end++ {
	}
	out = tidyURI(out, slices.DeleteFunc(bytes.Clone(v[i:end]), blank))
	return tidyParams(out, hVia, v, end)
}

// tidyAddress writes one address with its parameters.
func tidyAddress(out []byte, h header, v []byte, i int) ([]byte, int) {
	if v[i] == '*' {
		return append(out, '*'), len(v)
	}
	var c checker
	bracket := span(v, i, isName)
	if v[i] == '"' {
		end, _ := c.quoted(v, i)
		name := tidyText(v[i:end])
		if h != hFrom && h != hTo {
			// Elsewhere the parser takes an escaped quote for the end of the name.
			name = bytes.ReplaceAll(bytes.ReplaceAll(name, []byte(`\\`), []byte(`/`)), []byte(`\"`), []byte(`'`))
		}
		out = append(append(out, name...), ' ')
		bracket = blanks(v, end)
	} else if bracket < len(v) && v[bracket] == '<' {
		if name := trim(v[i:bracket]); len(name) > 0 {
			out = append(append(out, bytes.ReplaceAll(name, []byte(`\`), []byte("/"))...), ' ')
		}
	}
	out = append(out, '<')
	var end int
	if bracket < len(v) && v[bracket] == '<' {
		end = bracket + bytes.IndexByte(v[bracket:], '>')
		out = tidyURI(out, v[bracket+1:end])
		end++
	} else {
		for end = i; end < len(v) && v[end] != ';' && v[end] != ','; end++ {
		}
		out = tidyURI(out, trim(v[i:end]))
	}
	return tidyParams(append(out, '>'), h, v, end)
}

// tidyURI writes an address; three colons are two (RFC 5118 section 4.10).
func tidyURI(out, u []byte) []byte {
	if open := bytes.IndexByte(u, '['); open >= 0 {
		return append(out, bytes.Replace(u, []byte(":::"), []byte("::"), 1)...)
	}
	return append(out, u...)
}

// tidyParams writes the parameters at v[i:] and returns the comma behind them,
// or the end.
func tidyParams(out []byte, h header, v []byte, i int) ([]byte, int) {
	var c checker
	for {
		i = blanks(v, i)
		if i == len(v) || v[i] == ',' {
			return out, i
		}
		i = blanks(v, i+1)
		end := span(v, i, isToken)
		name := v[i:end]
		for _, known := range [...]string{"tag", "branch", "received", "rport", "maddr", "ttl", "transport"} {
			if fold(name, known) {
				name = []byte(known)
			}
		}
		var value []byte
		i = end
		if k := blanks(v, end); k < len(v) && v[k] == '=' {
			value, i, _ = c.paramValue(v, k+1)
		}
		if value, ok := tidyValue(h, name, value); ok {
			out = append(append(out, ';'), name...)
			if len(value) > 0 {
				out = append(append(out, '='), value...)
			}
		}
	}
}

// tidyValue gives a parameter's value in a form that the parser carries, or
// false if there is none: such a parameter is left out.
func tidyValue(h header, name, value []byte) ([]byte, bool) {
	switch {
	case string(name) == "received" && len(value) > 2 && value[0] == '[':
		return bytes.Trim(value, "[]"), true
	case len(value) == 0 || value[0] != '"':
		return value, true
	case h == hVia:
		return value[1 : len(value)-1], true
	}
	value = tidyText(value)
	value = bytes.ReplaceAll(value, []byte(", "), []byte(","))
	if bytes.ContainsAny(value, " \t\\") || (h == hFrom || h == hTo) && bytes.ContainsAny(value, ";=") {
		return nil, false
	}
	return value, true
}
