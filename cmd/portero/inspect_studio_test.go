package main

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/trace"
)

// The WAV files of inspect are what was said: read back by our own reader, both
// sides at their time, and the table goes on.
func TestInspectAudio(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "audio")
	out, errs, status := inspect(t, "--csv", "--audio", dir, filepath.Join(traces, "proxied.pcap"), filepath.Join(traces, "key.pcap"), filepath.Join(traces, "busy-tcp6.pcapng"))
	if status != exitOK || !strings.Contains(errs, "inspect: 2 WAV files in "+dir) || !strings.Contains(errs, "call 1: the far side is silence: no RTP of this side is in the capture") {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	if rows, err := csv.NewReader(strings.NewReader(out)).ReadAll(); err != nil || len(rows) != 4 {
		t.Errorf("%v in %s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 2 || filepath.Base(names[1]) != "proxied.pcap-0001-proxied_192.0.2.1.wav" {
		t.Fatalf("%q, %v", names, err)
	}
	a := readWAV(t, names[1])
	if a.Rate != 8000 || len(a.Samples) != 2 || a.Seconds() < 7.6 || a.Seconds() > 7.8 {
		t.Fatalf("%d Hz, %d channels, %.2f s", a.Rate, len(a.Samples), a.Seconds())
	}
	energy := func(channel int, from, to float64) (e float64) {
		for _, v := range a.Samples[channel][int(from*8000):int(to*8000)] {
			e += float64(v) * float64(v)
		}
		return e
	}
	// The far side speaks for 3.2 s, then the caller for 3.1.
	if energy(1, 0, 3.2) < 1 || energy(1, 3.5, 7.6) > 0.01 || energy(0, 3.3, 6.2) < 1 || energy(0, 0, 3.2) > 0.01 {
		t.Errorf("caller %.3f %.3f, far %.3f %.3f", energy(0, 0, 3.2), energy(0, 3.3, 6.2), energy(1, 0, 3.2), energy(1, 3.5, 7.6))
	}
	// Two captures of one name do not write over each other.
	twice := t.TempDir()
	for _, sub := range []string{"a", "b"} {
		b, err := os.ReadFile(filepath.Join(traces, "key.pcap"))
		if err = errors.Join(err, os.Mkdir(filepath.Join(twice, sub), 0o700), os.WriteFile(filepath.Join(twice, sub, "key.pcap"), b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	inspect(t, "--audio", twice, filepath.Join(twice, "a", "key.pcap"), filepath.Join(twice, "b", "key.pcap"))
	if names, _ := filepath.Glob(filepath.Join(twice, "key.pcap-0001-key_192.0.2.1*.wav")); len(names) != 2 {
		t.Errorf("two captures make %q", names)
	}
	// What the filters keep out is not kept, and nothing is left behind.
	none := filepath.Join(t.TempDir(), "none")
	if _, errs, _ := inspect(t, "--outcome", "busy", "--audio", none, filepath.Join(traces, "key.pcap")); !strings.Contains(errs, "0 WAV files") {
		t.Errorf("stderr %q", errs)
	}
	if left, _ := os.ReadDir(none); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	// A directory that cannot be made is an error.
	if _, errs, status := inspect(t, "--audio", "/dev/null/audio", filepath.Join(traces, "key.pcap")); status != exitFailed || !strings.Contains(errs, "/dev/null") {
		t.Errorf("status %d, stderr %q", status, errs)
	}
	if _, errs, status := inspect(t, "--html", "/nowhere/page.html", filepath.Join(traces, "key.pcap")); status != exitFailed || !strings.Contains(errs, "/nowhere") {
		t.Errorf("status %d, stderr %q", status, errs)
	}
}

func readWAV(t *testing.T, name string) *codec.Audio {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	a, err := codec.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What a killed command has half-written is removed: the page's spool and recordings
// that came to no end.
func TestStudioTidy(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	s, err := newStudio(&inspectKeep{HTML: filepath.Join(dir, "page.html"), HTMLCalls: 1, HTMLMB: 1, Audio: filepath.Join(dir, "sound"), AudioMB: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.listen("a call").Frame(trace.Caller, &codec.Frame{At: time.Now(), PCM: make([]int16, 160)})
	count := func() (n int) {
		for _, at := range []string{os.TempDir(), dir} {
			_ = filepath.WalkDir(at, func(_ string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					n++
				}
				return nil
			})
		}
		return n
	}
	if got := count(); got != 2 {
		t.Errorf("%d files at work, want the spool and a recording", got)
	}
	s.tidy()
	if got := count(); got != 0 {
		t.Errorf("%d files are left", got)
	}
}
