package config

import (
	"strings"
	"testing"
)

// The place of the word BAD inside a value, by its line and column in the
// file, must be found from its offset in the value.
func TestInside(t *testing.T) {
	for name, file := range map[string]string{
		"plain":           "when: a and BAD == 1\n",
		"plain, accents":  "when: x == \"é\" and BAD\n",
		"plain folded":    "when: a and\n    b or\n  BAD\n",
		"single quotes":   "when: 'a == ''x'' and BAD'\n",
		"single, folded":  "when: 'a\n\n  and BAD'\n",
		"double quotes":   "when: \"a == \\\"x\\\" \\x41 \\u00e9 BAD\"\n",
		"double, escaped": "when: \"a \\\n    BAD\"\n",
		"literal":         "when: |\n  a and\n  BAD\n",
		"literal, strip":  "when: |-   # a comment\n\n     a and\n     b and BAD or\n     c\n",
		"literal, deeper": "when: |\n  a and\n    (b\n      or BAD)\n",
		"literal, blank":  "when: |\n  a and\n\n  BAD\n",
		"folded, deeper":  "when: >\n  a and\n    (b\n      or BAD)\n",
		"folded block":    "when: >\n  a and\n  b and BAD or\n  c\n",
		"folded, blank":   "when: >\n  a and\n\n  BAD\n",
		"in a list":       "when:\n  - x\n  - 'é' # BED\n  - [a, 'BAD']\n",
		"at the start":    "when: BAD\n",
		"CRLF":            "when: |\r\n  a and\r\n  BAD\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader("t", []byte(file))
			root, ok := r.parse()
			if !ok {
				t.Fatal(r.faults)
			}
			n := root.Content[1]
			for len(n.Content) > 0 {
				n = n.Content[len(n.Content)-1]
			}
			offset := strings.Index(n.Value, "BAD")
			if offset < 0 {
				t.Fatalf("value %q", n.Value)
			}
			line, column := r.inside(n, offset)
			before, _, _ := strings.Cut(file, "BAD")
			wantLine := strings.Count(before, "\n") + 1
			wantColumn := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
			if line != wantLine || column != wantColumn {
				t.Errorf("found at %d:%d, stands at %d:%d", line, column, wantLine, wantColumn)
			}
		})
	}
}
