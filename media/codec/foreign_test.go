package codec

import (
	"bytes"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// opusPackets are the audio packets of an Ogg file with one stream (RFC 3533,
// RFC 7845): all after the two of its header.
func opusPackets(t testing.TB, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	var one []byte
	for len(b) >= 27 && string(b[:4]) == "OggS" {
		lengths := b[27 : 27+int(b[26])]
		b = b[27+len(lengths):]
		for _, n := range lengths {
			one = append(one, b[:n]...)
			b = b[n:]
			if n < 255 {
				packets, one = append(packets, one), nil
			}
		}
	}
	if len(packets) < 3 {
		t.Fatalf("%s: %d packets", name, len(packets))
	}
	return packets[2:]
}

// g722Packets cuts a G.722 file into packets of so many bytes, the last one
// shorter.
func g722Packets(t testing.TB, sizes ...int) [][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/speech.g722")
	if err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	for i := 0; len(b) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(b))
		packets, b = append(packets, b[:n]), b[n:]
	}
	return packets
}

// spoken is what the foreign encoders were given.
func spoken(t testing.TB) []int16 {
	t.Helper()
	b, err := os.ReadFile("testdata/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	a, err := Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	pcm := a.PCM()
	return pcm[:min(len(pcm), 2*Rate)]
}

// likeness is the best correlation of heard with said at a delay of up to 30 ms;
// the delay may end in a half.
func likeness(said, heard []int16) float64 {
	floats := func(pcm []int16) []float32 {
		x := make([]float32, len(pcm))
		for i, v := range pcm {
			x[i] = float32(v)
		}
		return Resample(x, Rate, 4*Rate)
	}
	a, b := floats(said), floats(heard)
	best := 0.0
	for delay := -4 * 240; delay <= 4*240; delay++ {
		var ab, aa, bb float64
		for i := max(0, -delay); i < len(a) && i+delay < len(b); i += 7 {
			x, y := float64(a[i]), float64(b[i+delay])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		best = max(best, ab/math.Sqrt(aa*bb+1))
	}
	return best
}

// said is all that an ear heard, in one piece.
func (e *ear) said() (pcm []int16) {
	for _, f := range e.frames {
		pcm = append(pcm, f.PCM...)
	}
	return pcm
}

// TestForeignEncoders: G.722 and Opus, made by ffmpeg (testdata/make.sh) of known
// speech, in packets of 10 to 60 ms and odd sizes.
func TestForeignEncoders(t *testing.T) {
	want := spoken(t)
	for _, c := range []struct {
		name    string
		packets [][]byte
		units   int // timestamp units a packet; 0: its bytes
		least   float64
	}{
		{"g722 20 ms", g722Packets(t, 160), 0, 0.99},
		{"g722 10 ms", g722Packets(t, 80), 0, 0.99},
		{"g722 60 ms", g722Packets(t, 480), 0, 0.99},
		{"g722 odd", g722Packets(t, 161, 79, 240, 1, 333), 0, 0.99},
		{"opus silk 60 ms", opusPackets(t, "testdata/silk.opus"), 2880, 0.85},
		{"opus hybrid 20 ms", opusPackets(t, "testdata/hybrid.opus"), 960, 0.95},
		{"opus celt stereo 10 ms", opusPackets(t, "testdata/celt.opus"), 480, 0.98},
	} {
		e := newEar()
		e.d.Payload(96, "opus", 48000)
		pt, ts, ms := uint8(96), uint32(0), 0
		if c.units == 0 {
			pt = 9
		}
		for i, p := range c.packets {
			if err := e.hear(ms, packet(pt, i == 0, uint16(i), ts, 1, p)); err != nil {
				t.Fatal(err)
			}
			if c.units == 0 {
				ts, ms = ts+uint32(len(p)), ms+len(p)/8
			} else {
				ts, ms = ts+uint32(c.units), ms+c.units/48
			}
		}
		if got := likeness(want, e.said()); got < c.least || e.d.Skipped > 0 {
			t.Errorf("%s: likeness %.3f of %d samples, %d packets skipped", c.name, got, len(e.said()), e.d.Skipped)
		} else {
			t.Logf("%s: likeness %.4f", c.name, got)
		}
		f := e.frames[1]
		if clock := f.Clock; (clock != 8000) != (c.units > 0) || f.Codewords != nil || f.Law != NoLaw {
			t.Errorf("%s: clock %d, law %v, %d codewords", c.name, clock, f.Law, len(f.Codewords))
		}
	}
}

// TestG722RoundTrip: what is encoded here is heard here, in any order of packet
// sizes, and loud or faint.
func TestG722RoundTrip(t *testing.T) {
	for _, gain := range []float64{0.02, 0.5, 1, 3} {
		pcm := spoken(t)
		for i, v := range pcm {
			pcm[i] = int16(max(-32768, min(32767, float64(v)*gain)))
		}
		var enc G722Encoder
		var dec G722Decoder
		var heard []int16
		for chunk := range slices.Chunk(pcm, 173) {
			heard = dec.Decode(heard, enc.Encode(nil, chunk))
		}
		if got := likeness(pcm, heard); got < 0.995 || len(heard) != len(pcm) {
			t.Errorf("gain %g: likeness %.4f, %d samples of %d", gain, got, len(heard), len(pcm))
		}
	}
}

// TestG722BeginsAnew: another SSRC is another encoder.
func TestG722BeginsAnew(t *testing.T) {
	e := newEar()
	all := g722Packets(t, 160)[:20]
	for i, p := range all {
		_ = e.hear(20*i, packet(9, false, uint16(i), uint32(160*i), 1, p))
	}
	first := e.said()
	e.frames = nil
	for i, p := range all {
		_ = e.hear(1000+20*i, packet(9, false, uint16(i), uint32(160*i), 2, p))
	}
	if !slices.Equal(first, e.said()) {
		t.Error("the second stream was not decoded from its beginning")
	}
}

// TestCodecChange: G.711, then Opus, then G.722 in one stream; each is heard.
func TestCodecChange(t *testing.T) {
	e := newEar()
	e.d.Payload(107, "OPUS", 48000)
	seq, ms := uint16(0), 0
	send := func(pt uint8, p []byte) {
		_ = e.hear(ms, packet(pt, false, seq, uint32(8*ms), 1, p))
		seq, ms = seq+1, ms+20
	}
	for range 3 {
		send(8, bytes.Repeat([]byte{0xD5}, 160))
	}
	for _, p := range opusPackets(t, "testdata/hybrid.opus")[:3] {
		send(107, p)
	}
	for _, p := range g722Packets(t, 160)[:3] {
		send(9, p)
	}
	if len(e.frames) != 9 || e.d.Skipped != 0 {
		t.Fatalf("%d frames, %d skipped", len(e.frames), e.d.Skipped)
	}
	for i, f := range e.frames {
		if len(f.PCM) != 160 || (f.Law == ALaw) != (i < 3) || (f.Clock == 48000) != (i >= 3 && i < 6) {
			t.Errorf("frame %d: %d samples, law %v, clock %d", i, len(f.PCM), f.Law, f.Clock)
		}
	}
}

// TestUnheard: what cannot be decoded is counted and named, and costs nothing else.
func TestUnheard(t *testing.T) {
	e := newEar()
	e.d.Payload(18, "G729", 8000)
	e.d.Payload(96, "opus", 48000)
	_ = e.hear(0, packet(18, false, 1, 0, 1, make([]byte, 20)))
	if name, err := e.d.Unheard(); e.d.Skipped != 1 || name != "G729" || err != nil {
		t.Errorf("G.729: skipped %d, %q, %v", e.d.Skipped, name, err)
	}
	// A code 3 packet of no frames (RFC 6716 section 3.2.5) is malformed.
	for i := range maxBad + 10 {
		_ = e.hear(20*(i+1), packet(96, false, uint16(2+i), uint32(960*i), 1, []byte{0x03, 0x00}))
	}
	if name, err := e.d.Unheard(); e.d.Skipped != maxBad+11 || name != "opus" || err == nil {
		t.Errorf("bad Opus: skipped %d, %q, %v", e.d.Skipped, name, err)
	}
	_ = e.hear(10000, packet(0, false, maxBad+12, 0, 1, []byte{0xFF}))
	if len(e.frames) != 1 {
		t.Errorf("%d frames of the G.711 that followed", len(e.frames))
	}
}

// broken is a decoder with a fault, as another's library may have.
type broken struct{}

func (broken) decode([]int16, []byte) ([]int16, error) { return nil, errBroken }

// TestBrokenDecoder: a decoder that failed is asked no more, in later streams too.
func TestBrokenDecoder(t *testing.T) {
	e := newEar()
	e.d.Payload(96, "opus", 48000)
	_ = e.hear(0, packet(0, false, 65535, 0, 1, []byte{0xFF}))
	e.d.speech.speakers[opusKind].speech = broken{}
	e.frames = nil
	for i, ssrc := range []uint32{1, 1, 2} {
		_ = e.hear(20+20*i, packet(96, false, uint16(i), 0, ssrc, []byte{0x78, 1, 2}))
	}
	name, err := e.d.Unheard()
	if len(e.frames) != 0 || e.d.Skipped != 3 || name != "opus" || !errors.Is(err, errBroken) {
		t.Errorf("%d frames, skipped %d, %q, %v", len(e.frames), e.d.Skipped, name, err)
	}
}

// TestComfortNoise: between a packet of comfort noise and the next of audio there
// is noise of its level (RFC 3389), as long as the timestamps say and no longer
// than it took.
func TestComfortNoise(t *testing.T) {
	for _, c := range []struct {
		name   string
		level  byte
		units  uint32
		passed int // ms
		frames int
	}{
		{"a pause of 1 s", 40, 8000, 1000, 50},
		{"silence", 127, 8000, 1010, 50},
		{"as loud as can be", 0, 800, 100, 5},
		{"the level's highest bit is none", 128 + 40, 800, 100, 5},
		{"a packet later", 50, 160, 20, 1},
		{"a timestamp ahead of time", 40, 80000000, 200, 10},
		{"a timestamp behind", 40, 1<<32 - 8000, 200, 0},
	} {
		e := newEar()
		_ = e.hear(0, packet(0, false, 1, 0, 1, bytes.Repeat([]byte{0xFF}, 160)))
		_ = e.hear(20, packet(13, false, 2, 160, 1, []byte{c.level, 1, 2, 3}))
		_ = e.hear(20+c.passed, packet(0, true, 3, 160+c.units, 1, bytes.Repeat([]byte{0xFF}, 160)))
		noise := e.frames[1 : len(e.frames)-1]
		if len(noise) != c.frames {
			t.Errorf("%s: %d frames of noise, want %d", c.name, len(noise), c.frames)
		}
		square, n := 0.0, 0
		for i, f := range noise {
			if at := epoch.Add(time.Duration(20+20*i) * time.Millisecond); !f.Comfort || !f.At.Equal(at) || f.Timestamp != uint32(160+160*i) || f.Law != NoLaw {
				t.Errorf("%s: frame %d is %+v", c.name, i, f)
			}
			for _, v := range f.PCM {
				square, n = square+float64(v)*float64(v), n+1
			}
		}
		if n == 0 || c.level&0x7F == 127 {
			continue
		}
		level := -10 * math.Log10(square/float64(n)/32768/32768)
		want := float64(c.level & 0x7F)
		if c.level == 0 {
			want = 4.8 // uniform noise can be no louder
		}
		if math.Abs(level-want) > 0.7 {
			t.Errorf("%s: −%.1f dBov, want −%.0f", c.name, level, want)
		}
	}
}

// TestDecoderAllocates: G.711, G.722 and comfort noise take no memory per packet.
func TestDecoderAllocates(t *testing.T) {
	for _, pt := range []uint8{PayloadPCMU, PayloadPCMA, PayloadG722, PayloadCN} {
		d := NewDecoder()
		b := packet(pt, false, 0, 0, 1, g722Packets(t, 480)[3])
		i := 0
		one := func() {
			b[2], b[3] = byte(i>>8), byte(i)
			b[6] = byte(i >> 4) // the timestamp moves too
			if d.Packet(b, epoch.Add(time.Duration(i)*60*time.Millisecond), func(*Frame) {}, nil) != nil {
				t.Fatal("refused")
			}
			i++
		}
		one()
		if n := testing.AllocsPerRun(200, one); n != 0 {
			t.Errorf("payload type %d: %g allocations per packet", pt, n)
		}
	}
}

// BenchmarkDecode decodes 1 s of audio in packets of 20 ms, keys looked for too.
func BenchmarkDecode(b *testing.B) {
	quiet := bytes.Repeat([]byte{0xD5, 0x55, 0x45, 0xC5}, 40)
	for _, c := range []struct {
		name    string
		pt      uint8
		packets [][]byte
		units   uint32
	}{
		{"pcmu", 0, slices.Repeat([][]byte{quiet}, 50), 160},
		{"pcma", 8, slices.Repeat([][]byte{quiet}, 50), 160},
		{"g722", 9, g722Packets(b, 160)[:50], 160},
		{"opus", 96, opusPackets(b, "testdata/hybrid.opus")[:50], 960},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := NewDecoder()
			d.Payload(96, "opus", 48000)
			var wire [][]byte
			for _, p := range c.packets {
				wire = append(wire, packet(c.pt, false, 0, 0, 1, p))
			}
			b.ReportAllocs()
			seq, ts, at := uint16(0), uint32(0), epoch
			for b.Loop() {
				for _, w := range wire {
					w[2], w[3] = byte(seq>>8), byte(seq)
					w[4], w[5], w[6], w[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
					if d.Packet(w, at, func(*Frame) {}, nil) != nil {
						b.Fatal("refused")
					}
					seq, ts, at = seq+1, ts+c.units, at.Add(20*time.Millisecond)
				}
			}
			if d.Skipped > 0 {
				b.Fatalf("%d packets skipped", d.Skipped)
			}
		})
	}
}
