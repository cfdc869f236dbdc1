package record

import (
	"encoding/binary"
	"io"
	"os"
	"time"

	"github.com/portero/portero/media/codec"
)

const (
	wavHeader = 44
	// settle is how long after its moment a sample is written: packets that are
	// late until then find their place.
	settle = time.Second
	// drift is how far a stream's timestamps may go away from the arrival of its
	// packets before they are believed no more: a sender that was silent without
	// counting, or whose clock runs at another rate.
	drift = 300 * time.Millisecond
)

// wav is a stereo file in the making: a window of samples that are not yet
// written, and behind it the file. Sample 0 is the recording's start.
type wav struct {
	start   time.Time
	tracks  [2]track
	window  []int16 // of both channels in turn
	base    int     // the sample that the window begins with
	late    uint64  // frames that came when their place was written
	buf     []byte
	written int64 // bytes of samples
}

// track is one side's stream.
type track struct {
	decoder *codec.Decoder
	clocks  [128]int // Hz, of negotiated payload types

	anchored bool
	ts       uint32 // the timestamp of
	at       int    // this sample
	ssrc     uint32
	pt       uint8
}

func newWAV(start time.Time) *wav {
	w := &wav{start: start}
	for i := range w.tracks {
		w.tracks[i].decoder = codec.NewDecoder()
	}
	return w
}

// sample is the number of the sample at a moment.
func (w *wav) sample(at time.Time) int {
	return int(at.Sub(w.start) * codec.Rate / time.Second)
}

// payload tells what a payload type means.
func (w *wav) payload(pt uint8, name string, clock int) {
	for i := range w.tracks {
		w.tracks[i].decoder.Payload(pt, name, clock)
		w.tracks[i].clocks[pt&127] = clock
	}
}

// packet takes one of a side's RTP packets.
func (w *wav) packet(side int, b []byte, at time.Time) {
	t := &w.tracks[side]
	if p, err := codec.ParseRTP(b); err == nil {
		if p.SSRC != t.ssrc {
			t.anchored = false
		}
		t.ssrc, t.pt = p.SSRC, p.PayloadType
	}
	_ = t.decoder.Packet(b, at, func(f *codec.Frame) { w.frame(t, side, f) }, nil)
}

// frame puts samples where they belong: by their timestamp, as long as that
// agrees with their arrival.
func (w *wav) frame(t *track, side int, f *codec.Frame) {
	arrived := w.sample(f.At)
	clock := t.clocks[t.pt&127]
	if clock <= 0 {
		clock = codec.Rate
	}
	at := t.at + int(int64(int32(f.Timestamp-t.ts))*codec.Rate/int64(clock))
	if away := at - arrived; !t.anchored || away > samples(drift) || away < -samples(drift) {
		t.anchored = true
		at = max(arrived, 0)
	}
	t.ts, t.at = f.Timestamp, at
	w.put(side, at, f.PCM)
}

func samples(d time.Duration) int { return int(d * codec.Rate / time.Second) }

// put writes samples of a side into the window.
func (w *wav) put(side, at int, pcm []int16) {
	if early := w.base - at; early > 0 {
		if early >= len(pcm) {
			if len(pcm) > 0 {
				w.late++
			}
			return
		}
		at, pcm = w.base, pcm[early:]
	}
	i := at - w.base
	w.reach(i + len(pcm))
	for k, v := range pcm {
		w.window[2*(i+k)+side] = v
	}
}

// reach makes the window n samples long.
func (w *wav) reach(n int) {
	for len(w.window) < 2*n {
		w.window = append(w.window, 0, 0)
	}
}

// begin writes a header that says nothing of the length yet.
func (w *wav) begin(f io.Writer) error {
	_, err := f.Write(header(0))
	return err
}

// flush writes all that is older than settle.
func (w *wav) flush(f io.Writer, now time.Time) error { return w.write(f, w.sample(now.Add(-settle))) }

// write writes the samples before the one of a number; gaps are silence.
func (w *wav) write(f io.Writer, until int) error {
	n := until - w.base
	if n <= 0 {
		return nil
	}
	w.reach(n)
	w.buf = w.buf[:0]
	for _, v := range w.window[:2*n] {
		w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(v))
	}
	w.window = append(w.window[:0], w.window[2*n:]...)
	w.base = until
	k, err := f.Write(w.buf)
	w.written += int64(k)
	return err
}

// finish writes the rest up to the end, a comment, and the lengths.
func (w *wav) finish(f *os.File, end time.Time, about []comment) error {
	for i := range w.tracks {
		w.tracks[i].decoder.Flush(func(fr *codec.Frame) { w.frame(&w.tracks[i], i, fr) }, nil)
	}
	if err := w.write(f, w.sample(end)); err != nil {
		return err
	}
	info := list(about)
	if _, err := f.Write(info); err != nil {
		return err
	}
	return seal(f, w.written, int64(len(info)))
}

// seal writes the lengths into a file's header.
func seal(f *os.File, data, behind int64) error {
	h := header(uint32(data))
	binary.LittleEndian.PutUint32(h[4:], uint32(wavHeader-8+data+behind))
	_, err := f.WriteAt(h, 0)
	return err
}

// header is that of a WAV file of 16 bit stereo at 8 kHz, with n bytes of samples.
func header(n uint32) []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, wavHeader), "RIFF"...)
	b = le.AppendUint32(b, wavHeader-8+n)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 2)
	b = le.AppendUint32(b, codec.Rate)
	b = le.AppendUint32(b, 4*codec.Rate)
	b = le.AppendUint16(b, 4)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	return le.AppendUint32(b, n)
}

// comment is one entry of the list behind the samples.
type comment struct{ id, text string }

// list is a LIST chunk of type INFO: players show it, others skip it.
func list(about []comment) []byte {
	le := binary.LittleEndian
	body := []byte("INFO")
	for _, c := range about {
		text := append([]byte(c.text), 0)
		body = append(body, c.id...)
		body = le.AppendUint32(body, uint32(len(text)))
		body = append(body, text...)
		if len(text)%2 == 1 {
			body = append(body, 0)
		}
	}
	return append(le.AppendUint32([]byte("LIST"), uint32(len(body))), body...)
}

// mendWAV makes what a crash left playable: the lengths are set to what is there.
func mendWAV(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	data := (info.Size() - wavHeader) / 4 * 4
	if data <= 0 {
		return errEmpty
	}
	about := list([]comment{{"ICMT", "Portero did not come to the end of this recording"}})
	if _, err := f.WriteAt(about, wavHeader+data); err != nil {
		return err
	}
	return seal(f, data, int64(len(about)))
}
