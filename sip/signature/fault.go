package signature

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one mistake in a file of signatures.
type Fault struct {
	File    string // as given to Load
	Line    int    // from 1; 0 when the mistake is the file itself
	Column  int    // from 1, in characters; 0 when the mistake is the file itself
	Path    string // dotted, like signatures[3].when.session; empty at the top
	Message string // what is wrong, and what is allowed there
}

// Error says where and what: file:line:column: path: what is wrong; allowed: ….
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults are all mistakes of some files, in their order. It is never empty when
// it is an error.
type Faults []Fault

// Error is one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the faults of one file in its order, each said once.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(fs)
}
