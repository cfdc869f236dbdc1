package prompt

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config is the prompts section of the configuration.
type Config struct {
	// Directory holds WAV files that replace built-in prompts of the same name:
	// screen.wav, callback_promise.wav and so on, in every language; and in a
	// directory of a language's name (es/screen.wav), those of that language
	// alone. PCM of any rate from 8 kHz on, µ-law or A-law, up to 60 s; several
	// channels are mixed. A prompt without a file keeps its built-in voice; a
	// language that has none needs all files. Default: none.
	Directory string `yaml:"directory"`
	// Language is what is spoken where none of Languages says otherwise: en, es,
	// or that of a directory. Default: en.
	Language string `yaml:"language"`
	// Languages chooses another language for some calls; the first entry that a
	// call fits counts. Default: none.
	Languages []Choice `yaml:"languages"`
	// Early are the dialogues that are held in early media (183), before any answer:
	// screen, callback. A caller who was promised a callback so gets 480 at the end,
	// and pays for no answered call. It needs a carrier that lets early media pass,
	// for screen both ways; a caller whose call rings already, who offers nothing, or
	// who demands reliable responses (RFC 3262) is answered. Default: none.
	Early []string `yaml:"early"`
	// Interrupt says, prompt by prompt, what of the caller's ends one before its
	// end: off, keys, or speech, which is speech and keys. Default: speech for
	// screen, keys for callback_confirm, off for the others.
	Interrupt map[string]Interrupt `yaml:"interrupt"`
	// Speech is for how long the caller must speak without a pause to interrupt a
	// prompt: 100ms to 2s. A cough is shorter; so is what a loud line
	// echoes. Default: 300ms.
	Speech time.Duration `yaml:"speech"`
}

// The values of Config.Early.
const (
	EarlyScreen   = "screen"
	EarlyCallback = "callback"
)

// Early says whether a dialogue is held in early media.
func (l *Library) Early(dialogue string) bool { return slices.Contains(l.early, dialogue) }

// Interrupt is what ends a prompt before its end.
type Interrupt string

// The values of Interrupt.
const (
	NoInterrupt     Interrupt = "off"
	KeysInterrupt   Interrupt = "keys"
	SpeechInterrupt Interrupt = "speech" // and keys
)

// Choice is the language of the calls that fit: those that every list that is
// not empty holds.
type Choice struct {
	// Language as above. Required.
	Language string `yaml:"language"`
	// Called numbers: a number, a prefix ending in *, or a user name. Of a callback
	// it is the number that is called back.
	Called []string `yaml:"called"`
	// Trunks, by name, that the call comes by.
	Trunks []string `yaml:"trunks"`
	// Destinations, by name, that the call is at or is meant for.
	Destinations []string `yaml:"destinations"`
}

// builtIn are the languages that Portero speaks by itself.
var builtIn = []string{"en", "es"}

// Defaults is the configuration with the built-in prompts only, in English.
func Defaults() Config { return Config{Language: "en", Speech: 300 * time.Millisecond} }

// interrupts are the defaults; what is not there is off.
var interrupts = map[string]Interrupt{Screen: SpeechInterrupt, CallbackConfirm: KeysInterrupt}

// Interrupt says what interrupts a prompt, and for how long it must be spoken.
func (l *Library) Interrupt(name string) (Interrupt, time.Duration) {
	if by, ok := l.barges[name]; ok {
		return by, l.speech
	}
	if by, ok := interrupts[name]; ok {
		return by, l.speech
	}
	return NoInterrupt, l.speech
}

