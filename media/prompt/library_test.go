package prompt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	for _, language := range builtIn {
		size += builtInIn(t, l, language)
	}
	if size > 800_000 {
		t.Errorf("built-in prompts take %d bytes, at most 800000 are wanted", size)
	}
	if _, err := l.Get("en", "hello"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "callback_promise") {
		t.Errorf("an unknown prompt: %v", err)
	}
	if _, err := l.Get("fr", Screen); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "en, es") {
		t.Errorf("an unknown language: %v", err)
	}
	if Text("en", Beep) != "" || Text("fr", Screen) != "" {
		t.Error("a tone, or a language that is not there, has words")
	}
}

// builtInIn checks the prompts of one language and gives their size.
func builtInIn(t *testing.T, l *Library, language string) (size int) {
	for _, name := range Names() {
		pcm, err := l.Get(language, name)
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
			t.Errorf("%s %s: %s, peak %d, %.1f dBFS", language, name, Length(pcm), peak, level)
		}
		if name == Beep || name == Ringback {
			continue
		}
		if n := Length(pcm); n < time.Second || n > 12*time.Second {
			t.Errorf("%s %s lasts %s", language, name, n)
		}
		if text := Text(language, name); !strings.Contains(text, map[string]string{"en": "automated", "es": "automátic"}[language]) {
			t.Errorf("%s %s says %q: not that it is automated", language, name, text)
		}
		b, err := sounds.ReadFile("sounds/" + language + "/" + name + ".wav")
		if err != nil {
			t.Fatal(err)
		}
		size += len(b)
		if a, err := codec.Read(bytes.NewReader(b)); err != nil || a.Rate != 8000 || len(a.Samples) != 1 {
			t.Errorf("%s %s: %+v, %v", language, name, a, err)
		}
	}
	return size
}

