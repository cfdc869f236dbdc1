package webrtc

import (
	"fmt"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	for listen, want := range map[string]string{
		"192.0.2.1:3478":                               "",
		"[2001:db8::1]:3478":                           "",
		"0.0.0.0:3478 advertise 203.0.113.5":           "",
		"10.0.0.5:3478 advertise 203.0.113.5 10.0.0.5": "",
		"":                                      "is not address:port",
		"192.0.2.1":                             "is not address:port",
		"host.example:3478":                     "is not address:port",
		"192.0.2.1:0":                           "port 0",
		"0.0.0.0:3478":                          "no browser can send to 0.0.0.0",
		"[fe80::1%eth0]:3478":                   "zone",
		"10.0.0.5:3478 advertise":               "advertise ADDRESS",
		"10.0.0.5:3478 told 203.0.113.5":        "advertise ADDRESS",
		"10.0.0.5:3478 advertise nat.example":   "is no IP address",
		"10.0.0.5:3478 advertise 203.0.113.5:9": "is no IP address",
		"10.0.0.5:3478 advertise 0.0.0.0":       "no browser can send to",
		"10.0.0.5:3478 advertise 2001:db8::1":   "not of the same IP version",
		"10.0.0.5:3478 advertise 203.0.113.5 203.0.113.5":   "twice",
		"192.0.2.1:3478\n192.0.2.1:3478":                    "twice",
		strings.TrimSuffix(strings.Repeat("a\n", 17), "\n"): "16 at most",
	} {
		var got []string
		Config{Listen: strings.Split(listen, "\n")}.Check(func(path, format string, args ...any) {
			got = append(got, path+" "+fmt.Sprintf(format, args...))
		})
		all := strings.Join(got, "; ")
		if want == "" && all != "" || want != "" && !strings.Contains(all, want) {
			t.Errorf("%q: %q, want %q", listen, all, want)
		}
	}
}

// The addresses that browsers are told of, the first listed being the first choice.
func TestCandidates(t *testing.T) {
	m := newMux(t, "127.0.83.1:0", "127.0.83.2:0 advertise 203.0.113.5 127.0.83.2", "[::1]:0")
	p := func(i int) uint16 { return m.sockets[i].addr.Port() }
	want := []string{
		fmt.Sprintf("65535 1 udp 2130706431 127.0.83.1 %d typ host", p(0)),
		fmt.Sprintf("65534 1 udp 2130706175 203.0.113.5 %d typ host", p(1)),
		fmt.Sprintf("65533 1 udp 2130705919 127.0.83.2 %d typ host", p(1)),
		fmt.Sprintf("65532 1 udp 2130705663 ::1 %d typ host", p(2)),
	}
	for i, c := range m.candidates {
		if c.String() != want[i] {
			t.Errorf("candidate %q, want %q", c, want[i])
		}
	}
}

// No number is sent twice under one key.
func TestReplays(t *testing.T) {
	var r replays
	for i, tc := range []struct {
		ssrc byte
		seq  uint16
		want bool
	}{
		{1, 65534, true}, {1, 65534, false}, {1, 65535, true}, {1, 1, true}, {1, 0, true}, {1, 0, false},
		{2, 1, true}, {1, 1, false}, {2, 1, false}, {1, 300, true}, {1, 200, false}, {1, 299, true},
		{3, 5, true}, {4, 5, true}, {2, 1, false}, {1, 299, false},
	} {
		b := make([]byte, 12)
		b[2], b[3], b[11] = byte(tc.seq>>8), byte(tc.seq), tc.ssrc
		if got := r.first(b); got != tc.want {
			t.Errorf("%d: %d of %d: %t", i, tc.seq, tc.ssrc, got)
		}
	}
}
