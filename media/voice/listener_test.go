package voice

import (
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/portero/portero/media/codec"
)

// scoreOf hears pcm over µ-law in frames of n samples.
func scoreOf(pcm []int16, n int) Score {
	pcm = codec.Companded(append([]int16(nil), pcm...), codec.MuLaw)
	l := NewListener(Default())
	for i := 0; i < len(pcm); i += n {
		l.Frame(pcm[i:min(i+n, len(pcm))])
	}
	return l.Score()
}

// What the line does to level, offset, framing and start must not decide.
func TestScoreIsSteady(t *testing.T) {
	voice := talk(8, 5)
	base := scoreOf(atLevel(voice, -26, -70, 0), 160)
	if base.Abstained != "" {
		t.Fatalf("no score: %s", base.Abstained)
	}
	for _, c := range []struct {
		name  string
		pcm   []int16
		frame int
		most  float64 // change of the ratio
	}{
		{"frames of 10 ms", atLevel(voice, -26, -70, 0), 80, 0},
		{"frames of 30 ms", atLevel(voice, -26, -70, 0), 240, 0},
		{"frames of 60 ms", atLevel(voice, -26, -70, 0), 480, 0},
		{"half a hop later", atLevel(append(make([]float64, 40), voice...), -26, -70, 0), 160, 0.5},
		{"12 dB louder", atLevel(voice, -14, -58, 0), 160, 0.5},
		{"12 dB quieter", atLevel(voice, -38, -82, 0), 160, 0.5},
		{"offset", atLevel(voice, -26, -70, 0.02), 160, 0.5},
		{"after 4 s of silence", append(atLevel(silence(4), -90, -70, 0), atLevel(voice, -26, -70, 0)...), 160, 0.5},
	} {
		s := scoreOf(c.pcm, c.frame)
		if d := math.Abs(s.LLR - base.LLR); d > c.most || s.Abstained != "" {
			t.Errorf("%s: LLR %.2f instead of %.2f (%s)", c.name, s.LLR, base.LLR, s.Abstained)
		}
	}
}

func TestAbstains(t *testing.T) {
	busy := silence(10)
	for i := range busy {
		if i/4000%2 == 0 {
			busy[i] = math.Sin(2*math.Pi*480*float64(i)/rate) + math.Sin(2*math.Pi*620*float64(i)/rate)
		}
	}
	for _, c := range []struct {
		name string
		pcm  []int16
		want string
	}{
		{"nothing", nil, "0.0 s of speech"},
		{"silence", make([]int16, 5*rate), "0.0 s of speech"},
		{"a word", atLevel(append(talk(1, 1), silence(1)...), -26, -70, 0), "at least 1.5 s"},
		{"busy tone", atLevel(busy, -20, -80, 0), "tones or noise"},
		{"noise", atLevel(append(silence(1), append(talk(8, 1), silence(1)...)...), -26, -32, 0), "above the noise"},
	} {
		l := NewListener(Default())
		l.Frame(c.pcm)
		s := l.Score()
		if !strings.Contains(s.Abstained, c.want) || !strings.Contains(s.Says, "not judged") {
			t.Errorf("%s: abstained %q, says %q; want %q", c.name, s.Abstained, s.Says, c.want)
		}
		if s.LLR != 0 || s.PSynthetic != 0.5 || len(l.Evidence()) != 0 {
			t.Errorf("%s: LLR %g, p %g, %d pieces of evidence while abstaining", c.name, s.LLR, s.PSynthetic, len(l.Evidence()))
		}
	}
	l := NewListener(nil)
	l.Frame(atLevel(talk(8, 1), -26, -70, 0))
	if s := l.Score(); s.Abstained != "no model" {
		t.Errorf("without a model: %+v", s)
	}
}

