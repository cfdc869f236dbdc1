package acoustic

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
)

// look plays audio to an observer and asks each second.
func look(pcm []int16) *Repeats {
	o := New()
	var r Repeats
	for len(pcm) > 0 {
		n := min(codec.Rate, len(pcm))
		o.Frame(pcm[:n])
		pcm = pcm[n:]
		r.Look(o.Print())
	}
	return &r
}

func quiet(seconds float64) []int16 {
	r := rand.New(rand.NewPCG(8, 8))
	out := make([]int16, int(seconds*codec.Rate))
	for i := range out {
		out[i] = int16(10 * r.NormFloat64())
	}
	return out
}

func TestRepeats(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	worse := func(pcm []int16) []int16 { // 6 dB less, in noise, A-law, 3 % of its packets lost
		out := make([]int16, len(pcm))
		for i, v := range pcm {
			out[i] = int16(float64(v)/2 + 60*r.NormFloat64())
		}
		out = codec.Companded(out, codec.ALaw)
		for i := 0; i+160 <= len(out); i += 160 {
			if r.IntN(100) < 3 {
				clear(out[i : i+160])
			}
		}
		return out
	}
	message, other := babble(1, 12), babble(2, 6)
	sentence := other[codec.Rate:]
	for _, c := range []struct {
		name string
		pcm  []int16
		says string
	}{
		{"a loop", slices.Concat(message, quiet(1.3), message, quiet(2)), "plays in a loop"},
		{"a loop over a bad line", slices.Concat(message, quiet(1.3), worse(message), quiet(2)), "plays in a loop"},
		{"a sentence again", slices.Concat(sentence, quiet(2), message[:4*codec.Rate], quiet(1), sentence, quiet(3)), "again as before"},
		{"begun in the middle", slices.Concat(message[7*codec.Rate:], quiet(0.737), message, quiet(2)), "sound for sound"},
		{"two seconds again", slices.Concat(message[:2*codec.Rate], quiet(2), other[:3*codec.Rate], message[:2*codec.Rate], quiet(4)), ""},
		{"other passages", slices.Concat(message[:5*codec.Rate], quiet(1), other, quiet(1), babble(4, 4)), ""},
		{"silence", quiet(8), ""},
	} {
		says := ""
		for _, e := range look(c.pcm).Evidence() {
			says = e.Says
			if e.LLR <= 0 || e.Recording <= 0 {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
		t.Logf("%s: %q", c.name, says)
		if !strings.Contains(says, c.says) || says != "" && c.says == "" {
			t.Errorf("%s: %q, want %q", c.name, says, c.says)
		}
	}
}

// BenchmarkRepeats is what it adds to a second of audio, over a minute.
func BenchmarkRepeats(b *testing.B) {
	print := printOf(babble(1, 60), 160)
	b.ReportAllocs()
	for b.Loop() {
		var r Repeats
		for n := blockHops; n <= len(print); n += blockHops {
			r.Look(print[:n])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/60/float64(b.N), "µs/s-of-audio")
}
