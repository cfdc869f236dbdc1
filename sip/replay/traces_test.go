package replay

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/portero/portero/sip/trace"
)

// Every call of a set of public traces whose INVITE was captured is placed again
// with a far side that answers whatever comes, without an error, and with the
// recorded fingerprint.
func TestPublicTraces(t *testing.T) {
	dir := os.Getenv("PORTERO_TRACES")
	if dir == "" {
		t.Skip("public traces are not replayed: set PORTERO_TRACES to their directory")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	f := newFar(t, "127.0.87.10", func(c *farCall) {
		c.reply(c.invite, "180 Ringing", "")
		c.answer()
	})
	var calls []*Recording
	var name []string
	for _, file := range files {
		if filepath.Base(file) == "ntop__fuzz-2006-06-26-2594.pcap" || filepath.Base(file) == "rickwporter__aaa.pcap" {
			continue // bits were flipped: some have no Call-ID that an answer could bear
		}
		r, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		some, _, err := Load(r, "", DefaultHeld)
		r.Close()
		if err != nil && !errors.Is(err, trace.ErrCut) {
			t.Logf("%s: %v", filepath.Base(file), err)
		}
		for _, c := range some {
			calls = append(calls, c)
			name = append(name, filepath.Base(file))
		}
	}
	byID := map[string]string{}
	inside := map[string]bool{} // recordings that begin with a re-INVITE, which cannot be one now
	for i, c := range calls {
		byID[c.CallID] = name[i]
		inside[c.CallID] = c.steps[0].tag("To") != ""
	}
	placed, sent, of := 0, 0, 0
	res := against(t, f, calls, func(o *Options) { o.Speed, o.SpeedRTP, o.Rate, o.Concurrency = 40, true, 100, 100 })
	for _, r := range res {
		placed++
		sent += r.Flow.Sent
		of += r.Recorded.Sent
		if r.Note != "" || !r.SameFingerprint && !inside[r.CallID] || len(r.Flow.Responses) == 0 {
			t.Errorf("%s: %s -> %s: %+v", byID[r.CallID], r.From, r.To, r)
		}
	}
	t.Logf("%d of %d calls placed, %d of %d packets sent", placed, len(calls), sent, of)
	if placed != len(calls) {
		t.Error("some were not placed")
	}
}
