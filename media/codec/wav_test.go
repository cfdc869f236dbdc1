package codec

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// chunk is a RIFF chunk with its padding; a negative claim keeps the true length.
func chunk(id string, body []byte, claim int64) []byte {
	n := int64(len(body))
	if claim >= 0 {
		n = claim
	}
	b := append([]byte(id), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[4:], uint32(n))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func fmtBody(tag, channels, rate, bits int) []byte {
	var b []byte
	le := binary.LittleEndian
	b = le.AppendUint16(b, uint16(tag))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*bits/8))
	b = le.AppendUint16(b, uint16(channels*bits/8))
	return le.AppendUint16(b, uint16(bits))
}

func extensible(tag, channels, rate, bits int, guid string) []byte {
	b := fmtBody(wavExtensible, channels, rate, bits)
	b = append(b, 22, 0, byte(bits), 0, 0, 0, 0, 0, byte(tag), byte(tag>>8))
	return append(b, guid...)
}

func riff(chunks ...[]byte) []byte {
	body := append([]byte("WAVE"), bytes.Join(chunks, nil)...)
	return chunk("RIFF", body, -1)
}

func TestReadWAVFormats(t *testing.T) {
	f32 := func(v float32) []byte { return binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)) }
	f64 := func(v float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)) }
	for _, c := range []struct {
		name string
		fmt  []byte
		data []byte
		want []float32
	}{
		{"8 bit", fmtBody(1, 1, 8000, 8), []byte{0, 64, 128, 192}, []float32{-1, -.5, 0, .5}},
		{"16 bit", fmtBody(1, 1, 8000, 16), []byte{0, 0x80, 0, 0, 0, 0x40}, []float32{-1, 0, .5}},
		{"24 bit", fmtBody(1, 1, 8000, 24), []byte{0, 0, 0x80, 0, 0, 0x40}, []float32{-1, .5}},
		{"32 bit", fmtBody(1, 1, 8000, 32), []byte{0, 0, 0, 0x80, 0, 0, 0, 0x40}, []float32{-1, .5}},
		{"float", fmtBody(3, 1, 8000, 32), append(f32(-.25), f32(1.5)...), []float32{-.25, 1.5}},
		{"double", fmtBody(3, 1, 8000, 64), append(f64(-.25), f64(.5)...), []float32{-.25, .5}},
		{"µ-law", fmtBody(7, 1, 8000, 8), []byte{0xff, 0x80, 0x00}, []float32{0, 32124. / 32768, -32124. / 32768}},
		{"A-law", fmtBody(6, 1, 8000, 8), []byte{0xd5, 0xaa, 0x2a}, []float32{8. / 32768, 32256. / 32768, -32256. / 32768}},
		{"extensible 16 bit", extensible(1, 1, 48000, 16, wavGUID), []byte{0, 0x40}, []float32{.5}},
		{"extensible float", extensible(3, 1, 48000, 32, wavGUID), f32(.5), []float32{.5}},
		{"fmt with a tail", append(fmtBody(7, 1, 8000, 8), 0, 0), []byte{0xff}, []float32{0}},
		{"no samples", fmtBody(1, 1, 8000, 16), nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := riff(chunk("LIST", []byte("odd"), -1), chunk("fmt ", c.fmt, -1), chunk("fact", make([]byte, 4), -1),
				chunk("data", c.data, -1), []byte("trailing garbage"))
			// A reader that gives one byte at a time must make no difference.
			for _, r := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file))} {
				a, err := Read(r)
				if err != nil {
					t.Fatal(err)
				}
				if len(a.Samples) != 1 || len(a.Samples[0]) != len(c.want) {
					t.Fatalf("got %v, want %v", a.Samples, c.want)
				}
				for i, v := range a.Samples[0] {
					if v != c.want[i] {
						t.Errorf("sample %d is %v, want %v", i, v, c.want[i])
					}
				}
			}
		})
	}
}

func TestReadWAVStereo(t *testing.T) {
	a, err := Read(bytes.NewReader(riff(chunk("fmt ", fmtBody(1, 2, 44100, 16), -1), chunk("data", []byte{0, 0x40, 0, 0, 0, 0x20, 0, 0xe0}, -1))))
	if err != nil {
		t.Fatal(err)
	}
	if a.Rate != 44100 || len(a.Samples) != 2 || a.Samples[0][1] != .25 || a.Samples[1][1] != -.25 {
		t.Fatalf("got %+v", a)
	}
	if m := a.Mono(); m[0] != .25 || m[1] != 0 {
		t.Errorf("mono is %v, want the mean of both channels, .25 and 0", m)
	}
	if s := a.Seconds(); s != 2./44100 {
		t.Errorf("%g s, want 2 samples at 44.1 kHz", s)
	}
}

