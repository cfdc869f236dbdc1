package syntax

import "strings"

// Separator is where the first of some separators stands in a header's value,
// neither in quotes nor in brackets; len(value) if none does.
func Separator(value, separators string) int {
	quoted, angled := false, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<' || c == '>':
			angled = c == '<'
		case !angled && strings.IndexByte(separators, c) >= 0:
			return i
		}
	}
	return len(value)
}
