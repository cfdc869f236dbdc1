package config

import (
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/policy/rules"
)

// A place is where the value of a path stands in the file.
type place struct {
	key  *yaml.Node // of a mapping entry; nil for list items and the root
	node *yaml.Node // the value
}

// mark is the line and column to show for the place: a scalar's own, and for a
// map or list its key's, since a block's first line is that of its first entry.
func (p place) mark() (line, column int) {
	n := p.node
	if n.Kind != yaml.ScalarNode && p.key != nil {
		n = p.key
	}
	return n.Line, n.Column
}

// locate finds the place of a path, or of the nearest ancestor that the file
// has; ok is false when not even the top level is there (an empty file).
func (r *reader) locate(path string) (p place, exact, ok bool) {
	for at := path; ; at = parent(at) {
		if p, ok := r.at[at]; ok {
			return p, at == path, true
		}
		if at == "" {
			return place{}, false, false
		}
	}
}

// parent cuts the last segment off a path: a.b[2] → a.b → a → "".
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// join adds a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	if key == "" {
		return path
	}
	if strings.HasPrefix(key, "[") {
		return path + key
	}
	return path + "." + key
}

// A positioned error knows its place inside the text that it is about: line
// and column from 1, in characters.
type positioned interface {
	error
	Position() (line, column int)
}

// checkFault is the fault function that the rooms' Check is given: it finds
// the line and column of the path, and for a positioned error among the
// arguments the place inside the value. What the decoder could not take is not
// complained of a second time.
func (r *reader) checkFault(prefix string) func(path, format string, args ...any) {
	return func(path, format string, args ...any) {
		full := join(prefix, path)
		for at := full; at != ""; at = parent(at) {
			if r.said[at] {
				return
			}
		}
		line, column := 1, 1
		p, exact, ok := r.locate(full)
		if ok {
			line, column = p.mark()
		}
		for i, arg := range args {
			e, is := arg.(positioned)
			if !is || !exact || p.node.Kind != yaml.ScalarNode {
				continue
			}
			line, column = r.inside(p.node, offset(e, p.node.Value))
			var in *rules.ExprError
			if errors.As(e, &in) {
				args[i] = in.Message // the place in the file stands in front already
			}
		}
		r.fault(line, column, full, format, args...)
	}
}

// offset is the place of e in text, in bytes.
func offset(e positioned, text string) int {
	line, column := e.Position()
	at := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
	for ; column > 1 && at < len(text); column-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}
