package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := write("old.yaml", inspectConfig), write("new.yaml", strings.Replace(inspectConfig, `"5"`, `"6"`, 1))
	later := write("later.yaml", strings.Replace(inspectConfig, "judgement:", "", 1)+"judgement: {prior: 0.5}\n")
	bad := write("bad.yaml", "rules: 5")
	key, busy := filepath.Join(traces, "key.pcap"), filepath.Join(traces, "busy-tcp6.pcapng")
	for _, c := range []struct {
		name   string
		args   []string
		status int
		out    []string
		err    string
	}{
		{"differs", []string{a, b, key, busy}, exitFailed, []string{"--- " + a + "\n+++ " + b + "\n" + key + "\n@@ 03-01 12:00:00.123 alice → bob, call key@192.0.2.1\n- automation to bots by rule fives at listening (P200-fives)\n+ agents by rule default at arrival (P300-no-rule)\n    when of rule fives is `trunk == \"carrier\" && digits startsWith \"5\"` in old.yaml and `trunk == \"carrier\" && digits startsWith \"6\"` in new.yaml\n",
			"2 calls: 1 treated differently, 1 alike\n      1  automation to bots → agents\n               1 when of rule fives is "}, ""},
		{"only counted", []string{"--brief", a, b, key, busy}, exitFailed, []string{"2 calls: 1 treated differently, 1 alike\n      1  automation to bots → agents\n               1 when of rule fives is "}, ""},
		{"the same", []string{a, a, key, busy}, exitOK, []string{"2 calls: 0 treated differently, 2 alike\n"}, ""},
		{"only judged otherwise", []string{a, later, busy}, exitOK, []string{"1 calls: 0 treated differently, 1 alike (1 of them by another rule or verdict: --all tells them)"}, ""},
		{"all", []string{"--all", a, later, busy}, exitOK, []string{"  agents by rule default at arrival (P300-no-rule)\n    judged unknown (0.20) by old.yaml and unknown (0.50) by later.yaml, by the same evidence"}, ""},
		{"one capture is unreadable", []string{a, b, filepath.Join(dir, "gone.pcap"), key}, exitUsage, []string{"1 calls: 1 treated differently"}, "gone.pcap: no such file or directory\n"},
		{"a configuration is bad", []string{a, bad, key}, exitUsage, nil, bad + ":1:8: rules: "},
		{"a configuration is not there", []string{filepath.Join(dir, "gone.yaml"), a, key}, exitUsage, nil, "gone.yaml"},
		{"no capture", []string{a, b}, exitUsage, nil, "capture"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, status := portero(append([]string{"diff"}, c.args...)...)
			if status != c.status || !strings.Contains(errs, c.err) || c.err == "" && errs != "" {
				t.Errorf("status %d, stderr %q", status, errs)
			}
			for _, want := range c.out {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
	out, _, status := portero("diff", "--json", a, b, key, busy)
	var v struct {
		A, B          string
		Calls, Differ int
		Differences   []struct {
			Capture   string
			CallID    string `json:"call_id"`
			Treatment [2]string
			Why       []string
		}
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || status != exitFailed {
		t.Fatalf("status %d, %v in %s", status, err, out)
	}
	if v.A != a || v.B != b || v.Calls != 2 || v.Differ != 1 || len(v.Differences) != 1 || v.Differences[0].Capture != key || v.Differences[0].CallID != "key@192.0.2.1" ||
		v.Differences[0].Treatment != [2]string{"automation to bots", "agents"} || len(v.Differences[0].Why) != 1 {
		t.Errorf("JSON is %s", out)
	}
	if out, _, status := portero("diff", "--json", a, a, key); status != exitOK || out != `{"a":"`+a+`","b":"`+a+`","differences":[],"calls":1,"differ":0}`+"\n" {
		t.Errorf("status %d, %s", status, out)
	}
}
