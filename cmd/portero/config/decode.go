package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/portero/portero/policy/spelling"
)

// value decodes the node at p into v, which holds the default. It reports
// every mistake below p and goes on, so that one run of check shows them all.
func (r *reader) value(p place, path string, v reflect.Value) {
	r.at[path] = p
	if !r.plain(p, path) {
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	switch {
	case isScalar(v.Type()):
		r.scalar(p, path, v)
	case isNull(p.node):
		// A section whose keys are all commented out: the defaults.
	case v.Kind() == reflect.Struct:
		r.structure(p, path, v)
	case v.Kind() == reflect.Map:
		r.mapping(p, path, v)
	case v.Kind() == reflect.Slice:
		r.list(p, path, v)
	default:
		panic(fmt.Sprintf("config: %s has a type that has no place in a configuration: %s", path, v.Type()))
	}
}

// plain refuses what makes a file read differently from what it says: aliases
// (which also make a small file large) and explicit type tags.
func (r *reader) plain(p place, path string) bool {
	n := p.node
	switch {
	case n.Kind == yaml.AliasNode:
		r.fault(n.Line, n.Column, path, "an alias (*%s) is not allowed; allowed: the value itself, written out", n.Value)
	case n.Anchor != "":
		r.fault(n.Line, n.Column, path, "an anchor (&%s) is not allowed; allowed: the value itself", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(n.Line, n.Column, path, "a type tag (%s) is not allowed; allowed: the value itself", n.Tag)
	default:
		return true
	}
	return false
}

func (r *reader) structure(p place, path string, v reflect.Value) {
	if p.node.Kind != yaml.MappingNode {
		r.wrong(p, path, v.Type())
		return
	}
	fs := fields(v.Type())
	byKey := map[string]field{}
	for _, f := range fs {
		byKey[f.key] = f
	}
	r.entries(p, path, func(key *yaml.Node, value *yaml.Node) {
		f, ok := byKey[key.Value]
		if !ok {
			r.unknown(key, path, fs)
			return
		}
		r.value(place{key: key, node: value}, join(path, f.key), v.FieldByIndex(f.index))
	})
}

func (r *reader) mapping(p place, path string, v reflect.Value) {
	if p.node.Kind != yaml.MappingNode {
		r.wrong(p, path, v.Type())
		return
	}
	m := reflect.MakeMap(v.Type())
	r.entries(p, path, func(key *yaml.Node, value *yaml.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		setDefaults(e)
		r.value(place{key: key, node: value}, join(path, key.Value), e)
		m.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), e)
	})
	v.Set(m)
}

func (r *reader) list(p place, path string, v reflect.Value) {
	if p.node.Kind != yaml.SequenceNode {
		r.wrong(p, path, v.Type())
		return
	}
	s := reflect.MakeSlice(v.Type(), len(p.node.Content), len(p.node.Content))
	for i, n := range p.node.Content {
		setDefaults(s.Index(i))
		r.value(place{node: n}, fmt.Sprintf("%s[%d]", path, i), s.Index(i))
	}
	v.Set(s)
}

// entries walks a mapping, refusing keys that are no plain words or stand
// there twice.
func (r *reader) entries(p place, path string, entry func(key, value *yaml.Node)) {
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		key, value := p.node.Content[i], p.node.Content[i+1]
		if key.Kind != yaml.ScalarNode || isNull(key) {
			r.fault(key.Line, key.Column, path, "a key must be a plain word")
			continue
		}
		if !r.plain(place{node: key}, join(path, key.Value)) {
			continue
		}
		if before, ok := first[key.Value]; ok {
			r.fault(key.Line, key.Column, join(path, key.Value), "this key is there twice (first in line %d); allowed: once", before.Line)
			continue
		}
		first[key.Value] = key
		entry(key, value)
	}
}

// unknown says what was perhaps meant and what is allowed.
func (r *reader) unknown(key *yaml.Node, path string, fs []field) {
	var b strings.Builder
	fmt.Fprintf(&b, "unknown key %q", key.Value)
	if near := spelling.Nearest(key.Value, keys(fs), 3); near != "" {
		fmt.Fprintf(&b, ", did you mean %s?", near)
	} else if at := homes(r.whole, "", key.Value); len(at) > 0 {
		fmt.Fprintf(&b, ", which belongs to %s", strings.Join(at, " or "))
	}
	fmt.Fprintf(&b, "; allowed: %s", strings.Join(keys(fs), ", "))
	r.fault(key.Line, key.Column, join(path, key.Value), "%s", b.String())
}

// wrong says that a value is of the wrong kind.
func (r *reader) wrong(p place, path string, t reflect.Type) {
	n := p.node
	r.said[path] = true
	r.fault(n.Line, n.Column, path, "%s; allowed: %s", written(n), allowed(t))
}

// written says what stands in the file, as its writer would.
func written(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map of keys stands here"
	case n.Kind == yaml.SequenceNode:
		return "a list stands here"
	case isNull(n):
		return "there is no value"
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return fmt.Sprintf("%q (in quotes) is a text", shortened(n.Value))
	}
	return fmt.Sprintf("%q is not right here", shortened(n.Value))
}

// shortened keeps messages to one screen line.
func shortened(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return s
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// setDefaults lets the element of a list or map begin with its own defaults:
// its type then has a method SetDefaults on its pointer.
func setDefaults(v reflect.Value) {
	if d, ok := v.Addr().Interface().(interface{ SetDefaults() }); ok {
		d.SetDefaults()
	}
}
