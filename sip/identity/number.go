package identity

import (
	"bytes"
	"strings"

	"github.com/portero/portero/sip/fingerprint"
)

// Number gives the digits of a telephone number, a leading + kept, visual
// separators (RFC 3966 section 5.1.1) and parameters dropped; empty if s is no
// number. It does not guess country codes.
func Number(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), ";")
	if len(s) > 64 {
		return ""
	}
	var b strings.Builder
	for i, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9':
			b.WriteByte(c)
		case c == '+' && i == 0:
			b.WriteByte(c)
		case c == '-' || c == '.' || c == '(' || c == ')' || c == ' ':
		default:
			return ""
		}
	}
	if n := b.String(); n != "+" {
		return n
	}
	return ""
}

// Unescape undoes %HH (RFC 3261 section 19.1.2); broken escapes stay.
func Unescape(b []byte) string {
	if bytes.IndexByte(b, '%') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			hi, lo := unhex(b[i+1]), unhex(b[i+2])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// unescapeQuoted undoes the backslashes of a quoted display name.
func unescapeQuoted(a fingerprint.Address) []byte {
	if !a.Quoted || bytes.IndexByte(a.Display, '\\') < 0 {
		return a.Display
	}
	out := make([]byte, 0, len(a.Display))
	for i := 0; i < len(a.Display); i++ {
		if a.Display[i] == '\\' && i+1 < len(a.Display) {
			i++
		}
		out = append(out, a.Display[i])
	}
	return out
}

// printable keeps valid UTF-8 without control characters, at most 128 bytes:
// names end in logs and on a supervisor's page.
func printable(b []byte) string {
	if len(b) > 128 {
		b = b[:128]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), ""))
}
