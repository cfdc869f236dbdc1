package signature

import (
	"bytes"
	"strings"

	"github.com/portero/portero/sip/fingerprint"
)

// glob is a pattern of literal text and * for any text, in any case. It may
// stand for the whole of a text only.
type glob struct {
	first, last string   // what the text begins and ends with
	inner       []string // what stands between, in this order
	anchors     []int    // in each of inner, a rare character that has no case; -1: none
	open        bool     // there is a *
	letters     uint64   // that a text must have
}

// newGlob takes a pattern; \* and \\ are the characters themselves.
func newGlob(pattern string) glob {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern) && (pattern[i+1] == '*' || pattern[i+1] == '\\'):
			i++
			b.WriteByte(pattern[i])
		case c == '*':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(low(c))
		}
	}
	parts = append(parts, b.String())
	g := glob{first: parts[0], letters: fingerprint.Letters(strings.Join(parts, ""))}
	if len(parts) > 1 {
		g.open, g.last = true, parts[len(parts)-1]
		for _, p := range parts[1 : len(parts)-1] {
			if p != "" {
				g.inner, g.anchors = append(g.inner, p), append(g.anchors, anchor(p))
			}
		}
	}
	return g
}

// pattern writes a text as one that matches it alone.
func pattern(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(text)
}

// empty says whether the glob matches a text that is not there.
func (g *glob) empty() bool { return g.first == "" && g.last == "" && len(g.inner) == 0 }

// match compares a text in any case.
func (g *glob) match(text []byte) bool {
	if !g.open {
		return equal(text, g.first)
	}
	n := len(g.first) + len(g.last)
	if len(text) < n || !equal(text[:len(g.first)], g.first) || !equal(text[len(text)-len(g.last):], g.last) {
		return false
	}
	text = text[len(g.first) : len(text)-len(g.last)]
	for n, part := range g.inner {
		i := index(text, part, g.anchors[n])
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// matchLow compares a text that is in lower case already, and has these letters.
func (g *glob) matchLow(text []byte, letters uint64) bool {
	if g.letters&^letters != 0 {
		return false // most patterns end here
	}
	if !g.open {
		return string(text) == g.first
	}
	n := len(g.first) + len(g.last)
	if len(text) < n || string(text[:len(g.first)]) != g.first || string(text[len(text)-len(g.last):]) != g.last {
		return false
	}
	text = text[len(g.first) : len(text)-len(g.last)]
	for _, part := range g.inner {
		i := bytes.Index(text, []byte(part)) // does not allocate
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// equal compares ASCII in any case with what is in lower case.
func equal(text []byte, want string) bool {
	if len(text) != len(want) {
		return false
	}
	for i := range want {
		if low(text[i]) != want[i] {
			return false
		}
	}
	return true
}

// index finds what is in lower case in a text in any case; -1 if it is not there.
// at is the anchor of part.
func index(text []byte, part string, at int) int {
	if at < 0 {
		for i := 0; i+len(part) <= len(text); i++ {
			if low(text[i]) == part[0] && equal(text[i:i+len(part)], part) {
				return i
			}
		}
		return -1
	}
	for i := at; i < len(text); i++ {
		next := bytes.IndexByte(text[i:], part[at])
		if next < 0 {
			return -1
		}
		i += next
		if from := i - at; from+len(part) <= len(text) && equal(text[from:from+len(part)], part) {
			return from
		}
	}
	return -1
}

// anchor chooses the character of a part by which it is looked for.
func anchor(part string) int {
	for _, class := range []string{`"<>@()[]/+*`, "-_ :;=.,", "0123456789"} {
		if i := strings.IndexAny(part, class); i >= 0 {
			return i
		}
	}
	return -1
}

// lows has each character in lower case.
var lows = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] |= 0x20
		}
	}
	return t
}()

func low(c byte) byte { return lows[c] }
