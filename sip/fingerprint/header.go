package fingerprint

import (
	"bytes"
	"iter"
	"strings"
)

// Header is one header field as it stood in the message.
type Header struct {
	Name   []byte // as spelled, without the blanks before the colon
	Value  []byte // without surrounding blanks; folded lines are joined by one space (RFC 3261 section 7.3.1)
	Folded bool   // the value ran over several lines
	Blanks int    // how many blanks stood between the colon and the value
	Gap    bool   // there was a blank before the colon
}

// compact has the one-letter forms (RFC 3261 section 7.3.3, the IANA registry).
var compact = [256]string{
	'a': "Accept-Contact", 'b': "Referred-By", 'c': "Content-Type", 'd': "Request-Disposition",
	'e': "Content-Encoding", 'f': "From", 'i': "Call-ID", 'j': "Reject-Contact", 'k': "Supported",
	'l': "Content-Length", 'm': "Contact", 'n': "Identity-Info", 'o': "Event", 'r': "Refer-To",
	's': "Subject", 't': "To", 'u': "Allow-Events", 'v': "Via", 'x': "Session-Expires", 'y': "Identity",
}

// Is reports whether the header has the given name, in any case or in its
// compact form.
func (h Header) Is(name string) bool {
	if len(h.Name) == 1 {
		long := compact[h.Name[0]|0x20]
		return long != "" && strings.EqualFold(long, name)
	}
	return foldEqual(h.Name, name)
}

// StartLine gives the first line of a message without its line end; leading
// empty lines, which RFC 3261 section 7.5 allows, are skipped.
func StartLine(raw []byte) []byte {
	line, _ := cut(trimLeading(raw))
	return line
}

// Headers walks over the header fields of a message in their order. Lines that
// are no header are passed over; bare LF line ends are taken too. The walk ends
// at the empty line before the body or where the bytes end.
func Headers(raw []byte) iter.Seq[Header] {
	return func(yield func(Header) bool) {
		_, rest := cut(trimLeading(raw))
		for len(rest) > 0 {
			var line []byte
			line, rest = cut(rest)
			if len(line) == 0 {
				return
			}
			colon := bytes.IndexByte(line, ':')
			if colon <= 0 || blank(line[0]) {
				continue
			}
			var h Header
			h.Name = trimRight(line[:colon])
			h.Gap = len(h.Name) < colon
			value := trimLeft(line[colon+1:])
			h.Blanks = len(line) - colon - 1 - len(value)
			h.Value = trimRight(value)
			if len(rest) > 0 && blank(rest[0]) {
				// Folding is rare; only then is the value copied.
				joined := append([]byte(nil), h.Value...)
				for len(rest) > 0 && blank(rest[0]) {
					line, rest = cut(rest)
					joined = append(append(joined, ' '), trimLeft(trimRight(line))...)
				}
				h.Value, h.Folded = joined, true
			}
			if len(h.Name) > 0 && !yield(h) {
				return
			}
		}
	}
}

// Body gives what follows the empty line after the headers; nil if there is none.
func Body(raw []byte) []byte {
	_, rest := cut(trimLeading(raw))
	for len(rest) > 0 {
		var line []byte
		if line, rest = cut(rest); len(line) == 0 {
			return rest
		}
	}
	return nil
}

// cut takes the first line off b.
func cut(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return bytes.TrimSuffix(b, []byte{'\r'}), nil
	}
	rest = b[i+1:]
	if i > 0 && b[i-1] == '\r' {
		i--
	}
	return b[:i], rest
}

func trimLeading(raw []byte) []byte {
	for len(raw) > 0 && (raw[0] == '\r' || raw[0] == '\n') {
		raw = raw[1:]
	}
	return raw
}

// trimLeft and trimRight drop blanks; bytes.Trim first makes a set of them.
func trimLeft(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	return b
}

func trimRight(b []byte) []byte {
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// foldEqual compares ASCII without regard to case and without allocating.
func foldEqual(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
