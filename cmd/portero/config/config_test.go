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
			for i := range max(len(want), len(faults)) {
				switch {
				case i >= len(faults):
					t.Errorf("not said: %s", want[i])
				case i >= len(want):
					t.Errorf("not expected: %s", faults[i])
				case !strings.HasPrefix(faults[i].Error(), file+":"+want[i]):
					t.Errorf("got  %s\nwant %s", strings.TrimPrefix(faults[i].Error(), file+":"), want[i])
				}
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
