package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/zaf/g711"
)

// Format tags of a WAV file (RFC 2361, appendix A).
const (
	wavPCM        = 0x0001
	wavFloat      = 0x0003
	wavALaw       = 0x0006
	wavMuLaw      = 0x0007
	wavExtensible = 0xFFFE
)

// wavStreamed is the least length of a data chunk that means "not known, until
// the end of the file": programs that write into a pipe cannot go back and leave
// 0xFFFFFFFF (ffmpeg) or 0x7FFFF000 and more (sox) there.
const wavStreamed = 0x7FFFF000

// wavGUID is what follows the format tag in the sub-format of WAVE_FORMAT_EXTENSIBLE.
const wavGUID = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

type wavFormat struct {
	tag      uint16
	channels int
	rate     int
	bits     int
}

// readWAV reads a RIFF WAVE file: 8, 16, 24 and 32 bit PCM, 32 and 64 bit float,
// µ-law and A-law, plain or WAVE_FORMAT_EXTENSIBLE. Chunks it does not know are
// skipped. A data chunk that claims more than the file holds is an error, but
// for the lengths that mean "until the end".
func readWAV(r io.Reader) (*Audio, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("wav: the file ends inside its first 12 bytes: %w", short(err))
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, fmt.Errorf("wav: a RIFF file of type %q, not WAVE", head[8:])
	}
	var f *wavFormat
	for {
		var h [8]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return nil, fmt.Errorf("wav: no data chunk before the end of the file: %w", short(err))
		}
		id, size := string(h[:4]), int64(binary.LittleEndian.Uint32(h[4:]))
		switch id {
		case "fmt ":
			if f != nil {
				return nil, errors.New("wav: a second fmt chunk")
			}
			var err error
			if f, err = readFmt(r, size); err != nil {
				return nil, err
			}
		case "data":
			if f == nil {
				return nil, errors.New("wav: the data chunk comes before the fmt chunk")
			}
			return f.readData(r, size)
		default:
			if err := skip(r, size); err != nil {
				return nil, fmt.Errorf("wav: chunk %q claims %d bytes, the file ends inside it: %w", id, size, short(err))
			}
		}
		if size%2 == 1 { // chunks are padded to even lengths
			if err := skip(r, 1); err != nil {
				return nil, fmt.Errorf("wav: no data chunk before the end of the file: %w", short(err))
			}
		}
	}
}

func readFmt(r io.Reader, size int64) (*wavFormat, error) {
	if size < 16 {
		return nil, fmt.Errorf("wav: a fmt chunk of %d bytes: at least 16 are needed", size)
	}
	var b [40]byte
	n := min(size, int64(len(b)))
	if _, err := io.ReadFull(r, b[:n]); err != nil {
		return nil, fmt.Errorf("wav: the file ends inside the fmt chunk: %w", short(err))
	}
	if err := skip(r, size-n); err != nil {
		return nil, fmt.Errorf("wav: the fmt chunk claims %d bytes, the file ends inside it: %w", size, short(err))
	}
	f := &wavFormat{
		tag:      binary.LittleEndian.Uint16(b[0:]),
		channels: int(binary.LittleEndian.Uint16(b[2:])),
		bits:     int(binary.LittleEndian.Uint16(b[14:])),
	}
	rate := binary.LittleEndian.Uint32(b[4:])
	if rate > MaxFileRate {
		rate = MaxFileRate + 1 // so that int holds it everywhere; refused below
	}
	f.rate = int(rate)
	if f.tag == wavExtensible {
		if n < 40 || string(b[26:40]) != wavGUID {
			return nil, errors.New("wav: WAVE_FORMAT_EXTENSIBLE with a sub-format that is not read: PCM, float, µ-law and A-law are")
		}
		f.tag = binary.LittleEndian.Uint16(b[24:])
	}
	if err := checkShape(f.rate, f.channels); err != nil {
		return nil, fmt.Errorf("wav: %w", err)
	}
	ok := false
	switch f.tag {
	case wavPCM:
		ok = f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32
	case wavFloat:
		ok = f.bits == 32 || f.bits == 64
	case wavALaw, wavMuLaw:
		ok = f.bits == 8
	}
	if !ok {
		return nil, fmt.Errorf("wav: format tag %#04x with %d bits a sample: read are PCM (1) of 8, 16, 24, 32 bits, float (3) of 32, 64, A-law (6) and µ-law (7) of 8", f.tag, f.bits)
	}
	if align := int(binary.LittleEndian.Uint16(b[12:])); align != f.channels*f.bits/8 {
		return nil, fmt.Errorf("wav: block alignment %d, but %d channels of %d bits need %d", align, f.channels, f.bits, f.channels*f.bits/8)
	}
	return f, nil
}

