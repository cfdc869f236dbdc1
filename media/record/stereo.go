package record

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/portero/portero/media/codec"
)

const (
	// settle is how long after its moment a sample is written: packets that are
	// late until then find their place.
	settle = time.Second
	// drift is how far a stream's timestamps may go away from the arrival of its
	// packets before they are believed no more: a sender that was silent without
	// counting, or whose clock runs at another rate.
	drift = 300 * time.Millisecond
	// stretch is how much is written at once, samples: a gap of an hour is silence
	// in the file, and not in memory.
	stretch = 10 * codec.Rate
)

// Stereo lays the frames of a call's two sides beside each other: a window of
// samples that are not yet written, at codec.Rate, both channels in turn. What was
// not heard is silence. It is not safe for concurrent use.
type Stereo struct {
	start  time.Time // of sample 0
	places [2]place
	window []int16
	base   int    // the sample that the window begins with
	late   uint64 // frames that came when their place was written
	buf    []byte
}

// place is where a side's timestamps are on the clock.
type place struct {
	anchored bool
	ts       uint32 // the timestamp of
	at       int    // this sample
}

// NewStereo begins with sample 0 at a moment.
func NewStereo(start time.Time) *Stereo { return &Stereo{start: start} }

// Restart says that a side's timestamps begin anew.
func (s *Stereo) Restart(side int) { s.places[side].anchored = false }

// sample is the number of the sample at a moment.
func (s *Stereo) sample(at time.Time) int {
	return int(at.Sub(s.start) * codec.Rate / time.Second)
}

// Frame puts samples where they belong: by their timestamp, as long as that
// agrees with their arrival. What has been written by then is lost.
func (s *Stereo) Frame(side int, f *codec.Frame) {
	p := &s.places[side]
	arrived := s.sample(f.At)
	clock := f.Clock
	if clock <= 0 {
		clock = codec.Rate
	}
	at := p.at + int(int64(int32(f.Timestamp-p.ts))*codec.Rate/int64(clock))
	if away := at - arrived; !p.anchored || away > samples(drift) || away < -samples(drift) {
		p.anchored = true
		at = max(arrived, 0)
	}
	p.ts, p.at = f.Timestamp, at
	s.put(side, at, f.PCM)
}

func samples(d time.Duration) int { return int(d * codec.Rate / time.Second) }

// put writes samples of a side into the window.
func (s *Stereo) put(side, at int, pcm []int16) {
	if early := s.base - at; early > 0 {
		if early >= len(pcm) {
			if len(pcm) > 0 {
				s.late++
			}
			return
		}
		at, pcm = s.base, pcm[early:]
	}
	i := at - s.base
	s.reach(i + len(pcm))
	for k, v := range pcm {
		s.window[2*(i+k)+side] = v
	}
}

// reach makes the window n samples long.
func (s *Stereo) reach(n int) {
	for len(s.window) < 2*n {
		s.window = append(s.window, 0, 0)
	}
}

// Write writes what is before a moment, as 16 bit little-endian, and returns how
// many bytes that were.
func (s *Stereo) Write(f io.Writer, until time.Time) (written int64, err error) {
	for end := s.sample(until); s.base < end && err == nil; {
		n := min(end-s.base, stretch)
		s.reach(n)
		s.buf = s.buf[:0]
		for _, v := range s.window[:2*n] {
			s.buf = binary.LittleEndian.AppendUint16(s.buf, uint16(v))
		}
		s.window = append(s.window[:0], s.window[2*n:]...)
		s.base += n
		var k int
		k, err = f.Write(s.buf)
		written += int64(k)
	}
	return written, err
}
