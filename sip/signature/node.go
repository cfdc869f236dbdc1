package signature

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/portero/portero/policy/spelling"
)

// The limits of a file of signatures.
const (
	MaxBytes = 1 << 20 // size of a file
	maxDepth = 16      // nesting of maps and lists
)

// reader holds one file while it is read.
type reader struct {
	name   string
	faults Faults
}

// place is where something stands in a file.
type place struct {
	file         string
	line, column int
}

func (r *reader) at(n *yaml.Node) place { return place{r.name, n.Line, n.Column} }

func (r *reader) fault(n *yaml.Node, path, format string, args ...any) {
	f := Fault{File: r.name, Path: path, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		f.Line, f.Column = n.Line, n.Column
	}
	r.faults = append(r.faults, f)
}

// parse turns a file into nodes: nil for an empty one, or one that is no YAML,
// which is then said.
func (r *reader) parse(b []byte) *yaml.Node {
	if len(b) > MaxBytes {
		r.fault(nil, "", "the file is larger than %d bytes; allowed: a smaller one, or several", MaxBytes)
		return nil
	}
	l, err := yaml.NewLoader(bytes.NewReader(b), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		r.fault(nil, "", "cannot be read as YAML: %v", err)
		return nil
	}
	var root *yaml.Node
	for {
		var doc yaml.Node
		switch err := l.Load(&doc); {
		case errors.Is(err, io.EOF):
			return root
		case err != nil:
			r.syntax(err)
			return nil
		case root != nil:
			r.fault(&doc, "", "a second YAML document starts here; allowed: one document a file (remove the ---)")
			return nil
		}
		if len(doc.Content) > 0 {
			root = doc.Content[0]
		}
	}
}

// syntax turns the YAML library's error into a fault.
func (r *reader) syntax(err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		r.fault(nil, "", "not YAML: %v", err)
		return
	}
	message := e.Message
	if e.ContextMsg != "" {
		message = e.ContextMsg + ": " + message
	}
	r.fault(&yaml.Node{Line: e.Mark.Line, Column: e.Mark.Column}, "", "not YAML: %s", message)
}

// plain refuses what makes a file read differently from what it says.
func (r *reader) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fault(n, path, "an alias (*%s) is not allowed; allowed: the value itself, written out", n.Value)
	case n.Anchor != "":
		r.fault(n, path, "an anchor (&%s) is not allowed; allowed: the value itself", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(n, path, "a type tag (%s) is not allowed; allowed: the value itself", n.Tag)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		r.fault(n, path, "there is no value; allowed: a value, or no key at all")
	default:
		return true
	}
	return false
}

// entries walks over a map's keys, of which allowed says which there are.
func (r *reader) entries(n *yaml.Node, path string, allowed []string, entry func(key, value *yaml.Node, path string)) bool {
	if !r.plain(n, path) {
		return false
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "%s; allowed: the keys %s", written(n), strings.Join(allowed, ", "))
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || !r.plain(key, path) {
			if key.Kind != yaml.ScalarNode && key.Kind != yaml.AliasNode {
				r.fault(key, path, "a key must be a plain word")
			}
			continue
		}
		at := join(path, key.Value)
		known := false
		for _, a := range allowed {
			known = known || a == key.Value
		}
		switch {
		case !known:
			guess := ""
			if near := spelling.Nearest(key.Value, allowed, 3); near != "" {
				guess = ", did you mean " + near + "?"
			}
			r.fault(key, at, "unknown key %q%s; allowed: %s", short(key.Value), guess, strings.Join(allowed, ", "))
		case seen[key.Value] > 0:
			r.fault(key, at, "this key is there twice (first in line %d); allowed: once", seen[key.Value])
		case r.plain(value, at):
			entry(key, value, at)
		}
		seen[key.Value] = key.Line
	}
	return true
}

// items walks over a list.
func (r *reader) items(n *yaml.Node, path string, item func(n *yaml.Node, path string)) {
	if n.Kind != yaml.SequenceNode {
		r.fault(n, path, "%s; allowed: a list", written(n))
		return
	}
	for i, one := range n.Content {
		if at := fmt.Sprintf("%s[%d]", path, i); r.plain(one, at) {
			item(one, at)
		}
	}
}

// texts takes one text or a list of them.
func (r *reader) texts(n *yaml.Node, path string) (out []*yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		return []*yaml.Node{n}
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.fault(n, path, "%s; allowed: a text, or a list of texts", written(n))
		return nil
	}
	r.items(n, path, func(one *yaml.Node, at string) {
		if one.Kind != yaml.ScalarNode {
			r.fault(one, at, "%s; allowed: a text", written(one))
			return
		}
		out = append(out, one)
	})
	return out
}

// scalar takes one text.
func (r *reader) scalar(n *yaml.Node, path string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		r.fault(n, path, "%s; allowed: a text", written(n))
		return "", false
	}
	return n.Value, true
}

// boolean takes true or false.
func (r *reader) boolean(n *yaml.Node, path string) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		r.fault(n, path, "%s; allowed: true, false", written(n))
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

// written says what stands in the file.
func written(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map of keys stands here"
	case yaml.SequenceNode:
		return "a list stands here"
	}
	return fmt.Sprintf("%q is not right here", short(n.Value))
}

// short keeps messages to one screen line.
func short(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return s
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
