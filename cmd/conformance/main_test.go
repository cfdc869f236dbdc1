package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodLog = `=== RUN   TestScenarios
=== RUN   TestScenarios/far-busy
    door_test.go:9: something
--- PASS: TestScenarios (0.10s)
    --- PASS: TestScenarios/far-busy (0.05s)
    --- SKIP: TestScenarios/pending (0.00s)
--- PASS: TestTwice (0.00s)
PASS
ok  	example.org/portero/sip/door/scenario	1.234s
--- FAIL: TestBroken (0.00s)
--- FAIL: TestTwice (0.00s)
FAIL
FAIL	example.org/portero/sip/door	0.100s
--- PASS: TestKept (0.00s)
ok  	example.org/portero/sip/hep	(cached)
?   	example.org/portero/cmd	[no test files]
`

const head = "# Table\n\n| behaviour | RFC | test |\n|---|---|---|\n"

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, table, log string
		want             []string // of the error; none: it is well
	}{
		{"good", head + "| busy | 3261 | [`TestScenarios/far-busy`](door/scenario) |\n| twice | | [`TestTwice`](door/scenario), [`TestKept`](hep) |\n", goodLog, nil},
		{"skipped", head + "| later | | [`TestScenarios/pending`](door/scenario) |\n", goodLog, []string{`line 5: "later"`, "was skipped"}},
		{"failed", head + "| broken | | [`TestBroken`](door) |\n", goodLog, []string{"TestBroken in sip/door failed"}},
		{"of the same name in another package", head + "| twice | | [`TestTwice`](door) |\n", goodLog, []string{"TestTwice in sip/door failed"}},
		{"unknown", head + "| gone | | [`TestGone`](door) |\n", goodLog, []string{"no test TestGone in sip/door"}},
		{"part of a name", head + "| part | | [`TestScenarios/far`](door/scenario) |\n", goodLog, []string{"no test TestScenarios/far in"}},
		{"part of a folder", head + "| part | | [`TestKept`](p) |\n", goodLog, []string{"no test TestKept in sip/p"}},
		{"one of two", head + "| both | | [`TestKept`](hep), [`TestGone`](hep) |\n", goodLog, []string{"TestGone"}},
		{"no test", head + "| claimed | | see the code |\n", goodLog, []string{`"claimed"`, "not a list"}},
		{"more than tests", head + "| claimed | | [`TestKept`](hep) and more |\n", goodLog, []string{"not a list"}},
		{"no table", "# Nothing\n", goodLog, []string{"no table"}},
		{"other tables do not count", "| a | b |\n|---|---|\n| c | d |\n", goodLog, []string{"no table"}},
		{"no log", head + "| busy | | [`TestKept`](hep) |\n", "", []string{"no test that ended"}},
		{"without -v", head + "| busy | | [`TestKept`](hep) |\n", "ok  \texample.org/portero/sip/hep\t0.1s\n", []string{"no test that ended"}},
		{"cut off", head + "| busy | | [`TestKept`](hep) |\n", "--- PASS: TestKept (0.00s)\n", []string{"no test that ended"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			for name, text := range map[string]string{"sip/README.md": c.table, "log": c.log} {
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			n, err := check("sip/README.md", "log")
			if len(c.want) == 0 {
				if err != nil || n != 3 {
					t.Errorf("%d tests, %v", n, err)
				}
				return
			}
			if err == nil {
				t.Fatal("nothing was found")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("does not say %q: %v", want, err)
				}
			}
		})
	}
}
