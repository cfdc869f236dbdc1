package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/portero/portero/media/codec"
)

// Shelf is where tapes are kept: a directory, and how much may go there. It is not
// safe for concurrent use, and neither are its tapes.
type Shelf struct {
	Directory string
	Longest   time.Duration // of a tape; what comes later is not on it. 0: as long as it is
	MostBytes int64         // of all tapes together; 0: as many as there are

	written int64
}

// Tape is a call that is heard frame by frame, as out of a capture, on its way into
// a stereo WAV file: the caller left, what the caller hears right. It holds about
// two seconds of samples and no open file, so that thousands may be begun at once.
type Tape struct {
	shelf  *Shelf
	path   string
	stereo *Stereo // nil before the first frame
	start  time.Time
	next   time.Time // when what has settled is written
	end    time.Time // of the last frame
	reel   Reel
	bytes  int64
	err    error
}

// Reel is what became of a tape.
type Reel struct {
	File   string        // its path; empty: nothing was heard
	Start  time.Time     // its first sample
	Length time.Duration //
	Frames [2]int        // heard, by side
	Cut    string        // why it ends before its call, in words; empty if it does not
}

// New begins a tape in a file of that name, which comes with the first frame.
func (s *Shelf) New(name string) *Tape {
	return &Tape{shelf: s, path: filepath.Join(s.Directory, name)}
}

// Frame hears a frame of a side. Frames of one side come in their order; one that
// is more than a second older than the newest is not heard.
func (t *Tape) Frame(side int, f *codec.Frame) {
	switch {
	case t.err != nil || t.reel.Cut != "":
		return
	case t.stereo == nil:
		t.start, t.next = f.At, f.At.Add(2*settle)
		t.stereo = NewStereo(f.At)
		t.err = t.create()
	case f.At.Before(t.start):
		return
	case t.shelf.Longest > 0 && f.At.Sub(t.start) > t.shelf.Longest:
		t.reel.Cut = fmt.Sprintf("it is longer than %v", t.shelf.Longest)
		return
	case t.shelf.MostBytes > 0 && t.shelf.written+int64(samples(f.At.Sub(t.start)))*4-t.bytes > t.shelf.MostBytes:
		t.reel.Cut = fmt.Sprintf("all tapes together may have %d MB", t.shelf.MostBytes>>20)
		return
	}
	if !f.At.Before(t.next) {
		t.write(f.At.Add(-settle))
		t.next = f.At.Add(settle)
	}
	t.reel.Frames[side]++
	t.stereo.Frame(side, f)
	if end := f.At.Add(time.Duration(len(f.PCM)) * time.Second / codec.Rate); end.After(t.end) {
		t.end = end
	}
}

// create makes the file, with a header that says nothing of its length yet.
func (t *Tape) create() error {
	f, err := os.OpenFile(t.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(header(0))
	return errors.Join(err, f.Close())
}

// write appends what is before a moment.
func (t *Tape) write(until time.Time) {
	f, err := os.OpenFile(t.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.err = err
		return
	}
	n, err := t.stereo.Write(f, until)
	t.bytes += n
	t.shelf.written += n
	t.err = errors.Join(err, f.Close())
}

// Close finishes the file. The error is the first that the disk gave.
func (t *Tape) Close() (Reel, error) {
	if t.stereo == nil || t.err != nil {
		return t.reel, t.err
	}
	t.write(t.end)
	if t.err != nil {
		return t.reel, t.err
	}
	f, err := os.OpenFile(t.path, os.O_RDWR, 0)
	if err != nil {
		return t.reel, err
	}
	t.err = errors.Join(seal(f, t.bytes, 0), f.Close())
	t.reel.File, t.reel.Start = t.path, t.start
	t.reel.Length = time.Duration(t.bytes/4) * time.Second / codec.Rate
	return t.reel, t.err
}

// Read is what is on a finished tape, side by side, up to a length.
func (r Reel) Read(most time.Duration) (sides [2][]int16, err error) {
	f, err := os.Open(r.File)
	if err != nil {
		return sides, err
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, wavHeader+4*int64(samples(most))))
	if err != nil {
		return sides, err
	}
	n := min(max(len(b)-wavHeader, 0)/4, samples(most))
	for i := range sides {
		sides[i] = make([]int16, n)
		for k := range sides[i] {
			sides[i][k] = int16(binary.LittleEndian.Uint16(b[wavHeader+4*k+2*i:]))
		}
	}
	return sides, nil
}

// Discard deletes a tape's file and gives its room back.
func (s *Shelf) Discard(r Reel) error {
	if r.File == "" {
		return nil
	}
	info, err := os.Stat(r.File)
	if err != nil {
		return err
	}
	s.written -= info.Size() - wavHeader
	return os.Remove(r.File)
}
