package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/sip/trace"
	"github.com/portero/portero/sip/trace/view"
)

// inspectKeep says what is written besides what is printed.
type inspectKeep struct {
	HTML      string `type:"path" placeholder:"FILE" help:"Also write a page for a browser: each call's ladder, pictures of both sides' sound, evidence, sound to play. It is one file that asks nobody for anything."`
	HTMLCalls int    `name:"html-calls" default:"500" help:"How many calls the page shows in full; the others stand in its list."`
	HTMLMB    int    `name:"html-mb" default:"64" help:"How much sound the page may hold, MB (16 kB are a second of a call); of further calls it has pictures alone."`
	Audio     string `type:"path" placeholder:"DIR" help:"Also write each call as a WAV file: the caller left, what the caller hears right, in step, gaps as silence."`
	AudioMB   int    `name:"audio-mb" default:"2048" help:"How much disk all sound together may take, MB (32 kB are a second of a call)."`
}

// check refuses bounds that leave nothing.
func (k *inspectKeep) check() error {
	for flag, n := range map[string]int{"html-calls": k.HTMLCalls, "html-mb": k.HTMLMB, "audio-mb": k.AudioMB} {
		if n < 1 || n > 1<<20 {
			return fmt.Errorf("--%s is %d; allowed is 1 to %d", flag, n, 1<<20)
		}
	}
	return nil
}

const (
	longestTape = 2 * time.Hour
	// pageTape is how much of a call the page draws and plays.
	pageTape = 10 * time.Minute
)

// studio records what is heard of the calls of captures, for files and for the page.
type studio struct {
	keep  *inspectKeep
	shelf record.Shelf
	takes map[string][]*take // by Call-ID, in the order in which they were begun
	count int
	own   string // a directory that is removed in the end
	page  *view.Page
	spool *os.File
	files int            // WAV files that were kept
	names map[string]int // of these, how often each would have been given
	err   error
}

// take is one call that is heard.
type take struct {
	tape  *record.Tape
	reel  record.Reel
	keys  []view.Key
	err   error
	ended bool
}

// maxKeys bounds the keys noted of a call.
const maxKeys = 256

// newStudio opens what the flags ask for; nil: nothing.
func newStudio(k *inspectKeep) (*studio, error) {
	if k.HTML == "" && k.Audio == "" {
		return nil, nil
	}
	s := &studio{keep: k, takes: map[string][]*take{}, names: map[string]int{}}
	own, err := os.MkdirTemp("", "portero-inspect-")
	if err != nil {
		return nil, err
	}
	s.own = own
	s.shelf = record.Shelf{Directory: own, Longest: pageTape, MostBytes: int64(k.AudioMB) << 20}
	if k.Audio != "" {
		if err := os.MkdirAll(k.Audio, 0o700); err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.shelf.Directory, s.shelf.Longest = k.Audio, longestTape
	}
	if k.HTML != "" {
		if s.spool, err = os.Create(filepath.Join(own, "calls.html")); err != nil {
			return nil, errors.Join(err, s.close())
		}
		limits := view.Defaults()
		limits.Calls, limits.Audio = k.HTMLCalls, int64(k.HTMLMB)<<20
		s.page = view.NewPage(s.spool, limits)
	}
	return s, nil
}

// tidyWhenKilled has a signal that ends the command leave no half-written sound
// behind, until the function that it returns is called. What is read as it happens
// takes a signal for its end instead.
func (s *studio) tidyWhenKilled() (stop func()) {
	killed, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(killed, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-killed:
			s.tidy()
			os.Exit(1)
		case <-done:
		}
	}()
	return func() { signal.Stop(killed); close(done) }
}

// tidy removes what is of no use half-written.
func (s *studio) tidy() {
	_ = os.RemoveAll(s.own)
	half, _ := filepath.Glob(filepath.Join(s.shelf.Directory, fmt.Sprintf(".portero-%d-*.wav", os.Getpid())))
	for _, f := range half {
		_ = os.Remove(f)
	}
}

// listen begins to record a call, if there is a use for it.
func (s *studio) listen(callID string) trace.Listener {
	if s.err != nil || s.keep.Audio == "" && !s.page.Room() {
		return nil
	}
	s.count++
	t := &take{tape: s.shelf.New(fmt.Sprintf(".portero-%d-%d.wav", os.Getpid(), s.count))}
	s.takes[callID] = append(s.takes[callID], t)
	return t
}

func (t *take) Frame(side trace.Side, f *codec.Frame) {
	if side == trace.Caller {
		t.tape.Frame(record.Caller, f)
	} else {
		t.tape.Frame(record.Heard, f)
	}
}

func (t *take) Key(side trace.Side, d codec.Digit) {
	if len(t.keys) < maxKeys {
		t.keys = append(t.keys, view.Key{Side: side, Key: d.Key, At: d.At})
	}
}