// At 12 dB of steady noise nothing is said, at 20 dB something is.
func TestAbstainsByNoise(t *testing.T) {
	for _, c := range []struct {
		below float64 // dB of the noise under the speech
		quiet bool
	}{{8, true}, {12, true}, {20, false}, {30, false}} {
		l := NewListener(Default())
		l.Frame(atLevel(talk(8, 3), -26, -26-c.below, 0))
		if s := l.Score(); strings.Contains(s.Abstained, "above the noise") != c.quiet {
			t.Errorf("noise %g dB under the speech: abstained %q, SNR %.1f", c.below, s.Abstained, l.Activity().SNR())
		}
	}
}

func TestEvidence(t *testing.T) {
	l := NewListener(Default())
	l.Frame(atLevel(talk(8, 1), -26, -70, 0))
	s, e := l.Score(), l.Evidence()
	if len(e) != 1 || e[0].Name != "voice.synthetic" || e[0].LLR != s.LLR || e[0].Says != s.Says {
		t.Fatalf("evidence %+v of score %+v", e, s)
	}
	if p := 1 / (1 + math.Exp(-s.LLR)); math.Abs(p-s.PSynthetic) > 1e-12 {
		t.Errorf("p %g does not follow from LLR %g", s.PSynthetic, s.LLR)
	}
}

func TestSays(t *testing.T) {
	for _, c := range []struct {
		llr  float64
		want string
	}{
		{2, "7.4 times likelier from a synthesizer"},
		{-1, "2.7 times likelier from a person"},
		{0.1, "as well be a person's"},
	} {
		if got := says(c.llr, math.Ln2, 6.2); !strings.Contains(got, c.want) || !strings.Contains(got, "6 s of speech; give or take a factor of 2.0") {
			t.Errorf("LLR %g: %q does not say %q", c.llr, got, c.want)
		}
	}
}

func TestFrameAllocatesNothing(t *testing.T) {
	pcm := atLevel(talk(4, 1), -26, -70, 0)
	l := NewListener(Default())
	l.Frame(pcm)
	i := 0
	if n := testing.AllocsPerRun(500, func() {
		l.Frame(pcm[i : i+160])
		i = (i + 160) % (len(pcm) - 160)
	}); n != 0 {
		t.Errorf("%g allocations a frame", n)
	}
}

// Ends of all kinds: full scale, clipping noise, single samples.
func TestHostileSamples(t *testing.T) {
	square := make([]int16, 4*rate)
	for i := range square {
		square[i] = 32767
		if i/29%2 == 1 {
			square[i] = -32768
		}
	}
	for i, pcm := range [][]int16{square, atLevel(silence(4), -90, 0, 0), {1}, {}} {
		l := NewListener(Default())
		l.Frame(pcm)
		for k, v := range l.Features() {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("input %d: feature %s is %g", i, featureNames[k], v)
			}
		}
		if s := l.Score(); math.IsNaN(s.LLR) {
			t.Errorf("input %d: %+v", i, s)
		}
	}
}

// One operation is a second of audio in 20 ms frames, scored once, as a live call
// has it: CPU time of this process, not the clock's.
func BenchmarkListener(b *testing.B) {
	pcm := codec.Companded(atLevel(talk(10, 1), -26, -65, 0), codec.MuLaw)
	l := NewListener(Default())
	l.Frame(pcm)
	b.ReportAllocs()
	at := 0
	start := cpuSeconds(b)
	for b.Loop() {
		for range 50 {
			l.Frame(pcm[at : at+160])
			at = (at + 160) % len(pcm)
		}
		l.Score()
	}
	perSecond := (cpuSeconds(b) - start) / float64(b.N)
	b.ReportMetric(1000*perSecond, "CPU-ms/audio-s")
	b.ReportMetric(100*perSecond, "%core/call")
}

func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func BenchmarkScore(b *testing.B) {
	l := NewListener(Default())
	l.Frame(atLevel(talk(10, 1), -26, -65, 0))
	b.ReportAllocs()
	for b.Loop() {
		l.Score()
	}
}
