package prompt

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
)

// The names of the prompts; each is a WAV file in sounds, but for the tones.
const (
	Screen          = "screen"           // asks a caller why they call
	CallbackPromise = "callback_promise" // all agents are busy, we call you back
	CallbackExists  = "callback_exists"  // a callback is owed already
	CallbackFailed  = "callback_failed"  // no callback can be taken now, please hold
	CallbackConfirm = "callback_confirm" // to who answers a callback: press 1
	CallbackThanks  = "callback_thanks"  // after it: being connected
	Goodbye         = "goodbye"          // the automated call ends here
	Beep            = "beep"             // 1 kHz, 200 ms
	Ringback        = "ringback"         // one period of a ringing tone, for Options.Loop
)

// Limits of a replacing file.
const (
	MaxSeconds = 60        // longest prompt, s
	maxFile    = 32 << 20  // largest file read, bytes
	minSamples = Rate / 50 // shortest prompt: one packet
)

// Rate is the sampling rate of prompts, Hz.
const Rate = codec.Rate

// names are all prompts.
var names = []string{Screen, CallbackPromise, CallbackExists, CallbackFailed, CallbackConfirm, CallbackThanks, Goodbye, Beep, Ringback}

//go:embed sounds/*.wav sounds/prompts.txt
var sounds embed.FS

// Config is the prompts section of the configuration.
type Config struct {
	// Directory holds WAV files that replace built-in prompts of the same name:
	// screen.wav, callback_promise.wav and so on; 8 or 16 kHz, 16 bit PCM, µ-law
	// or A-law, up to 60 s. A prompt without a file keeps its built-in voice.
	// Default: none.
	Directory string `yaml:"directory"`
}

// Defaults is the configuration with the built-in prompts only.
func Defaults() Config { return Config{} }

// Check reports every mistake, those of the files in the directory too.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.Directory == "" {
		return
	}
	replacements(c.Directory, func(_ string, _ []int16, err error) {
		if err != nil {
			fault("directory", "%v", err)
		}
	})
}

// ErrUnknown says that there is no prompt of a name.
var ErrUnknown = errors.New("no prompt of this name")

// Library holds the prompts, decoded. It does not change after New.
type Library struct {
	pcm map[string][]int16
}

// New decodes the built-in prompts and those that replace them.
func New(c Config) (*Library, error) {
	l := &Library{pcm: map[string][]int16{Beep: beep(), Ringback: ringback()}}
	for _, name := range names {
		if l.pcm[name] != nil {
			continue // a tone
		}
		b, err := sounds.ReadFile("sounds/" + name + ".wav")
		if err != nil {
			return nil, fmt.Errorf("built-in prompt %s: %w", name, err)
		}
		if l.pcm[name], err = decode(b); err != nil {
			return nil, fmt.Errorf("built-in prompt %s: %w", name, err)
		}
	}
	if c.Directory == "" {
		return l, nil
	}
	var faults []error
	replacements(c.Directory, func(name string, pcm []int16, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("prompts: directory %w", err))
			return
		}
		l.pcm[name] = pcm
	})
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return l, nil
}

// Get is a prompt's samples, 16 bit at 8 kHz. They are shared: not to be changed.
func (l *Library) Get(name string) ([]int16, error) {
	pcm, ok := l.pcm[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q; there are %s", ErrUnknown, name, strings.Join(names, ", "))
	}
	return pcm, nil
}

// Names are the names of all prompts.
func Names() []string { return slices.Clone(names) }

// Length is how long samples last.
func Length(pcm []int16) time.Duration {
	return time.Duration(len(pcm)) * time.Second / Rate
}

// Text is what the built-in prompt of a name says; empty for the tones.
func Text(name string) string {
	b, err := sounds.ReadFile("sounds/prompts.txt")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if n, text, ok := strings.Cut(line, ":"); ok && n == name {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// replacements reads the WAV files of a directory and tells each, or its mistake.
func replacements(dir string, each func(name string, pcm []int16, err error)) {
	files, err := os.ReadDir(dir)
	if err != nil {
		each("", nil, fmt.Errorf("cannot be read: %w", err))
		return
	}
	for _, f := range files {
		ext := filepath.Ext(f.Name())
		if f.IsDir() || !strings.EqualFold(ext, ".wav") {
			continue
		}
		name := strings.TrimSuffix(f.Name(), ext)
		if !slices.Contains(names, name) {
			each(name, nil, fmt.Errorf("holds %s, but there is no prompt %q: names are %s", f.Name(), name, strings.Join(names, ", ")))
			continue
		}
		pcm, err := readFile(filepath.Join(dir, f.Name()))
		if err != nil {
			err = fmt.Errorf("holds %s, which cannot be used: %w", f.Name(), err)
		}
		each(name, pcm, err)
	}
}

func readFile(path string) ([]int16, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%d bytes: a regular file of at most %d is read", info.Size(), maxFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return decode(b)
}

func decode(b []byte) ([]int16, error) {
	a, err := codec.Read(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if a.Seconds() > MaxSeconds {
		return nil, fmt.Errorf("%.0f s long: at most %d s are played", a.Seconds(), MaxSeconds)
	}
	pcm := a.PCM()
	if len(pcm) < minSamples {
		return nil, fmt.Errorf("%d samples: at least %d (20 ms) are needed", len(pcm), minSamples)
	}
	return pcm, nil
}
