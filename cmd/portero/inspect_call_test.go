package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/inspect anew")

// One call, in a terminal of 100 columns: what is drawn of the captures that come
// with the project. What the evidence weighs changes with the models, so only its
// presence is looked at here.
func TestInspectCall(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	for _, name := range []string{"proxied.pcap", "busy-tcp6.pcapng"} {
		out, errs, status := inspect(t, "--call", "1", filepath.Join(traces, name))
		if status != exitOK || errs != "" {
			t.Fatalf("status %d, stderr %q", status, errs)
		}
		drawn, judged, ok := strings.Cut(out, "Evidence\n")
		if !ok || !strings.Contains(judged, "  prior ") || !strings.Contains(judged, "  verdict: ") || !strings.Contains(judged, "arrival: rule default says agents (P300-no-rule)") {
			t.Errorf("judged:\n%s", judged)
		}
		if name == "proxied.pcap" && !strings.Contains(judged, ", frame ") {
			t.Errorf("no evidence has a frame:\n%s", judged)
		}
		file := filepath.Join("..", "..", "testdata", "inspect", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(drawn), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || string(want) != drawn {
			t.Errorf("%s is not what is drawn (%v):\n%s", file, err, drawn)
		}
	}
	// For programs, with the messages.
	out, _, _ := inspect(t, "--json", "--call", "proxied@192.0.2.1", filepath.Join(traces, "proxied.pcap"))
	if !strings.Contains(out, `"messages":[{"frame":1,`) {
		t.Errorf("no messages in %.300s", out)
	}
}
