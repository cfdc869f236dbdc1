package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/portero/portero/sip/signature"
)

// Signatures reads the signatures that judgement.signatures names: files,
// directories (of *.yaml), and the built-in ones. Its error is signature.Faults
// when the files could be read but have mistakes.
func Signatures(names []string) (*signature.Set, error) {
	if len(names) == 1 && names[0] == signature.BuiltIn {
		return signature.Default(), nil
	}
	var files []signature.File
	for _, name := range names {
		if name == signature.BuiltIn {
			files = append(files, signature.Files()...)
		}
	}
	for _, name := range names {
		if name == signature.BuiltIn {
			continue
		}
		found, err := signatureFiles(name)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return signature.Load(files...)
}

// signatureFiles reads a file, or those of a directory.
func signatureFiles(name string) ([]signature.File, error) {
	paths := []string{name}
	info, err := os.Stat(name)
	if err != nil {
		return nil, plain(name, err)
	}
	if info.IsDir() {
		if paths, err = filepath.Glob(filepath.Join(name, "*.yaml")); err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("%s: there is no file *.yaml in this directory", name)
		}
	}
	var out []signature.File
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			return nil, plain(p, err)
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s: this is no plain file", p)
		case info.Size() > signature.MaxBytes:
			return nil, fmt.Errorf("%s: the file is larger than %d bytes", p, signature.MaxBytes)
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, plain(p, err)
		}
		out = append(out, signature.File{Name: p, Data: b, Own: true})
	}
	return out, nil
}

// plain says the name first, as faults do.
func plain(name string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// checkSignatures reads the signatures, and tells the rules which there are.
func (c *Config) checkSignatures(fault func(path, format string, args ...any)) {
	set, err := Signatures(c.Judge.Signatures)
	var faults signature.Faults
	switch {
	case err == nil:
		c.Rules.Signatures = set.Names()
	case errors.As(err, &faults):
		for _, f := range faults {
			fault("judgement.signatures", "%v", f)
		}
	default:
		fault("judgement.signatures", "%v; allowed: files of signatures, directories of them, builtin", err)
	}
}
