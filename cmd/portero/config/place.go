package config

import (
	"strings"

	"go.yaml.in/yaml/v4"
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

// checkFault is the fault function that the rooms' Check is given: it finds
// the line and column of the path. What the decoder already complained of at
// that path is not said twice.
func (r *reader) checkFault(prefix string) func(path, format string, args ...any) {
	return func(path, format string, args ...any) {
		full := join(prefix, path)
		if full != "" && r.said[full] {
			return
		}
		line, column := 1, 1
		if p, _, ok := r.locate(full); ok {
			line, column = p.mark()
		}
		r.fault(line, column, full, format, args...)
	}
}