func (f *wavFormat) readData(r io.Reader, size int64) (*Audio, error) {
	a := &Audio{Rate: f.rate, Samples: make([][]float32, f.channels)}
	bytes := f.bits / 8
	block := bytes * f.channels
	streamed := size >= wavStreamed
	if !streamed && size%int64(block) != 0 {
		return nil, fmt.Errorf("wav: a data chunk of %d bytes is not a whole number of %d byte blocks", size, block)
	}
	buf := make([]byte, 4096*block)
	total := 0
	for got := int64(0); streamed || got < size; {
		want := int64(len(buf))
		if !streamed {
			want = min(want, size-got)
		}
		n, err := io.ReadFull(r, buf[:want])
		got += int64(n)
		whole := n / block
		if total += whole * f.channels; total > MaxFileSamples {
			return nil, fmt.Errorf("wav: %w", ErrTooLong)
		}
		for c := range a.Samples {
			for i := range whole {
				v := f.sample(buf[i*block+c*bytes:])
				if v != v || math.IsInf(float64(v), 0) {
					return nil, fmt.Errorf("wav: sample %d is not a finite number", len(a.Samples[c]))
				}
				a.Samples[c] = append(a.Samples[c], v)
			}
		}
		if err == nil {
			continue
		}
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if streamed && ended {
			break
		}
		if ended {
			return nil, fmt.Errorf("wav: the data chunk claims %d bytes, the file ends after %d of them", size, got)
		}
		return nil, fmt.Errorf("wav: reading samples: %w", err)
	}
	return a, nil
}

func (f *wavFormat) sample(b []byte) float32 {
	switch f.tag {
	case wavMuLaw:
		return float32(g711.DecodeUlawFrame(b[0])) / (1 << 15)
	case wavALaw:
		return float32(g711.DecodeAlawFrame(b[0])) / (1 << 15)
	case wavFloat:
		if f.bits == 64 {
			return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	switch f.bits {
	case 8: // the only unsigned one
		return float32(int(b[0])-128) / (1 << 7)
	case 16:
		return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15)
	case 24:
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
	}
	return float32(int32(binary.LittleEndian.Uint32(b))) / (1 << 31)
}

// WriteWAV writes pcm as a mono 16 bit PCM file of the given rate, Hz.
func WriteWAV(w io.Writer, rate int, pcm []int16) error {
	if rate < 1 || rate > math.MaxUint32/2 {
		return fmt.Errorf("wav: sampling rate %d Hz cannot be written", rate)
	}
	if int64(len(pcm)) > (math.MaxUint32-36)/2 {
		return fmt.Errorf("wav: %d samples do not fit into one file", len(pcm))
	}
	n := uint32(2 * len(pcm))
	b := make([]byte, 0, 44)
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, 36+n)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, wavPCM)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(2*rate))
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, n)
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("wav: writing the header: %w", err)
	}
	buf := make([]byte, 0, 8192)
	for len(pcm) > 0 {
		part := pcm[:min(len(pcm), cap(buf)/2)]
		buf = buf[:0]
		for _, v := range part {
			buf = le.AppendUint16(buf, uint16(v))
		}
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("wav: writing samples: %w", err)
		}
		pcm = pcm[len(part):]
	}
	return nil
}

// skip reads n bytes and forgets them.
func skip(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	return err
}

// short calls every premature end by one name.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
