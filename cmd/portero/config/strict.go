package config

import (
	"fmt"
	"io"
	"os"
	"reflect"

	"go.yaml.in/yaml/v4"
)

// File is a YAML file of another kind than a configuration, read with the same
// strictness, and its mistakes told in the same way.
type File struct {
	reader *reader
	yaml   bool
}

// Read decodes the YAML in b into the struct that into points to, which holds the
// defaults; name is what faults call the file.
func Read(name string, b []byte, into any) *File {
	f := &File{reader: newReader(name, b)}
	v := reflect.ValueOf(into).Elem()
	f.reader.whole = v.Type()
	if len(b) > MaxBytes {
		f.reader.fault(0, 0, "", "the file is larger than %d bytes; allowed: a smaller file", MaxBytes)
		return f
	}
	var root *yaml.Node
	if root, f.yaml = f.reader.parse(); root != nil {
		f.reader.value(place{node: root}, "", v)
	}
	return f
}

// ReadFile is Read of the file at path. The error says why it could not be read.
func ReadFile(path string, into any) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return Read(path, b, into), nil
}

// Fault notes a mistake at a path such as cases[0].expect.class.
func (f *File) Fault(path, format string, args ...any) {
	f.reader.checkFault("")(path, format, args...)
}

// IsYAML says whether the file could be decoded at all, so that there is something to
// check.
func (f *File) IsYAML() bool { return f.yaml }

// Err is Faults, or nil when there is no mistake.
func (f *File) Err() error {
	if len(f.reader.faults) == 0 {
		return nil
	}
	return f.reader.faults.sorted()
}

// Source is the file as it was read.
func (f *File) Source() []byte { return f.reader.source }

// Node is the value at a path, or nil if the file does not have it. Lines and
// columns count characters.
func (f *File) Node(path string) *yaml.Node { return f.reader.at[path].node }

// Line is where a path stands, or its nearest ancestor.
func (f *File) Line(path string) int {
	p, _, ok := f.reader.locate(path)
	if !ok {
		return 1
	}
	line, _ := p.mark()
	return line
}
