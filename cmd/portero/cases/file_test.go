package cases

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/portero/portero/cmd/portero/config"
)

// Each FILE.bad.yaml has a FILE.bad.errors: one line a fault, in order, each the
// beginning of line:column: path: message.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/cases/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad case files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".errors")
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
			_, err = Load(file)
			var faults config.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("Load says %v", err)
			}
			for i := range max(len(want), len(faults)) {
				switch {
				case i >= len(faults):
					t.Fatalf("not said: %s", want[i])
				case i >= len(want):
					t.Fatalf("said besides: %s", faults[i])
				case !strings.HasPrefix(strings.TrimPrefix(faults[i].Error(), file+":"), want[i]):
					t.Fatalf("fault %d is\n\t%s\nwant\n\t%s", i+1, faults[i], want[i])
				}
			}
		})
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a/c.yml", "a/d.txt", "empty/e.txt"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Find([]string{dir})
	if want := []string{filepath.Join(dir, "a/c.yml"), filepath.Join(dir, "b.yaml")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, name := range []string{"empty", "absent"} {
		if _, err := Find([]string{filepath.Join(dir, name)}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBounds(t *testing.T) {
	for text, want := range map[string]struct{ in, out []float64 }{
		"0.31":       {[]float64{0.31, 0.3051, 0.3149}, []float64{0.30, 0.32}},
		"-1.20":      {[]float64{-1.2}, []float64{1.2}},
		"0.2..0.4":   {[]float64{0.2, 0.4}, []float64{0.19, 0.41}},
		"..0.5":      {[]float64{-9, 0.5}, []float64{0.51}},
		"0.9..":      {[]float64{0.9, 7}, []float64{0.89}},
		"-2..-1":     {[]float64{-1.5}, []float64{-0.5, -2.5}},
		"present":    {[]float64{-1, 0, 1}, nil},
		"absent":     {nil, []float64{-1, 0, 1}},
		" 0.2 .. 1 ": {[]float64{0.2}, []float64{0.1}},
	} {
		var b Bounds
		if err := b.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var again Bounds
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%q is written %q, which reads %+v, %v", text, b, again, err)
		}
		for _, x := range want.in {
			if !b.holds(x) {
				t.Errorf("%v is not within %s", x, text)
			}
		}
		for _, x := range want.out {
			if b.holds(x) {
				t.Errorf("%v is within %s", x, text)
			}
		}
	}
	for _, text := range []string{"", "..", "a", "1..b", "b..1", "2..1", "NaN", "..Inf", "0.1-0.2"} {
		if err := new(Bounds).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// The example shows every key that a case file may have, in force or in a comment.
func TestExampleIsComplete(t *testing.T) {
	b, err := os.ReadFile("../../../configs/cases/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Suite](), reflect.TypeFor[Case](), reflect.TypeFor[Given](), reflect.TypeFor[Expect]()} {
		for i := range of.NumField() {
			key := of.Field(i).Tag.Get("yaml")
			if key != "" && !regexp.MustCompile(`\b`+key+`\b`).Match(b) {
				t.Errorf("%s of %s is not shown", key, of.Name())
			}
		}
	}
}
