package sound

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
)

// signal is made piece by piece, phases going on.
type signal struct {
	pcm   []float64
	phase float64
	level float64 // amplitude of one tone
}

func newSignal() *signal { return &signal{level: 4000} }

func (s *signal) pause(ms float64) *signal {
	s.pcm = append(s.pcm, make([]float64, int(ms*rate/1000))...)
	return s
}

// tone adds tones for so long, at equal levels.
func (s *signal) tone(ms float64, hz ...float64) *signal {
	start := len(s.pcm)
	for i := range int(ms * rate / 1000) {
		v := 0.0
		for _, f := range hz {
			v += s.level * math.Sin(2*math.Pi*f*float64(start+i)/rate)
		}
		s.pcm = append(s.pcm, v)
	}
	return s
}

// bits sends bits by two tones; the length is exact over all of them.
func (s *signal) bits(mark, space, baud float64, bits string) *signal {
	begin := len(s.pcm)
	for i := range bits {
		f := space
		if bits[i] == '1' {
			f = mark
		}
		for end := begin + int(float64(i+1)*rate/baud); len(s.pcm) < end; {
			s.phase += 2 * math.Pi * f / rate
			s.pcm = append(s.pcm, s.level*math.Sin(s.phase))
		}
	}
	return s
}

// line is the signal as a telephone line gives it.
func (s *signal) line(law codec.Law, noise float64, loss int) []int16 {
	r := rand.New(rand.NewPCG(7, 7))
	out := make([]int16, len(s.pcm)/hop*hop)
	for i := range out {
		out[i] = int16(max(-32000, min(32000, s.pcm[i]+noise*r.NormFloat64())))
	}
	out = codec.Companded(out, law)
	if loss > 0 {
		for i := 0; i < len(out); i += hop {
			if r.IntN(100) < loss {
				clear(out[i : i+hop])
			}
		}
	}
	return out
}

// The letters of the five-bit code that the tests write with (ITA2; the lowest bit is
// sent first).
var fiveBits = map[rune]int{' ': 4, 'A': 3, 'B': 25, 'C': 14, 'D': 9, 'E': 1, 'F': 13, 'G': 26, 'H': 20, 'I': 6, 'K': 15,
	'L': 18, 'M': 28, 'N': 12, 'O': 24, 'P': 22, 'R': 10, 'S': 5, 'T': 16, 'U': 7, 'V': 30, 'W': 19, 'Y': 21}

func baudot(text string, stops string) string {
	var b strings.Builder
	for _, r := range "\x00" + text {
		code := fiveBits[r]
		if r == 0 {
			code = 31 // letters
		}
		b.WriteByte('0')
		for i := range 5 {
			b.WriteByte('0' + byte(code>>i&1))
		}
		b.WriteString(stops)
	}
	return b.String()
}

// ascii is text in seven bits, even parity and stops.
func ascii(text string, stops string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteByte('0')
		ones := 0
		for i := range 7 {
			bit := int(r) >> i & 1
			ones += bit
			b.WriteByte('0' + byte(bit))
		}
		b.WriteByte('0' + byte(ones%2))
		b.WriteString(stops)
	}
	return b.String()
}

// octets are bytes in eight bits and one stop.
func octets(bytes ...byte) string {
	var b strings.Builder
	for _, o := range bytes {
		b.WriteByte('0')
		for i := range 8 {
			b.WriteByte('0' + byte(int(o)>>i&1))
		}
		b.WriteByte('1')
	}
	return b.String()
}

func ones(n int) string { return strings.Repeat("1", n) }

// type45 types on a TTY as people do: a carrier of 150 ms before, and 200 ms after.
func type45(text string) *signal {
	s := newSignal()
	for _, word := range strings.SplitAfter(text, " ") {
		s.bits(1400, 1800, 45.45, ones(7)+baudot(word, "11")+ones(9)).pause(400)
	}
	return s
}

func hear(pcm []int16) *Observer {
	var o Observer
	o.Frame(pcm)
	return &o
}

// spoken is the prompts of this project, one after the other.
func spoken(t testing.TB) (pcm []int16) {
	files, err := filepath.Glob("../prompt/sounds/*/*.wav")
	if err != nil || len(files) == 0 {
		t.Fatalf("no prompts: %v", err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(f)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pcm = append(pcm, a.PCM()...)
	}
	return codec.Companded(pcm, codec.MuLaw)
}