// Check reports every mistake, those of the files in the directory too.
func (c Config) Check(fault func(path, format string, args ...any)) {
	c.compile(fault)
	c.replace(nil, fault)
	for _, name := range slices.Sorted(maps.Keys(c.Interrupt)) {
		if !slices.Contains(names, name) {
			fault("interrupt", "names %q, but there is no such prompt: names are %s", name, strings.Join(names, ", "))
		}
		switch by := c.Interrupt[name]; by {
		case NoInterrupt, KeysInterrupt, SpeechInterrupt:
		default:
			fault("interrupt."+name, "is %q: allowed are off, keys and speech", by)
		}
	}
	for i, name := range c.Early {
		if name != EarlyScreen && name != EarlyCallback {
			fault(fmt.Sprintf("early[%d]", i), "is %q: allowed are %s and %s", name, EarlyScreen, EarlyCallback)
		}
	}
	if c.Speech < 100*time.Millisecond || c.Speech > 2*time.Second {
		fault("speech", "is %s: allowed are 100ms to 2s", c.Speech)
	}
}

// tag is a language tag (RFC 5646), which is a directory's name too.
var tag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// wanted are the languages that the configuration names, and by which key.
func (c Config) wanted() (languages []string, path map[string]string) {
	path = map[string]string{}
	add := func(language, at string) {
		if _, known := path[language]; !known {
			path[language] = at
			languages = append(languages, language)
		}
	}
	add(c.Language, "language")
	for i, choice := range c.Languages {
		add(choice.Language, fmt.Sprintf("languages[%d].language", i))
	}
	return languages, path
}

// replace puts the directory's files in the place of the built-in prompts (into
// nothing if into is nil) and sees that every language is whole.
func (c Config) replace(into map[string]map[string][]int16, fault func(path, format string, args ...any)) {
	languages, path := c.wanted()
	tell := func(err error) { fault("directory", "%v", err) }
	every := map[string][]int16{}
	if c.Directory != "" {
		every = replacements(c.Directory, tell)
	}
	for _, language := range languages {
		if !tag.MatchString(language) {
			fault(path[language], "is %q: a language tag is needed, such as en or es", language)
			continue
		}
		own, dir := map[string][]int16{}, filepath.Join(c.Directory, language)
		if c.Directory != "" {
			if _, err := os.Stat(dir); err == nil || !os.IsNotExist(err) {
				own = replacements(dir, tell)
			}
		}
		if into != nil && into[language] == nil {
			into[language] = map[string][]int16{Beep: beep(), Ringback: ringback()}
		}
		var missing []string
		for _, name := range names {
			pcm, ok := own[name]
			if !ok {
				pcm, ok = every[name]
			}
			switch {
			case ok && into != nil:
				into[language][name] = pcm
			case !ok && !slices.Contains(builtIn, language) && name != Beep && name != Ringback:
				missing = append(missing, name+".wav")
			}
		}
		switch {
		case len(missing) > 0 && c.Directory == "":
			fault(path[language], "is %s, which is not built in (there are %s): set directory, and put its prompts into the directory %s there", language, strings.Join(builtIn, ", "), language)
		case len(missing) > 0:
			fault(path[language], "is %s, which is not built in (there are %s), and %s lacks %s", language, strings.Join(builtIn, ", "), dir, strings.Join(missing, ", "))
		}
	}
}

// replacements reads the WAV files of a directory; what cannot be used is told,
// and stands in the result as nil.
func replacements(dir string, fault func(error)) map[string][]int16 {
	all := map[string][]int16{}
	files, err := os.ReadDir(dir)
	if err != nil {
		fault(fmt.Errorf("cannot be read: %w", err))
		return all
	}
	for _, f := range files {
		ext := filepath.Ext(f.Name())
		if f.IsDir() || !strings.EqualFold(ext, ".wav") {
			continue
		}
		path, name := filepath.Join(dir, f.Name()), strings.TrimSuffix(f.Name(), ext)
		if !slices.Contains(names, name) {
			fault(fmt.Errorf("holds %s, but there is no prompt %q: names are %s", path, name, strings.Join(names, ", ")))
			continue
		}
		pcm, err := readFile(path)
		if err != nil {
			fault(fmt.Errorf("holds %s, which cannot be used: %w", path, err))
		}
		all[name] = pcm
	}
	return all
}
