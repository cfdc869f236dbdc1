package config

import (
	"reflect"
	"strings"
)

// A field is one key of a configuration struct.
type field struct {
	key   string
	index []int // for reflect's FieldByIndex
	typ   reflect.Type
}

// fields lists the keys of a struct in the order they are declared. Fields
// tagged `yaml:",inline"` give their own keys; those without a tag and those
// tagged "-" are not part of the file.
func fields(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		key, options, _ := strings.Cut(tag, ",")
		switch {
		case !ok || key == "-" || !f.IsExported():
		case options == "inline":
			for _, in := range fields(f.Type) {
				in.index = append([]int{i}, in.index...)
				fs = append(fs, in)
			}
		default:
			fs = append(fs, field{key: key, index: []int{i}, typ: f.Type})
		}
	}
	return fs
}

// keys are the names of fs.
func keys(fs []field) []string {
	ks := make([]string, len(fs))
	for i, f := range fs {
		ks[i] = f.key
	}
	return ks
}

// homes lists the paths in the whole configuration that end in key, for
// telling somebody who wrote it in the wrong section where it belongs.
// Entries of maps and lists are written with * and [].
func homes(t reflect.Type, path, key string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var found []string
	switch {
	case isScalar(t):
	case t.Kind() == reflect.Struct:
		for _, f := range fields(t) {
			at := join(path, f.key)
			if f.key == key {
				found = append(found, at)
			}
			found = append(found, homes(f.typ, at, key)...)
		}
	case t.Kind() == reflect.Slice:
		found = homes(t.Elem(), path+"[]", key)
	case t.Kind() == reflect.Map:
		found = homes(t.Elem(), path+".*", key)
	}
	return found
}
