package main

import (
	"encoding/csv"
	"path/filepath"
	"strings"
	"testing"
)

// Each filter lets through what it says, and what cannot be meant is refused.
func TestInspectFilter(t *testing.T) {
	key, busy := filepath.Join(traces, "key.pcap"), filepath.Join(traces, "busy-tcp6.pcapng")
	for _, c := range []struct {
		args   string
		status int
		shown  string // Call-IDs
		says   string // on standard error
	}{
		{"", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--from ALI", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--from ali", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--from a*e", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--from a*c", exitOK, "", ""},
		{"--to bo --from bo", exitOK, "", ""},
		{"--outcome busy", exitOK, "busy@[2001:db8::1]", ""},
		{"--outcome busy,answered --class unknown,human", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--class human", exitOK, "", ""},
		{"--since 2026-03-01T12:00", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--since 2026-03-01T13:00:01+01:00", exitOK, "", ""},
		{"--until 2026-03-01", exitOK, "", ""},
		{"--until 2026-03-02", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--call key@192.0.2.1", exitOK, "key@192.0.2.1", ""},
		{"--call busy*", exitOK, "busy@[2001:db8::1]", ""},
		{"--call busy@[2001:db8::1]", exitOK, "busy@[2001:db8::1]", ""},
		{"--call 1", exitOK, "key@192.0.2.1 busy@[2001:db8::1]", ""},
		{"--call 2", exitFailed, "", `no call "2"`},
		{"--call key", exitFailed, "", `no call "key"`},
		{"--class robot", exitUsage, "", "human"},
		{"--outcome gone", exitUsage, "", "answered"},
		{"--since yesterday", exitUsage, "", "2026-03-01"},
		{"--from [", exitUsage, "", "[ without its ]"},
		{"--html-calls 0", exitUsage, "", "allowed is 1 to"},
		{"--csv --json", exitUsage, "", "together"},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := append(strings.Fields(c.args), key, busy)
			if !strings.Contains(c.args, "--json") {
				args = append([]string{"--csv"}, args...)
			}
			out, errs, status := inspect(t, args...)
			if status != c.status || !strings.Contains(errs, c.says) || c.says == "" && errs != "" {
				t.Errorf("status %d, stderr %q", status, errs)
			}
			rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			var shown []string
			for i, r := range rows {
				if (i == 0) != (r[0] == "capture") {
					t.Errorf("row %d is %q", i, r)
				}
				if i > 0 {
					shown = append(shown, r[2])
				}
			}
			if got := strings.Join(shown, " "); got != c.shown {
				t.Errorf("shown are %q, want %q", got, c.shown)
			}
		})
	}
	// The table says how many there are besides.
	if out, _, _ := inspect(t, "--outcome", "failed", key); !strings.Contains(out, "0 of 1 calls in 157 packets") {
		t.Errorf("the table is %s", out)
	}
}

func TestInspectCSV(t *testing.T) {
	out, _, _ := inspect(t, "--csv", filepath.Join(traces, "no-such.pcap"), filepath.Join(traces, "key.pcap"))
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(columns) {
		t.Fatalf("%v in %s", err, out)
	}
	got := map[string]string{}
	for i, name := range rows[0] {
		got[name] = rows[1][i]
	}
	for name, want := range map[string]string{
		"number": "1", "from_user": "alice", "outcome": "answered", "final_code": "200", "answered_at": "2026-03-01T12:00:01.153456789Z",
		"talk_seconds": "3.020", "hops": "1", "caller_codec": "PCMU", "caller_packets": "150", "far_codec": "", "digits": "5",
		"class": "unknown", "reason": "P300-no-rule", "evidence": "rtp.first_zero=+2.00",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// What strangers wrote must be no formula.
func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "alice": "alice", "+34911234567": "+34911234567", "-1.5": "-1.5", "=1+1": "'=1+1", "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0",
		"@SUM(1)": "'@SUM(1)", "\t=1": "'=1", "-2+3": "'-2+3",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
