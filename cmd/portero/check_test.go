package main

import (
	"bytes"
	"strings"
	"testing"
)

// command runs a command line as main does.
func command(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(args, &out, &err)
	return status, out.String(), err.String()
}

func TestCheck(t *testing.T) {
	const good, bad = "../../configs/portero.yaml", "../../testdata/config/keys.bad.yaml"
	for _, tc := range []struct {
		args   string
		status int
		stdout []string // each is somewhere in it
		stderr []string
	}{
		{"check --config " + good, exitOK, []string{"mode          observe", "trunk         carrier: 203.0.113.10", "rule 1        declared-machines: automata -> automation"}, nil},
		{"check --config " + bad, exitFailed, nil, []string{bad + ":4:3: sip.trunk: unknown key \"trunk\", did you mean trunks?", bad + ":18:1: calls: "}},
		{"check --config absent.yaml", exitFailed, nil, []string{"portero: configuration: open absent.yaml"}},
		{"check", exitUsage, nil, []string{"missing flags: --config=FILE", "Try portero --help."}},
		{"check --confg x", exitUsage, nil, []string{"unknown flag --confg, did you mean \"--config\"?"}},
		{"chekc", exitUsage, nil, []string{`did you mean "check"?`}},
		{"", exitUsage, nil, []string{"expected one of"}},
		{"version", exitOK, []string{"portero ", " go1."}, nil},
	} {
		status, stdout, stderr := command(strings.Fields(tc.args)...)
		if status != tc.status {
			t.Errorf("portero %s: status %d, want %d", tc.args, status, tc.status)
		}
		for _, want := range tc.stdout {
			if !strings.Contains(stdout, want) {
				t.Errorf("portero %s: standard output lacks %q:\n%s", tc.args, want, stdout)
			}
		}
		for _, want := range tc.stderr {
			if !strings.Contains(stderr, want) {
				t.Errorf("portero %s: standard error lacks %q:\n%s", tc.args, want, stderr)
			}
		}
		if tc.stdout == nil && stdout != "" || tc.stderr == nil && stderr != "" {
			t.Errorf("portero %s: standard output %q, standard error %q", tc.args, stdout, stderr)
		}
	}
}
