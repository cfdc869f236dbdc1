package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// The limits of a configuration file. A hand-written file of a large site is
// some tens of kilobytes; what is beyond these is not a configuration.
const (
	MaxBytes = 1 << 20 // size of the file
	MaxDepth = 32      // nesting of maps and lists
)

// Load reads the file at path. Its error is Faults when the file could be read
// but has mistakes, and otherwise says why the file could not be read.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: reading %s: %w", path, err)
	}
	return Parse(path, b)
}

// Parse reads a configuration from b; name is what faults call the file. Every
// key that is absent has its default. The error, if any, is Faults.
func Parse(name string, b []byte) (*Config, error) {
	r := newReader(name, b)
	c := Defaults()
	if r.read(&c) {
		c.check(r)
	}
	if len(r.faults) > 0 {
		return nil, r.faults.sorted()
	}
	return &c, nil
}

// A reader holds one file while it is read.
type reader struct {
	name   string
	source []byte
	whole  reflect.Type // that the file is read into
	faults Faults
	at     map[string]place // where each path stands in the file
	said   map[string]bool  // paths whose values the decoder could not take
}

func newReader(name string, b []byte) *reader {
	return &reader{name: name, source: b, whole: reflect.TypeFor[Config](), at: map[string]place{}, said: map[string]bool{}}
}

// read decodes the file into c, one fault for each mistake. It says false when
// the file is no YAML, so that there is nothing to check.
func (r *reader) read(c *Config) bool {
	if len(r.source) > MaxBytes {
		r.fault(0, 0, "", "the file is larger than %d bytes, the limit of a configuration; allowed: a smaller file", MaxBytes)
		return false
	}
	root, ok := r.parse()
	if ok && root != nil {
		r.value(place{node: root}, "", reflect.ValueOf(c).Elem())
	}
	return ok
}

// parse turns the bytes into nodes: nil for an empty file, false for a file
// that is not YAML.
func (r *reader) parse() (*yaml.Node, bool) {
	// The loader's own guard against alias bombs stays on, though aliases are
	// refused later anyway: nodes do not expand them.
	l, err := yaml.NewLoader(bytes.NewReader(r.source), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(MaxDepth))))
	if err != nil {
		r.fault(0, 0, "", "cannot be read as YAML: %v", err)
		return nil, false
	}
	var root *yaml.Node
	for {
		var doc yaml.Node
		err := l.Load(&doc)
		if errors.Is(err, io.EOF) {
			return root, true
		}
		if err != nil {
			r.syntax(err)
			return nil, false
		}
		if root != nil {
			r.fault(doc.Line, doc.Column, "", "a second YAML document starts here; allowed: one document a file (remove the ---)")
			return nil, false
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
		r.fault(0, 0, "", "not YAML: %v", err)
		return
	}
	message := e.Message
	if e.ContextMsg != "" {
		message = e.ContextMsg + ": " + message
	}
	r.fault(e.Mark.Line, e.Mark.Column, "", "not YAML: %s", message)
}

// fault notes a mistake at a line and column.
func (r *reader) fault(line, column int, path, format string, args ...any) {
	r.faults = append(r.faults, Fault{File: r.name, Line: line, Column: column, Path: path, Message: fmt.Sprintf(format, args...)})
}
