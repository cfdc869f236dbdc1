package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFFmpeg compares with ffmpeg where it is installed: it hears G.722 made
// here, and its Opus of every mode, bit rate and packet time is heard here as it
// hears it itself.
func TestFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: testdata/interop/setup test")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		var said bytes.Buffer
		cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-y"}, args...)...)
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("ffmpeg %v: %v\n%s", args, err, &said)
		}
		return out
	}
	raw := func(args ...string) []int16 {
		b := run(append(args, "-ar", "8000", "-ac", "1", "-f", "s16le", "-")...)
		pcm := make([]int16, len(b)/2)
		for i := range pcm {
			pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
		}
		return pcm
	}
	said := spoken(t)
	ours := filepath.Join(dir, "ours.g722")
	if err := os.WriteFile(ours, new(G722Encoder).Encode(nil, said), 0o600); err != nil {
		t.Fatal(err)
	}
	if l := likeness(said, raw("-f", "g722", "-i", ours)); l < 0.99 {
		t.Errorf("G.722 made here is heard with a likeness of %.3f", l)
	}
	for _, c := range []struct {
		application, ms string
		rate            int
		channels        string
	}{
		{"voip", "10", 8, "1"}, {"voip", "20", 16, "1"}, {"voip", "40", 16, "2"}, {"voip", "60", 24, "1"},
		{"audio", "20", 32, "1"}, {"audio", "20", 96, "2"}, {"lowdelay", "2.5", 64, "1"}, {"lowdelay", "5", 48, "1"},
	} {
		name := fmt.Sprintf("%s %s ms %d kbit/s %s channels", c.application, c.ms, c.rate, c.channels)
		file := filepath.Join(dir, "x.opus")
		run("-i", "testdata/speech.wav", "-ar", "48000", "-ac", c.channels, "-c:a", "libopus", "-application", c.application,
			"-frame_duration", c.ms, "-b:a", fmt.Sprintf("%dk", c.rate), file)
		s := NewSpeech()
		s.Payload(96, "opus", 48000)
		var heard []int16
		for _, p := range opusPackets(t, file) {
			pcm, err := s.Decode(96, p)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			heard = append(heard, pcm...)
		}
		if l := likeness(raw("-i", file), heard); l < 0.97 {
			t.Errorf("%s: a likeness of %.3f to what ffmpeg hears", name, l)
		} else {
			t.Logf("%s: %.4f", name, l)
		}
	}
}