// TestReproducible: the script makes the same bytes out of the same texts, where
// the voices of Debian 12 are installed.
func TestReproducible(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the arithmetic of another processor rounds otherwise")
	}
	for _, tool := range [][2]string{{"text2wave", "textfile"}, {"espeak-ng", "1.51"}, {"sox", "14.4.2"}} {
		option := "--version"
		if tool[0] == "text2wave" {
			option = "--help"
		}
		out, err := exec.Command(tool[0], option).CombinedOutput()
		if err != nil && len(out) == 0 {
			t.Skipf("%s is not installed: testdata/interop/setup test", tool[0])
		}
		if !strings.Contains(string(out), tool[1]) {
			t.Skipf("%s is not that of Debian 12: %.80s", tool[0], out)
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("sounds/make.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, language := range builtIn {
		for _, name := range Names() {
			file := language + "/" + name + ".wav"
			built, err := sounds.ReadFile("sounds/" + file)
			if err != nil {
				continue // a tone
			}
			if made, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !bytes.Equal(made, built) {
				t.Errorf("%s is not what the script makes (%v)", file, err)
			}
		}
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

// with is the defaults with a directory.
func with(dir string) Config {
	c := Defaults()
	c.Directory = dir
	return c
}

func faults(c Config) (all []string) {
	c.Check(func(path, format string, args ...any) {
		all = append(all, path+" "+fmt.Sprintf(format, args...))
	})
	return all
}

func TestReplacement(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "screen.wav", 16000, 2)
	write(t, dir, "beep.WAV", 8000, 1)
	if err := os.Mkdir(filepath.Join(dir, "es"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "es/screen.wav", 44100, 3)
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("notes"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := with(dir)
	c.Languages = []Choice{{Language: "es", Called: []string{"+34*"}}}
	if all := faults(c); all != nil {
		t.Error(all)
	}
	l := library(t, c)
	for _, w := range []struct {
		language, name string
		want           time.Duration
	}{{"en", Screen, 2 * time.Second}, {"es", Screen, 3 * time.Second}, {"en", Beep, time.Second}, {"es", Beep, time.Second}} {
		if pcm, _ := l.Get(w.language, w.name); Length(pcm) != w.want {
			t.Errorf("%s %s lasts %s, want the file's %s", w.language, w.name, Length(pcm), w.want)
		}
	}
	own, _ := l.Get("en", Goodbye)
	built, _ := library(t, Defaults()).Get("en", Goodbye)
	if !slices.Equal(own, built) {
		t.Error("a prompt without a file lost its built-in voice")
	}
}

// TestStereo: two channels are mixed, whatever the rate.
func TestStereo(t *testing.T) {
	dir := t.TempDir()
	for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 48000} {
		pcm := make([]byte, 0, 4*rate)
		for i := range rate { // a second: 500 Hz left, silence right
			v := uint16(int16(16000 * math.Sin(2*math.Pi*500*float64(i)/float64(rate))))
			pcm = append(pcm, byte(v), byte(v>>8), 0, 0)
		}
		h := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(36+len(pcm)))
		h = append(h, "WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00"...)
		h = binary.LittleEndian.AppendUint32(h, uint32(rate))
		h = binary.LittleEndian.AppendUint32(h, uint32(4*rate))
		h = append(h, "\x04\x00\x10\x00data"...)
		h = binary.LittleEndian.AppendUint32(h, uint32(len(pcm)))
		if err := os.WriteFile(filepath.Join(dir, "screen.wav"), append(h, pcm...), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := library(t, with(dir)).Get("en", Screen)
		if err != nil || len(got) < 7990 || len(got) > 8010 {
			t.Fatalf("%d Hz: %d samples, %v", rate, len(got), err)
		}
		peak := int16(0)
		for _, v := range got[800:7200] {
			peak = max(peak, v)
		}
		if peak < 7600 || peak > 8400 { // half of 16000
			t.Errorf("%d Hz: the mix peaks at %d", rate, peak)
		}
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
		"directory holds " + dir + "/beep.wav, which cannot be used: 80 samples: at least 160",
		"directory holds " + dir + "/goodbye.wav, which cannot be used: 61 s long: at most 60",
		"directory holds " + dir + "/screen.wav, which cannot be used: wav: a RIFF file of type",
		"directory holds " + dir + "/scren.wav, but there is no prompt \"scren\": names are screen, ",
	}
	got := faults(with(dir))
	_, err := New(with(dir))
	if len(got) != len(want) || err == nil {
		t.Fatalf("faults %q, New %v", got, err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) || !strings.Contains(err.Error(), want[i]) {
			t.Errorf("fault %q, want %q; New says %v", got[i], want[i], err)
		}
	}
	if _, err := New(with(filepath.Join(dir, "none"))); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("no directory: %v", err)
	}
}

func TestConfigFaults(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "fr"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name != Goodbye {
			write(t, dir, "fr/"+name+".wav", 8000, 1)
		}
	}
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Language = "fr" }, "language is fr, which is not built in (there are en, es): set directory"},
		{func(c *Config) { c.Language, c.Directory = "fr", dir }, "language is fr, which is not built in (there are en, es), and " + dir + "/fr lacks goodbye.wav"},
		{func(c *Config) { c.Language = "../etc" }, `language is "../etc": a language tag is needed`},
		{func(c *Config) { c.Languages = []Choice{{Language: "es"}} }, "languages[0] fits every call"},
		{func(c *Config) { c.Languages = []Choice{{Language: "es", Called: []string{"+3*4"}}} }, `languages[0].called[0] is "+3*4": a * may stand`},
		{func(c *Config) { c.Languages = []Choice{{Trunks: []string{"a"}}} }, `languages[0].language is "": a language tag`},
		{func(c *Config) { c.Interrupt = map[string]Interrupt{"hello": KeysInterrupt} }, `interrupt names "hello", but there is no such prompt`},
		{func(c *Config) { c.Interrupt = map[string]Interrupt{Screen: "voice"} }, `interrupt.screen is "voice": allowed are off, keys and speech`},
		{func(c *Config) { c.Early = []string{"callback", "confirm"} }, `early[1] is "confirm": allowed are screen and callback`},
		{func(c *Config) { c.Speech = 0 }, "speech is 0s: allowed are 100ms to 2s"},
	} {
		cfg := Defaults()
		c.change(&cfg)
		if got := faults(cfg); len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("faults %q, want %q", got, c.want)
		}
	}
}

func TestLanguage(t *testing.T) {
	c := Defaults()
	c.Languages = []Choice{
		{Language: "es", Called: []string{"+34*", "600"}},
		{Language: "es", Trunks: []string{"madrid"}, Destinations: []string{"ventas"}},
	}
	l := library(t, c)
	for _, w := range []struct {
		call Call
		want string
	}{
		{Call{Called: "+34910000000"}, "es"},
		{Call{Called: "0034 910 000 000"}, "es"},
		{Call{Called: "600"}, "es"},
		{Call{Called: "6001"}, "en"},
		{Call{Called: "+4930", Trunk: "madrid"}, "en"},
		{Call{Called: "+4930", Trunk: "madrid", Destination: "ventas"}, "es"},
		{Call{}, "en"},
	} {
		if got := l.Language(w.call); got != w.want {
			t.Errorf("%+v hears %s, want %s", w.call, got, w.want)
		}
	}
}

func TestInterrupt(t *testing.T) {
	c := Defaults()
	c.Interrupt = map[string]Interrupt{Screen: NoInterrupt, CallbackPromise: KeysInterrupt}
	l := library(t, c)
	for name, want := range map[string]Interrupt{Screen: NoInterrupt, CallbackPromise: KeysInterrupt, CallbackConfirm: KeysInterrupt, Goodbye: NoInterrupt} {
		if by, speech := l.Interrupt(name); by != want || speech != 300*time.Millisecond {
			t.Errorf("%s: %s, %s", name, by, speech)
		}
	}
	if by, _ := library(t, Defaults()).Interrupt(Screen); by != SpeechInterrupt {
		t.Errorf("the screen is interrupted by %s", by)
	}
}
