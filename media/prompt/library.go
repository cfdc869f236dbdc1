package prompt

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
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
	Recorded        = "recording"        // the call is recorded
	Beep            = "beep"             // 1 kHz, 200 ms
	Ringback        = "ringback"         // one period of a ringing tone, for Options.Loop
)

// Limits of a replacing file.
const (
	MaxSeconds = 60        // longest prompt, s
	maxFile    = 32 << 20  // largest file read, bytes
	minSamples = Rate / 50 // shortest prompt: a packet's usual time
)

// Rate is the sampling rate of prompts, Hz.
const Rate = codec.Rate

// names are all prompts.
var names = []string{Screen, CallbackPromise, CallbackExists, CallbackFailed, CallbackConfirm, CallbackThanks, Goodbye, Recorded, Beep, Ringback}

//go:embed sounds/*/*.wav sounds/*.txt
var sounds embed.FS

// ErrUnknown says that there is no prompt of a name.
var ErrUnknown = errors.New("no prompt of this name")

// Library holds the prompts, decoded. It does not change after New.
type Library struct {
	pcm     map[string]map[string][]int16 // by language and name
	choices choices

	early  []string
	barges map[string]Interrupt
	speech time.Duration
}

// New decodes the built-in prompts and those that replace them.
func New(c Config) (*Library, error) {
	l := &Library{pcm: map[string]map[string][]int16{}, early: c.Early, barges: c.Interrupt, speech: c.Speech}
	for _, language := range builtIn {
		all := map[string][]int16{Beep: beep(), Ringback: ringback()}
		for _, name := range names {
			if all[name] != nil {
				continue // a tone
			}
			b, err := sounds.ReadFile("sounds/" + language + "/" + name + ".wav")
			if err != nil {
				return nil, fmt.Errorf("built-in prompt %s in %s: %w", name, language, err)
			}
			if all[name], err = decode(b); err != nil {
				return nil, fmt.Errorf("built-in prompt %s in %s: %w", name, language, err)
			}
		}
		l.pcm[language] = all
	}
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("prompts: %s %s", path, fmt.Sprintf(format, args...)))
	}
	l.choices = c.compile(fault)
	c.replace(l.pcm, fault)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return l, nil
}

// Get is a prompt's samples in a language, 16 bit at 8 kHz. They are shared: not
// to be changed.
func (l *Library) Get(language, name string) ([]int16, error) {
	all, ok := l.pcm[language]
	if !ok {
		return nil, fmt.Errorf("%w: no prompts in %q; there are %s", ErrUnknown, language, strings.Join(slices.Sorted(maps.Keys(l.pcm)), ", "))
	}
	pcm, ok := all[name]
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

// Text is what the built-in prompt of a name says in a language; empty for the
// tones.
func Text(language, name string) string {
	b, err := sounds.ReadFile("sounds/" + language + ".txt")
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
