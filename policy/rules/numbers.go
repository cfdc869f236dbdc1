package rules

import (
	"errors"
	"strings"
)

// Numbers is a set of patterns as the configuration's lists have them: whole
// numbers, prefixes ending in *, user names.
type Numbers struct{ l *list }

// NewNumbers reads patterns and reports those it cannot, by their index.
func NewNumbers(patterns []string, fault func(i int, err error)) *Numbers {
	return &Numbers{newList(patterns, fault)}
}

// Has says whether the user part of an address is in the set.
func (n *Numbers) Has(user string) bool { return n.l.match(Number(user)) }

// list is a set of patterns of numbers or users.
type list struct {
	exact    map[string]bool
	prefixes map[string]bool // without their *
}

// newList reads patterns and reports those it cannot, by their index.
func newList(patterns []string, fault func(i int, err error)) *list {
	l := &list{exact: map[string]bool{}, prefixes: map[string]bool{}}
	for i, p := range patterns {
		text, prefix := strings.CutSuffix(strings.TrimSpace(p), "*")
		n := Number(text)
		switch {
		case n == "" || n == "+":
			fault(i, errors.New("the pattern names no number; allowed is a number, a prefix ending in *, or a user name"))
		case strings.Contains(text, "*"):
			fault(i, errors.New("a * may stand only at the end of a pattern"))
		case prefix:
			l.prefixes[n] = true
		default:
			l.exact[plusless(n)] = true
		}
	}
	return l
}

// match says whether a number in Number's form is on the list.
func (l *list) match(number string) bool {
	if number == "" {
		return false
	}
	if l.exact[plusless(number)] {
		return true
	}
	if len(l.prefixes) == 0 {
		return false
	}
	for i := 1; i <= len(number); i++ {
		if l.prefixes[number[:i]] {
			return true
		}
	}
	return false
}

// Number brings the user part of an address into the form in which numbers are
// compared: parameters cut off (RFC 3966 section 3), visual separators removed,
// a leading 00 turned into +. What is no number (RFC 3966 allows digits, * and
// #) stays as it is.
func Number(user string) string {
	user, _, _ = strings.Cut(user, ";")
	user = strings.TrimSpace(user)
	digits := make([]byte, 0, 32)
	for i := range len(user) {
		switch c := user[i]; {
		case c >= '0' && c <= '9', c == '*', c == '#', c == '+' && len(digits) == 0:
			digits = append(digits, c)
		case c == ' ', c == '-', c == '.', c == '(', c == ')', c == '/':
		default:
			return user
		}
	}
	// 00 is the international prefix nearly everywhere; shorter ones are
	// extensions.
	if len(digits) > 4 && digits[0] == '0' && digits[1] == '0' {
		return "+" + string(digits[2:])
	}
	return string(digits)
}

// plusless is the form in which whole numbers are compared: trunks send E.164
// numbers with and without the +. Short ones and those with a leading 0 are
// national or internal and keep what they have.
func plusless(n string) string {
	if bare, ok := strings.CutPrefix(n, "+"); ok && len(bare) >= 8 {
		return bare
	}
	return n
}