func (t *take) Ended() { t.reel, t.err, t.ended = finished(t.tape) }

func finished(t *record.Tape) (record.Reel, error, bool) {
	r, err := t.Close()
	return r, err, true
}

// told takes a call whose recording, if there is one, is over. A call that is not
// shown is not kept either.
func (s *studio) told(capture string, number int, c *trace.Call, shown bool, warn func(string, ...any)) {
	t := s.takeOf(c.CallID)
	if s.err != nil || t == nil && !shown {
		return
	}
	if !shown {
		s.err = s.shelf.Discard(t.reel)
		return
	}
	if t != nil && t.err != nil {
		s.err = t.err
		return
	}
	s.err = s.show(capture, number, c, t)
	if s.err != nil || s.keep.Audio == "" {
		return
	}
	if t == nil || t.reel.File == "" {
		if len(c.Streams) > 0 {
			warn("call %d: no audio of the caller: %s; of the far side: %s", number, orHeard(view.Missing(c, trace.Caller)), orHeard(view.Missing(c, trace.Far)))
		}
		return
	}
	for i, side := range []trace.Side{trace.Caller, trace.Far} {
		if why := view.Missing(c, side); t.reel.Frames[i] == 0 && why != "" {
			warn("call %d: the %s side is silence: %s", number, side, why)
		}
	}
	if t.reel.Cut != "" {
		warn("call %d: its audio ends before the call: %s", number, t.reel.Cut)
	}
	s.files++
	s.err = os.Rename(t.reel.File, filepath.Join(s.keep.Audio, s.wavName(capture, number, c.CallID)))
}

func orHeard(why string) string {
	if why == "" {
		return "none that could be decoded"
	}
	return why
}

// takeOf takes out the recording of a call that is over.
func (s *studio) takeOf(callID string) *take {
	list := s.takes[callID]
	if len(list) == 0 || !list[0].ended {
		return nil
	}
	if len(list) == 1 {
		delete(s.takes, callID)
	} else {
		s.takes[callID] = list[1:]
	}
	return list[0]
}

// show adds a call to the page.
func (s *studio) show(capture string, number int, c *trace.Call, t *take) error {
	if s.page == nil {
		return nil
	}
	var sound *view.Sound
	if t != nil && t.reel.File != "" && s.page.Room() {
		sides, err := t.reel.Read(pageTape)
		if err != nil {
			return err
		}
		sound = &view.Sound{Start: t.reel.Start, PCM: sides, Keys: t.keys, Cut: t.reel.Cut}
		if t.reel.Length > pageTape {
			sound.Cut = fmt.Sprintf("the page has the first %v of %v", pageTape, t.reel.Length.Round(time.Second))
		}
	}
	if err := s.page.Call(capture, number, c, sound); err != nil {
		return err
	}
	if t != nil && s.keep.Audio == "" {
		return s.shelf.Discard(t.reel)
	}
	return nil
}

// wavName is a file's name: the capture's, the call's number in it, and of its
// Call-ID what a name may have. Captures of one name in two directories have a
// number more.
func (s *studio) wavName(capture string, number int, callID string) string {
	safe := func(s string, most int) string {
		s = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
				return r
			}
			return '_'
		}, s)
		return strings.TrimLeft(s[:min(len(s), most)], ".-")
	}
	base := filepath.Base(capture)
	if capture == "-" {
		base = "stdin"
	}
	name := fmt.Sprintf("%s-%04d-%s", safe(base, 80), number, safe(callID, 60))
	if s.names[name]++; s.names[name] > 1 {
		name += fmt.Sprintf("-%d", s.names[name])
	}
	return name + ".wav"
}

// finish writes the page, and says what was written.
func (s *studio) finish(say io.Writer) error {
	if s.err != nil {
		return s.err
	}
	if s.keep.Audio != "" {
		fmt.Fprintf(say, "inspect: %d WAV files in %s\n", s.files, s.keep.Audio)
	}
	if s.page == nil {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(s.keep.HTML), ".portero-*.html")
	if err != nil {
		return err
	}
	err = s.page.Finish(f, func() (io.Reader, error) {
		_, err := s.spool.Seek(0, io.SeekStart)
		return s.spool, err
	})
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.keep.HTML)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	fmt.Fprintf(say, "inspect: %s has %.1f MB\n", s.keep.HTML, float64(info.Size())/1e6)
	return nil
}

// close removes what is no longer needed, recordings that came to no end too.
func (s *studio) close() error {
	for _, list := range s.takes {
		for _, t := range list {
			if !t.ended {
				t.Ended()
			}
			_ = s.shelf.Discard(t.reel)
		}
	}
	if s.spool != nil {
		_ = s.spool.Close()
	}
	return os.RemoveAll(s.own)
}
