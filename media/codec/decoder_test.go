package codec

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// ear collects what a decoder gives out.
type ear struct {
	d      *Decoder
	frames []Frame
	digits []Digit
}

func newEar() *ear {
	e := &ear{d: NewDecoder()}
	e.d.Payload(101, "telephone-event", 8000)
	return e
}

func (e *ear) emit(f *Frame) {
	g := *f
	g.PCM, g.Codewords = slices.Clone(f.PCM), slices.Clone(f.Codewords)
	e.frames = append(e.frames, g)
}

func (e *ear) digit(g Digit) { e.digits = append(e.digits, g) }

// hear takes a packet ms after the epoch.
func (e *ear) hear(ms int, b []byte) error {
	return e.d.Packet(b, epoch.Add(time.Duration(ms)*time.Millisecond), e.emit, e.digit)
}

func (e *ear) order() string {
	s := ""
	for _, f := range e.frames {
		s += fmt.Sprintf("%d", f.Seq)
		if f.Lost > 0 {
			s += fmt.Sprintf("(-%d)", f.Lost)
		}
		s += " "
	}
	return s
}

func TestDecoderOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		seqs []uint16
		want string
	}{
		{"in order", []uint16{7, 8, 9}, "7 8 9 "},
		{"one swapped", []uint16{7, 9, 8, 10}, "7 8 9 10 "},
		{"three early", []uint16{7, 9, 10, 8, 11}, "7 8 9 10 11 "},
		{"backwards", []uint16{7, 10, 9, 8, 11}, "7 8 9 10 11 "},
		{"one lost", []uint16{7, 9, 10, 11}, "7 9(-1) 10 11 "},
		{"lost, then too late", []uint16{7, 9, 10, 11, 8, 12}, "7 9(-1) 10 11 12 "},
		{"two holes", []uint16{7, 9, 11, 12, 13}, "7 9(-1) 11(-1) 12 13 "},
		{"duplicates", []uint16{7, 7, 8, 8, 9, 7}, "7 8 9 "},
		{"duplicate of one that waits", []uint16{7, 9, 9, 8}, "7 8 9 "},
		{"over the end of 16 bits", []uint16{65535, 1, 0, 2}, "65535 0 1 2 "},
		{"before the first", []uint16{7, 6, 8}, "7 8 "},
		{"burst lost", []uint16{7, 107, 108, 109}, "7 107(-99) 108 109 "},
		{"restart", []uint16{7, 8, 40000, 40001, 40002}, "7 8 40001 40002 "},
		{"lost at the end", []uint16{7, 9}, "7 9(-1) "},
	} {
		e := newEar()
		for i, q := range c.seqs {
			if err := e.hear(20*i, packet(0, false, q, uint32(q)*160, 1, []byte{0xFF})); err != nil {
				t.Fatal(err)
			}
		}
		e.d.Flush(e.emit, e.digit)
		if got := e.order(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestDecoderWaitsNotForever: a hole is given up by time when few packets follow.
func TestDecoderWaitsNotForever(t *testing.T) {
	e := newEar()
	for _, p := range []struct {
		ms  int
		seq uint16
	}{{0, 1}, {40, 3}, {300, 4}} {
		_ = e.hear(p.ms, packet(0, false, p.seq, 0, 1, []byte{0xFF}))
	}
	if got := e.order(); got != "1 3(-1) 4 " {
		t.Errorf("gave out %s", got)
	}
	if at := e.frames[1].At; at.Sub(epoch) != 40*time.Millisecond {
		t.Errorf("frame 3 arrived after %s: it was re-timed", at.Sub(epoch))
	}
}

func TestDecoderFrame(t *testing.T) {
	e := newEar()
	_ = e.hear(0, packet(8, true, 1, 1000, 5, []byte{0xD5, 0x2A, 0x00}))
	_ = e.hear(20, packet(13, false, 2, 1160, 5, []byte{70}))
	_ = e.hear(40, packet(18, false, 3, 1320, 5, make([]byte, 20)))
	_ = e.hear(60, packet(0, false, 4, 1480, 5, []byte{0xFF, 0x00}))
	if len(e.frames) != 3 {
		t.Fatalf("%d frames", len(e.frames))
	}
	a, b := e.frames[0], e.frames[2] // between them comfort noise
	if a.Law != ALaw || a.Timestamp != 1000 || !slices.Equal(a.PCM, []int16{8, -32256, -5504}) || !slices.Equal(a.Codewords, []byte{0xD5, 0x2A, 0x00}) {
		t.Errorf("A-law frame %+v", a)
	}
	if b.Law != MuLaw || b.Lost != 0 || !slices.Equal(b.PCM, []int16{0, -32124}) {
		t.Errorf("µ-law frame %+v", b)
	}
	if e.d.Skipped != 1 || e.d.Stats().Packets != 4 || e.d.SSRC() != 5 || e.d.Streams() != 1 {
		t.Errorf("skipped %d, stats %+v", e.d.Skipped, e.d.Stats())
	}
	if err := e.hear(80, []byte{1, 2, 3}); err == nil || e.d.Refused != 1 || e.d.Stats().Packets != 4 {
		t.Errorf("a bad packet: %v, refused %d", err, e.d.Refused)
	}
}

func TestDecoderPayloadTypes(t *testing.T) {
	e := newEar()
	e.d.Payload(97, "pcma", 8000)
	e.d.Payload(0, "speex", 16000)
	e.d.Payload(200, "PCMU", 8000)
	_ = e.hear(0, packet(97, false, 1, 0, 5, []byte{0xD5}))
	_ = e.hear(20, packet(0, false, 2, 160, 5, []byte{0xD5}))
	if len(e.frames) != 1 || e.frames[0].Law != ALaw || e.d.Skipped != 1 {
		t.Errorf("frames %+v, skipped %d", e.frames, e.d.Skipped)
	}
}

func TestDecoderNewSSRC(t *testing.T) {
	e := newEar()
	for i := range 3 {
		_ = e.hear(20*i, packet(0, false, uint16(10+i), uint32(i)*160, 1, []byte{0xFF}))
	}
	for i := range 3 {
		_ = e.hear(60+20*i, packet(0, false, uint16(60000+2*i), uint32(9000+i*160), 2, []byte{0xFF}))
	}
	e.d.Flush(e.emit, e.digit)
	if got := e.order(); got != "10 11 12 60000 60002(-1) 60004(-1) " {
		t.Errorf("gave out %s", got)
	}
	s := e.d.Stats()
	if s.Packets != 6 || s.Lost() != 2 || s.FirstSeq != 10 || e.d.SSRC() != 1 || e.d.Streams() != 2 {
		t.Errorf("stats %+v lost %d, ssrc %d, streams %d", s, s.Lost(), e.d.SSRC(), e.d.Streams())
	}
}

func BenchmarkDecoder(b *testing.B) {
	for _, c := range []struct {
		name string
		fill func(i int) byte
	}{
		{"silence", func(int) byte { return 0xFF }},
		{"speech", func(i int) byte { return byte(i*37) ^ 0x55 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			voice := make([]byte, 160)
			for i := range voice {
				voice[i] = c.fill(i)
			}
			p := packet(0, false, 0, 0, 1, voice)
			d := NewDecoder()
			at := epoch
			samples := 0
			emit := func(f *Frame) { samples += len(f.PCM) }
			digit := func(Digit) {}
			b.ReportAllocs()
			for i := range b.N {
				p[2], p[3] = byte(i>>8), byte(i)
				at = at.Add(20 * time.Millisecond)
				if err := d.Packet(p, at, emit, digit); err != nil {
					b.Fatal(err)
				}
			}
			if samples != 160*b.N {
				b.Fatalf("%d samples of %d packets", samples, b.N)
			}
		})
	}
}
