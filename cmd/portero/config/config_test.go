package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testdata = "../../../testdata/config"

// Each FILE.bad.yaml has a FILE.bad.errors: one line a fault, in order, each
// the beginning of line:column: path: message.
func TestBad(t *testing.T) {
	files, err := filepath.Glob(testdata + "/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad configurations in %s: %v", testdata, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".errors")
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
			_, err = Load(file)
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("Load says %v", err)
			}
			for i, f := range faults {
				got := strings.TrimPrefix(f.Error(), file+":")
				if len(want) > 0 && strings.HasPrefix(got, want[0]) {
					want = want[1:]
					continue
				}
				t.Errorf("fault %d is\n\t%s\nwant\n\t%s", i+1, got, strings.Join(want, "\n\t"))
				return
			}
			if len(want) > 0 {
				t.Errorf("not said:\n\t%s", strings.Join(want, "\n\t"))
			}
		})
	}
}

func TestGood(t *testing.T) {
	files, err := filepath.Glob(testdata + "/*.good.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no good configurations in %s: %v", testdata, err)
	}
	for _, file := range files {
		if _, err := Load(file); err != nil {
			t.Error(err)
		}
	}
}

func TestUnreadable(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.yaml"))
	var faults Faults
	if err == nil || errors.As(err, &faults) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}
