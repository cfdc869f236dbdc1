// Package spelling guesses which known name a misspelt one was meant to be, for the
// messages about somebody's configuration, rules and signatures. It is pure.
//
// May be added here: a better guess. Must not: taking a guess for what was written.
package spelling

import "strings"

// Nearest is the candidate most like a word, or "" when none is: at most one edit
// in so many characters. Case, blanks, - and _ do not count.
func Nearest(word string, candidates []string, characters int) string {
	best, found := len(word)/characters+1, ""
	for _, c := range candidates {
		if d := distance(fold(word), fold(c)); d < best {
			best, found = d, c
		}
	}
	return found
}

// fold makes spellings equal that people confuse: Listen-For, listenFor and
// listen_for.
func fold(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
}

// distance is the number of insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
