package prompt

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

func library(t testing.TB, c Config) *Library {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBuiltIn(t *testing.T) {
	l := library(t, Defaults())
	size := 0
	for _, name := range Names() {
		pcm, err := l.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		peak := int16(0)
		energy := 0.0
		for _, v := range pcm {
			peak = max(peak, v)
			energy += float64(v) * float64(v)
		}
		// Loud enough to be understood, not so loud as to clip.
		if level := 10 * math.Log10(energy/float64(len(pcm))/(32768*32768)); peak > 30000 || level < -30 || level > -9 {
			t.Errorf("%s: %s, peak %d, %.1f dBFS", name, Length(pcm), peak, level)
		}
		if name == Beep || name == Ringback {
			continue
		}
		if n := Length(pcm); n < time.Second || n > 12*time.Second {
			t.Errorf("%s lasts %s", name, n)
		}
		if text := Text(name); text == "" || name != CallbackThanks && !strings.Contains(text, "automated") {
			t.Errorf("%s says %q: not that it is automated", name, text)
		}
		b, err := sounds.ReadFile("sounds/" + name + ".wav")
		if err != nil {
			t.Fatal(err)
		}
		size += len(b)
		if a, err := codec.Read(bytes.NewReader(b)); err != nil || a.Rate != 8000 || len(a.Samples) != 1 {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if size > 400_000 {
		t.Errorf("built-in prompts take %d bytes, at most 400000 are wanted", size)
	}
	if _, err := l.Get("hello"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "callback_promise") {
		t.Errorf("an unknown prompt: %v", err)
	}
	if Text(Beep) != "" {
		t.Error("a tone has words")
	}
}

// write makes a WAV file of seconds at a rate.
func write(t *testing.T, dir, name string, rate int, seconds float64) {
	t.Helper()
	var b bytes.Buffer
	pcm := make([]int16, int(seconds*float64(rate)))
	for i := range pcm {
		pcm[i] = int16(10000 * math.Sin(2*math.Pi*500*float64(i)/float64(rate)))
	}
	if err := codec.WriteWAV(&b, rate, pcm); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReplacement(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "screen.wav", 16000, 2)
	write(t, dir, "beep.WAV", 8000, 1)
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("notes"), 0o644); err != nil {
		t.Fatal(err)
	}
	Config{Directory: dir}.Check(func(path, format string, args ...any) {
		t.Errorf("%s %s", path, fmt.Sprintf(format, args...))
	})
	l := library(t, Config{Directory: dir})
	for name, want := range map[string]time.Duration{Screen: 2 * time.Second, Beep: time.Second} {
		if pcm, _ := l.Get(name); Length(pcm) != want {
			t.Errorf("%s lasts %s, want the file's %s", name, Length(pcm), want)
		}
	}
	own, _ := l.Get(Goodbye)
	built, _ := library(t, Defaults()).Get(Goodbye)
	if !slices.Equal(own, built) {
		t.Error("a prompt without a file lost its built-in voice")
	}
}

func TestReplacementFaults(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "scren.wav", 8000, 1)
	write(t, dir, "goodbye.wav", 8000, 61)
	write(t, dir, "beep.wav", 8000, 0.01)
	if err := os.WriteFile(filepath.Join(dir, "screen.wav"), []byte("RIFFxxxxMP3 "), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"holds beep.wav, which cannot be used: 80 samples: at least 160",
		"holds goodbye.wav, which cannot be used: 61 s long: at most 60",
		"holds screen.wav, which cannot be used: wav: a RIFF file of type",
		"holds scren.wav, but there is no prompt \"scren\": names are screen, ",
	}
	var got []string
	Config{Directory: dir}.Check(func(path, format string, args ...any) {
		got = append(got, fmt.Sprintf(format, args...))
		if path != "directory" {
			t.Errorf("path %s", path)
		}
	})
	_, err := New(Config{Directory: dir})
	if len(got) != len(want) || err == nil {
		t.Fatalf("faults %q, New %v", got, err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) || !strings.Contains(err.Error(), want[i]) {
			t.Errorf("fault %q, want %q; New says %v", got[i], want[i], err)
		}
	}
	if _, err := New(Config{Directory: filepath.Join(dir, "none")}); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("no directory: %v", err)
	}
}
