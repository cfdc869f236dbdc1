package record

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

// tapeFrame is 20 ms of one value, a number of seconds after a tape's first.
func tapeFrame(start time.Time, s float64, value int16) *codec.Frame {
	return &codec.Frame{At: start.Add(time.Duration(s * float64(time.Second))), Timestamp: uint32(s * codec.Rate), Clock: codec.Rate,
		PCM: slices.Repeat([]int16{value}, 160)}
}

// Both sides lie at their time in the file, what lies between is silence, and a gap
// of minutes takes no memory.
func TestTape(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shelf := &Shelf{Directory: t.TempDir()}
	tape := shelf.New("a.wav")
	tape.Frame(Caller, tapeFrame(start, 0, 1))
	tape.Frame(Heard, tapeFrame(start, 0.5, 2))
	tape.Frame(Caller, tapeFrame(start, 300, 3))
	if n := cap(tape.stereo.window); n > 1<<20 {
		t.Errorf("the window has %d samples", n)
	}
	tape.Frame(Heard, tapeFrame(start, 1, 9)) // long written
	reel, err := tape.Close()
	if err != nil || reel.Frames != [2]int{2, 2} || reel.Cut != "" || reel.Length != 5*time.Minute+20*time.Millisecond || !reel.Start.Equal(start) {
		t.Fatalf("%+v, %v", reel, err)
	}
	if s, err := reel.Read(600 * time.Millisecond); err != nil || len(s[0]) != 4800 || s[0][0] != 1 || s[1][0] != 0 || s[1][4000] != 2 || len(s[1]) != 4800 {
		t.Errorf("read back: %d samples, %v", len(s[0]), err)
	}
	b, err := os.ReadFile(reel.File)
	if err != nil || len(b) != 44+4*(300*8000+160) || int(binary.LittleEndian.Uint32(b[40:])) != len(b)-44 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	for s, want := range map[int][2]uint16{0: {1, 0}, 159: {1, 0}, 160: {}, 3999: {}, 4000: {0, 2}, 4159: {0, 2}, 4160: {}, 8000: {}, 300 * 8000: {3, 0}} {
		at := b[44+4*s:]
		if got := [2]uint16{binary.LittleEndian.Uint16(at), binary.LittleEndian.Uint16(at[2:])}; got != want {
			t.Errorf("sample %d is %v, want %v", s, got, want)
		}
	}
}

// A tape ends at its length and at the shelf's; one that heard nothing is no file.
func TestShelfLimits(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shelf := &Shelf{Directory: t.TempDir(), Longest: 10 * time.Second, MostBytes: 1 << 20}
	play := func(name string, seconds int) Reel {
		tape := shelf.New(name)
		for i := range 50 * seconds {
			tape.Frame(Caller, tapeFrame(start, float64(i)/50, 1))
		}
		reel, err := tape.Close()
		if err != nil {
			t.Fatal(err)
		}
		return reel
	}
	if r := play("long.wav", 12); !strings.Contains(r.Cut, "longer than 10s") || r.Length.Round(time.Second) != 10*time.Second {
		t.Errorf("%+v", r)
	}
	for i, most := range []int{10, 10, 10, 3} { // 320 kB each
		if r := play("more.wav", 10); (r.Cut != "") != (i > 1) || int(r.Length.Seconds()) > most {
			t.Errorf("%d: %+v", i, r)
		}
	}
	before := shelf.written
	more := Reel{File: filepath.Join(shelf.Directory, "more.wav")}
	if info, _ := os.Stat(more.File); shelf.Discard(more) != nil || shelf.written != before-info.Size()+44 {
		t.Errorf("a tape of %d bytes is gone, %d became %d", info.Size(), before, shelf.written)
	}
	if r := play("none.wav", 0); r.File != "" {
		t.Errorf("%+v", r)
	}
	if left, _ := filepath.Glob(filepath.Join(shelf.Directory, "none*")); left != nil {
		t.Error(left)
	}
	shelf.Directory = "/nowhere/at/all"
	tape := shelf.New("a.wav")
	tape.Frame(Caller, tapeFrame(start, 0, 1))
	if _, err := tape.Close(); err == nil {
		t.Error("a directory that is not there makes no error")
	}
}
