package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Whatever a file holds, reading it ends in a configuration or in faults that
// stand somewhere in the file.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(testdata + "/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds in %s: %v", testdata, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("rules: [{name: a, when: \"\\x41\\\n &&\", action: agents}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("f", b)
		var faults Faults
		if (c == nil) == (err == nil) || err != nil && (!errors.As(err, &faults) || len(faults) == 0) {
			t.Fatalf("configuration %v, error %v", c, err)
		}
		for _, x := range faults {
			if x.Message == "" || x.Line < 0 || x.Line > 0 && x.Column < 1 {
				t.Fatalf("fault %+v", x)
			}
		}
	})
}
