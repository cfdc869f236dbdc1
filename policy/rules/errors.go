package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/file"

	"github.com/portero/portero/policy/spelling"
)

// Fault is one mistake in a Config.
type Fault struct {
	Path string // where in the configuration, as rules[0].when
	Err  error  // what is wrong; an *ExprError inside expressions
}

// Error says where and what.
func (f *Fault) Error() string { return f.Path + ": " + f.Err.Error() }

// Unwrap is the mistake without its place.
func (f *Fault) Unwrap() error { return f.Err }

// ExprError is a mistake inside an expression.
type ExprError struct {
	Line    int    // in the expression, from 1
	Column  int    // in the line, in characters, from 1
	Message string // what is wrong and what is allowed
}

// Error says what is wrong, and where unless that is the very start.
func (e *ExprError) Error() string {
	if e.Line <= 1 && e.Column <= 1 {
		return e.Message
	}
	return fmt.Sprintf("%s (line %d, column %d of the expression)", e.Message, e.Line, e.Column)
}

// Position is the mistake's line and column in the expression, from 1.
func (e *ExprError) Position() (line, column int) { return e.Line, e.Column }

// exprError translates what expr says of an expression.
func exprError(err error) *ExprError {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return &ExprError{Line: 1, Column: 1, Message: err.Error()}
	}
	e := &ExprError{Line: max(fe.Line, 1), Column: fe.Column + 1, Message: fe.Message}
	if name, ok := strings.CutPrefix(fe.Message, "unknown name "); ok {
		e.Message = fmt.Sprintf("unknown fact %s; ", name)
		if n := spelling.Nearest(name, factNames, 2); n != "" {
			e.Message += "is it " + n + "? "
		}
		e.Message += "the facts are: " + strings.Join(factNames, ", ")
	}
	return e
}

// exprErrorAt is a mistake at a character offset of the expression.
func exprErrorAt(source string, at int, format string, args ...any) *ExprError {
	fe := (&file.Error{Location: file.Location{From: at}}).Bind(file.NewSource(source))
	return &ExprError{Line: fe.Line, Column: fe.Column + 1, Message: fmt.Sprintf(format, args...)}
}

// names lists what is there.
func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