// Programs that write into a pipe leave an impossible length.
func TestReadWAVStreamed(t *testing.T) {
	for _, claim := range []int64{0xffffffff, 0x7ffff024} {
		file := riff(chunk("fmt ", fmtBody(1, 1, 8000, 16), -1), chunk("data", make([]byte, 100_000), claim))
		a, err := Read(bytes.NewReader(file))
		if err != nil || len(a.Samples[0]) != 50_000 {
			t.Errorf("claim %#x: %v, %v; want 50000 samples", claim, a, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := chunk("fmt ", fmtBody(1, 1, 8000, 16), -1)
	data := chunk("data", make([]byte, 320), -1)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"nothing", nil, "only 0 bytes"},
		{"text", []byte("hello world"), `starts with "hell"`},
		{"mp3", []byte("\xff\xfb\x90\x64\x00\x00"), "neither WAV"},
		{"RF64", []byte("RF64\xff\xff\xff\xffWAVE"), "RF64"},
		{"cut in the header", []byte("RIFF\x00"), "first 12 bytes"},
		{"not WAVE", chunk("RIFF", []byte("AVI LIST"), -1), `type "AVI "`},
		{"no data", riff(good), "no data chunk"},
		{"data before fmt", riff(data, good), "before the fmt chunk"},
		{"fmt twice", riff(good, good, data), "second fmt"},
		{"short fmt", riff(chunk("fmt ", make([]byte, 14), -1), data), "14 bytes"},
		{"fmt cut", riff(chunk("fmt ", fmtBody(1, 1, 8000, 16)[:10], 16)), "inside the fmt chunk"},
		{"fmt lies", riff(chunk("fmt ", fmtBody(1, 1, 8000, 16), 1<<31)), "inside the fmt chunk"},
		{"adpcm", riff(chunk("fmt ", fmtBody(0x11, 1, 8000, 4), -1), data), "format tag 0x0011"},
		{"12 bit", riff(chunk("fmt ", fmtBody(1, 1, 8000, 12), -1), data), "12 bits"},
		{"half float", riff(chunk("fmt ", fmtBody(3, 1, 8000, 16), -1), data), "format tag 0x0003"},
		{"other sub-format", riff(chunk("fmt ", extensible(1, 1, 8000, 16, strings.Repeat("x", 14)), -1), data), "sub-format"},
		{"no channel", riff(chunk("fmt ", fmtBody(1, 0, 8000, 16), -1), data), "0 channels"},
		{"9 channels", riff(chunk("fmt ", fmtBody(1, 9, 8000, 16), -1), data), "9 channels"},
		{"slow", riff(chunk("fmt ", fmtBody(1, 1, 7999, 16), -1), data), "7999 Hz"},
		{"fast", riff(chunk("fmt ", fmtBody(1, 1, 1<<31, 16), -1), data), "8000 to 192000 Hz"},
		{"wrong alignment", riff(chunk("fmt ", func() []byte { b := fmtBody(1, 1, 8000, 16); b[12] = 4; return b }(), -1), data), "block alignment 4"},
		{"data lies", riff(good, chunk("data", make([]byte, 320), 1<<30)), "claims 1073741824 bytes, the file ends after 320"},
		{"data cut in a sample", riff(good, chunk("data", make([]byte, 321), 322+2))[:12+24+8+321], "ends after 321"},
		{"odd data", riff(good, chunk("data", make([]byte, 321), -1)), "not a whole number of 2 byte blocks"},
		{"chunk lies", riff(good, chunk("junk", nil, 1<<30)), `chunk "junk" claims`},
		{"not a number", riff(chunk("fmt ", fmtBody(3, 1, 8000, 32), -1), chunk("data", []byte{0, 0, 0xc0, 0x7f}, -1)), "not a finite number"},
		{"infinite", riff(chunk("fmt ", fmtBody(3, 1, 8000, 32), -1), chunk("data", []byte{0, 0, 0x80, 0x7f}, -1)), "not a finite number"},
		{"flac cut", []byte("fLaC\x00\x00"), "flac: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := Read(bytes.NewReader(c.file))
			if err == nil {
				t.Fatalf("read as %d channels at %d Hz, want an error", len(a.Samples), a.Rate)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
		})
	}
}

// A file that claims a gigabyte must not take it.
func TestReadTakesNoClaimedMemory(t *testing.T) {
	file := riff(chunk("fmt ", fmtBody(1, 1, 8000, 16), -1), chunk("data", make([]byte, 32), 1<<30))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		_, _ = Read(bytes.NewReader(file))
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 10; n > 1<<20 {
		t.Errorf("%d bytes for a file of %d", n, len(file))
	}
}

func TestWriteWAV(t *testing.T) {
	pcm := make([]int16, 10_001)
	for i := range pcm {
		pcm[i] = int16(i * 7919)
	}
	var b bytes.Buffer
	if err := WriteWAV(&b, 16000, pcm); err != nil {
		t.Fatal(err)
	}
	a, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if a.Rate != 16000 || len(a.Samples) != 1 || len(a.Samples[0]) != len(pcm) {
		t.Fatalf("got %d Hz, %d channels, %d samples", a.Rate, len(a.Samples), len(a.Samples[0]))
	}
	for i, v := range a.Samples[0] {
		if toInt16(v) != pcm[i] {
			t.Fatalf("sample %d is %d, wrote %d", i, toInt16(v), pcm[i])
		}
	}
	if err := WriteWAV(&b, 0, pcm); err == nil {
		t.Error("a rate of 0 Hz was written")
	}
	if err := WriteWAV(failing{}, 8000, pcm); err == nil {
		t.Error("a failing writer went unnoticed")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

func FuzzRead(f *testing.F) {
	f.Add(riff(chunk("fmt ", fmtBody(1, 1, 8000, 16), -1), chunk("data", make([]byte, 32), -1)))
	f.Add(riff(chunk("fmt ", fmtBody(7, 2, 8000, 8), -1), chunk("LIST", []byte("odd"), -1), chunk("data", []byte{1, 2, 3, 4}, 0xffffffff)))
	f.Add(riff(chunk("fmt ", extensible(3, 1, 44100, 32, wavGUID), -1), chunk("data", make([]byte, 8), 1<<30)))
	f.Add(flacFile(f, 8000, 1, 300))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		for _, c := range a.Samples {
			if len(c) != len(a.Samples[0]) {
				t.Fatal("channels of different lengths")
			}
		}
		if a.Rate < MinFileRate || a.Rate > MaxFileRate || len(a.Samples) < 1 || len(a.Samples) > MaxChannels {
			t.Fatalf("%d Hz, %d channels were let through", a.Rate, len(a.Samples))
		}
	})
}
