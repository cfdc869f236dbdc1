package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// portero runs a command of the binary.
func portero(args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return out.String(), errs.String(), status
}

// The shipped cases hold.
func TestShippedCases(t *testing.T) {
	out, errs, status := portero("test", "--all", filepath.Join("..", "..", "configs", "cases"))
	if status != exitOK || errs != "" || !strings.Contains(out, "ok      ") {
		t.Errorf("status %d, stderr %q, stdout\n%s", status, errs, out)
	}
}

const testConfig = `
media: {caller_address: 192.0.2.10}
sip:
  trunks:
    - {name: carrier, addresses: [203.0.113.0/24]}
    - {name: partner, addresses: [203.0.114.0/24]}
  destinations:
    agents: {uri: "sip:203.0.113.1"}
    night: {uri: "sip:203.0.113.2"}
judgement: {time_zone: Europe/Madrid}
surge: {agents: 10}
lists: {vip: ["+34600000001"], foes: ["+34600000002"]}
allow: [vip]
rules:
  - {name: foes, when: 'in_list("foes")', action: reject, status: 603}
  - {name: late, when: 'now.Hour() >= 22', action: agents, destination: night}
  - {name: signed, when: 'attestation == "A" && verstat == "passed"', action: agents, destination: night}
  - {name: partner, when: 'trunk == "partner"', action: callback}
  - {name: full, when: 'agents_free == 0 && agents_busy == 10', action: callback}
  - {name: flood, when: 'surge > 3 && calls_minute > 100 && calls_now > 50', action: screen}
  - {name: some, when: 'agents_free == 7', action: agents, destination: night}
`

// What a case gives is what the rules see.
func TestTestGiven(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := filepath.Abs(filepath.Join(traces, "key.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	write("portero.yaml", testConfig)
	var b strings.Builder
	b.WriteString("config: portero.yaml\ncases:\n")
	for _, c := range [][3]string{
		{"nothing", "{}", "rule: default, p_machine: 0.65"},
		{"list", "{lists: {foes: [alice]}}", "rule: foes, action: reject"},
		{"allow", "{lists: {vip: [alice], foes: [alice]}}", "rule: allow"},
		{"late", "{now: 2026-03-01T20:30:00Z}", "rule: default"},
		{"later", "{now: 2026-03-01T21:00:00Z}", "rule: late"},
		{"signed", "{verstat: passed, attestation: A}", "rule: signed, evidence: {identity.passed: 0.00}"},
		{"refused", "{verstat: failed}", "rule: default, evidence: {identity.failed: present}"},
		{"trunk", "{trunk: partner}", "rule: partner"},
		{"busy", "{agents_busy: 10}", "rule: full, destination: ''"},
		{"free", "{agents_free: 7}", "rule: some"},
		{"flood", "{surge: 4, calls_minute: 101, calls_now: 51}", "rule: flood, p_machine: 0.79"},
	} {
		b.WriteString("  - {name: " + c[0] + ", capture: '" + key + "', given: " + c[1] + ", expect: {" + c[2] + "}}\n")
	}
	file := write("cases.yaml", b.String())
	if out, errs, status := portero("test", file); status != exitOK || errs != "" {
		t.Errorf("status %d, stderr %q, stdout\n%s", status, errs, out)
	}

	// What the configuration does not have is said by the case.
	for given, says := range map[string]string{"{lists: {vips: [alice]}}": `there is no list "vips"`, "{trunk: other}": `there is no trunk "other"`, "{lists: {vip: ['+34 x*y']}}": "lists.vip"} {
		file := write("cases.yaml", "cases:\n  - {name: n, capture: '"+key+"', given: "+given+", expect: {rule: default}}\n")
		if out, _, status := portero("test", "--config", filepath.Join(dir, "portero.yaml"), file); status != exitFailed || !strings.Contains(out, says) {
			t.Errorf("given %s: status %d, stdout\n%s", given, status, out)
		}
	}
}

func TestTestStatus(t *testing.T) {
	dir := t.TempDir()
	key, err := filepath.Abs(filepath.Join(traces, "key.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Abs(filepath.Join("..", "..", "configs", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cases := filepath.Join(dir, "cases.yaml")
	write := func(text string) {
		if err := os.WriteFile(cases, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := "config: " + config + "\ncases:\n  - {name: one, capture: " + key + ", expect: {rule: default}}\n  - {name: two, capture: " + key + ", expect: {rule: other}}\n"
	report := filepath.Join(dir, "report.xml")
	for _, c := range []struct {
		name, text string
		args       []string
		status     int
		out, err   string
	}{
		{"fails", good, nil, exitFailed, "there is no rule `other` in the configuration; there are: declared-machines, ", ""},
		{"chosen", good, []string{"--run", "^one$"}, exitOK, "1 cases: 1 held", ""},
		{"tap", good, []string{"--tap"}, exitFailed, "not ok 2 - two", ""},
		{"junit", good, []string{"--junit", report}, exitFailed, "1 failed", ""},
		{"update", good, []string{"--update"}, exitOK, "rule: other → default", ""},
		{"no match", good, []string{"--run", "three"}, exitUsage, "", "no case has a name that matches"},
		{"bad pattern", good, []string{"--run", "("}, exitUsage, "", "missing closing"},
		{"bad case file", "cases: 5", nil, exitUsage, "", cases + ":1:8: cases: "},
		{"bad configuration", strings.Replace(good, config, key, 1), nil, exitUsage, "", "key.pcap"},
		{"unreadable", strings.ReplaceAll(good, key, "gone.pcap"), nil, exitFailed, "gone.pcap: no such file", ""},
		{"cut", strings.ReplaceAll(strings.ReplaceAll(good, key, filepath.Join(filepath.Dir(key), "cut.pcap")), "other", "default"), nil, exitOK, "2 held", "warning"},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(c.text)
			out, errs, status := portero(append(append([]string{"test"}, c.args...), cases)...)
			if status != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.err) || c.err == "" && errs != "" {
				t.Errorf("status %d, stdout %q, stderr %q", status, out, errs)
			}
		})
	}
	if b, err := os.ReadFile(report); err != nil || !bytes.Contains(b, []byte(`failures="1"`)) {
		t.Errorf("JUnit report: %v\n%s", err, b)
	}
	if _, errs, status := portero("test", filepath.Join(dir, "absent")); status != exitUsage || !strings.Contains(errs, "absent") {
		t.Errorf("no such file: status %d, stderr %q", status, errs)
	}
}
