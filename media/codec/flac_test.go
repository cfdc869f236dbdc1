package codec

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

// flacFile is n samples of a tone as FLAC, the second channel inverted.
func flacFile(t testing.TB, rate, channels, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	e, err := flac.NewEncoder(&b, &meta.StreamInfo{
		BlockSizeMin: 16, BlockSizeMax: 4096, SampleRate: uint32(rate), NChannels: uint8(channels),
		BitsPerSample: 16, NSamples: uint64(n),
	})
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < n; at += 4096 {
		size := min(4096, n-at)
		f := &frame.Frame{Header: frame.Header{
			BlockSize: uint16(size), SampleRate: uint32(rate), BitsPerSample: 16,
			Channels: frame.Channels(channels - 1),
		}}
		for c := range channels {
			s := &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, NSamples: size}
			for i := range size {
				s.Samples = append(s.Samples, int32(toneAt(at+i, rate))*int32(1-2*c))
			}
			f.Subframes = append(f.Subframes, s)
		}
		if err := e.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func toneAt(i, rate int) int16 {
	return int16(10000 * math.Sin(2*math.Pi*440*float64(i)/float64(rate)))
}

func TestReadFLAC(t *testing.T) {
	for _, c := range []struct{ rate, channels, n int }{{8000, 1, 100}, {44100, 2, 9000}, {48000, 1, 4096}} {
		a, err := Read(bytes.NewReader(flacFile(t, c.rate, c.channels, c.n)))
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if a.Rate != c.rate || len(a.Samples) != c.channels || len(a.Samples[0]) != c.n {
			t.Fatalf("%+v: got %d Hz, %d channels, %d samples", c, a.Rate, len(a.Samples), len(a.Samples[0]))
		}
		for i, v := range a.Samples[0] {
			if toInt16(v) != toneAt(i, c.rate) {
				t.Fatalf("%+v: sample %d is %d, want %d", c, i, toInt16(v), toneAt(i, c.rate))
			}
		}
		if c.channels == 2 && a.Mono()[77] != 0 {
			t.Errorf("%+v: a channel and its inverse mix to %g, want 0", c, a.Mono()[77])
		}
	}
}

func TestReadFLACRefuses(t *testing.T) {
	good := flacFile(t, 8000, 1, 9000)
	edit := func(at int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], v)
		return b
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"cut in a frame", good[:len(good)-500], "flac: "},
		{"rate 0", edit(18, 0, 0, good[20]&0x0f), "sample rate"},
		{"claims too much", edit(21, good[21]|0x0f, 0xff, 0xff, 0xff, 0xff), "cut it into shorter files"},
		{"claims more than it has", edit(22, 0, 1, 0, 0), "claims 65536 samples, the file ends after 9000"},
		{"damaged", edit(60, 0xff, 0xff, 0xff, 0xff, 0xff), "flac: "},
	} {
		a, err := Read(bytes.NewReader(c.file))
		if err == nil {
			t.Errorf("%s: read as %d samples, want an error", c.name, len(a.Samples[0]))
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %q does not say %q", c.name, err, c.want)
		}
	}
}
