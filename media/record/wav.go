package record

import (
	"encoding/binary"
	"io"
	"os"
	"time"

	"github.com/portero/portero/media/codec"
)

// wavHeader is the length of a file's header.
const wavHeader = 44

// wav is a stereo file in the making, fed with packets.
type wav struct {
	*Stereo
	tracks  [2]track
	written int64 // bytes of samples
}

// track is one side's stream.
type track struct {
	decoder *codec.Decoder
	ssrc    uint32
}

func newWAV(start time.Time) *wav {
	w := &wav{Stereo: NewStereo(start)}
	for i := range w.tracks {
		w.tracks[i].decoder = codec.NewDecoder()
	}
	return w
}

// payload tells what a payload type means.
func (w *wav) payload(pt uint8, name string, clock int) {
	for i := range w.tracks {
		w.tracks[i].decoder.Payload(pt, name, clock)
	}
}

// packet takes one of a side's RTP packets.
func (w *wav) packet(side int, b []byte, at time.Time) {
	t := &w.tracks[side]
	if p, err := codec.ParseRTP(b); err == nil {
		if p.SSRC != t.ssrc {
			w.Restart(side)
		}
		t.ssrc = p.SSRC
	}
	_ = t.decoder.Packet(b, at, func(f *codec.Frame) { w.Frame(side, f) }, nil)
}

// begin writes a header that says nothing of the length yet.
func (w *wav) begin(f io.Writer) error {
	_, err := f.Write(header(0))
	return err
}

// flush writes all that is older than settle.
func (w *wav) flush(f io.Writer, now time.Time) error { return w.write(f, now.Add(-settle)) }

func (w *wav) write(f io.Writer, until time.Time) error {
	n, err := w.Write(f, until)
	w.written += n
	return err
}

// finish writes the rest up to the end, a comment, and the lengths.
func (w *wav) finish(f *os.File, end time.Time, about []comment) error {
	for i := range w.tracks {
		w.tracks[i].decoder.Flush(func(fr *codec.Frame) { w.Frame(i, fr) }, nil)
	}
	if err := w.write(f, end); err != nil {
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
