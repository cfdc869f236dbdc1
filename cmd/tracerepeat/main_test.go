package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/portero/portero/sip/trace"
)

// TestRepeat: every copy has the calls and streams of the originals, under names of
// its own.
func TestRepeat(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "traces", "real")
	var out bytes.Buffer
	if err := run(&out, 600_000, 0, []string{filepath.Join(dir, "proxied.pcap"), filepath.Join(dir, "g722.pcap")}); err != nil {
		t.Fatal(err)
	}
	ids, ssrcs := map[string]bool{}, map[trace.SSRC]bool{}
	answered, busy := 0, 0
	sum, err := trace.Read(&out, trace.Options{}, func(c *trace.Call) {
		ids[c.CallID] = true
		switch c.Outcome {
		case trace.Answered:
			answered++
		case trace.Busy:
			busy++
		}
		for _, s := range c.Streams {
			ssrcs[s.SSRC] = true
			if s.Packets < 100 || s.Lost != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
	if err != nil || busy < 5 || answered != 2*busy || len(ids) != 3*busy || len(ssrcs) != 2*busy || sum.Dialogs != len(ids) {
		t.Errorf("%d answered, %d busy, %d Call-IDs, %d SSRCs, %v", answered, busy, len(ids), len(ssrcs), err)
	}
}

func TestNames(t *testing.T) {
	message := "INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKab9\r\nFrom: <sip:a>;tag=zZ9\r\nCall-ID: 99f@host\r\nCSeq: 1 INVITE\r\n\r\n"
	for _, copied := range []uint32{0, 1, 77} {
		b := []byte(message)
		rename(b, copied)
		if len(b) != len(message) || (string(b) == message) != (copied == 0) || !bytes.Contains(b, []byte("branch=z9hG4bK")) || !bytes.Contains(b, []byte("@host")) {
			t.Errorf("copy %d: %q", copied, b)
		}
	}
	seen := map[string]bool{}
	for copied := range uint32(5000) {
		b := []byte("f7-zz09")
		count(b, copied)
		if seen[string(b)] {
			t.Fatalf("copy %d is called %q, as another one", copied, b)
		}
		seen[string(b)] = true
	}
}
