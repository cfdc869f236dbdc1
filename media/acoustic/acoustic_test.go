package acoustic

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/portero/portero/media/codec"
)

// babble is a passage of moving harmonics with pauses, lively enough to pass
// for speech; another seed is another passage.
func babble(seed uint64, seconds float64) []int16 {
	r := rand.New(rand.NewPCG(seed, 2))
	out := make([]int16, 0, int(seconds*codec.Rate))
	phase := 0.0
	for len(out) < cap(out) {
		n := codec.Rate * (10 + r.IntN(15)) / 100
		f0, bend := 90+100*r.Float64(), 0.8+0.4*r.Float64()
		var weight [30]float64
		peak, second := 300+600*r.Float64(), 1000+1800*r.Float64()
		for i := n; i > 0 && len(out) < cap(out); i-- {
			x := 1 - float64(i)/float64(n)
			f := f0 * (1 + x*(bend-1))
			phase += 2 * math.Pi * f / codec.Rate
			y := 0.0
			for h := 1; h < len(weight) && f*float64(h) < 3600; h++ {
				hz := f * float64(h)
				w := math.Exp(-math.Pow((hz-peak)/200, 2)) + 0.6*math.Exp(-math.Pow((hz-second)/300, 2)) + 0.05
				y += w * math.Sin(float64(h)*phase)
			}
			out = append(out, int16(4000*math.Sin(math.Pi*x)*y+20*r.NormFloat64()))
		}
	}
	return out
}

func printOf(pcm []int16, frame int) []uint32 {
	o := New()
	for len(pcm) > 0 {
		n := min(frame, len(pcm))
		o.Frame(pcm[:n])
		pcm = pcm[n:]
	}
	return o.Print()
}

// errors is the share of differing bits where both have speech, and how many
// words that is.
func errors(a, b []uint32) (float64, int) {
	n, sum := 0, 0
	for i := range min(len(a), len(b)) {
		if a[i] != 0 && b[i] != 0 {
			n++
			sum += bits.OnesCount32(a[i] ^ b[i])
		}
	}
	return float64(sum) / float64(max(1, 32*n)), n
}

func TestFrameLengthDoesNotMatter(t *testing.T) {
	pcm := babble(1, 2.5)
	want := printOf(pcm, 160)
	if len(want) != blockHops {
		t.Fatalf("%d words from 2.5 s, want %d", len(want), blockHops)
	}
	for _, frame := range []int{1, 240, len(pcm)} {
		if got := printOf(pcm, frame); !slices.Equal(got, want) {
			t.Errorf("frames of %d give another print", frame)
		}
	}
}

func TestRobust(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	pcm := babble(1, 6)
	want := printOf(codec.Companded(slices.Clone(pcm), codec.MuLaw), 160)
	scaled := func(g, noise float64) []int16 {
		out := make([]int16, len(pcm))
		for i, v := range pcm {
			out[i] = int16(g*float64(v) + noise*r.NormFloat64())
		}
		return out
	}
	for _, c := range []struct {
		name string
		pcm  []int16
		most float64
	}{
		{"A-law", codec.Companded(slices.Clone(pcm), codec.ALaw), 0.05},
		{"12 dB less", codec.Companded(scaled(0.25, 0), codec.ALaw), 0.08},
		{"noise", codec.Companded(scaled(1, 100), codec.MuLaw), 0.15},
		{"half a hop later", append(make([]int16, hop/2), pcm...), 0.10},
	} {
		got, n := errors(want, printOf(c.pcm, 160))
		if got > c.most || n < 120 {
			t.Errorf("%s: %.3f of the bits differ in %d words, want at most %.2f", c.name, got, n, c.most)
		}
	}
	if got, n := errors(want, printOf(babble(2, 6), 160)); got < 0.42 || n < 120 {
		t.Errorf("another passage: %.3f of the bits differ in %d words", got, n)
	}
}

func TestNoSpeechNoWords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for name, sample := range map[string]func(i int) float64{
		"silence": func(int) float64 { return 0 },
		"dc":      func(int) float64 { return 8 },
		"hiss":    func(int) float64 { return 800 * r.NormFloat64() },
		"tone":    func(i int) float64 { return 8000 * math.Sin(float64(i)) },
		"ringback": func(i int) float64 {
			if i/codec.Rate%3 >= 2 {
				return 0
			}
			return 5000*math.Sin(2*math.Pi*440*float64(i)/codec.Rate) + 5000*math.Sin(2*math.Pi*480*float64(i)/codec.Rate)
		},
		"faint": func(i int) float64 { return 4 * r.NormFloat64() * float64(i/800%2) },
	} {
		pcm := make([]int16, 6*codec.Rate)
		for i := range pcm {
			pcm[i] = int16(sample(i))
		}
		p := printOf(pcm, 160)
		if len(p) != 3*blockHops {
			t.Errorf("%s: %d words", name, len(p))
		}
		for _, w := range p {
			if w != 0 {
				t.Errorf("%s passes for speech", name)
				break
			}
		}
	}
}

// Lost packets must not move what follows.
func TestGap(t *testing.T) {
	pcm := babble(3, 6)
	want := printOf(pcm, 160)
	o := New()
	for i := 0; i < len(pcm); i += 160 {
		if i/160%50 == 7 {
			o.Gap(160)
			continue
		}
		o.Frame(pcm[i : i+160])
	}
	if got, n := errors(want, o.Print()); got > 0.2 || n < 100 {
		t.Errorf("with 2 %% lost %.3f of the bits differ in %d words", got, n)
	}
	o = New()
	o.Gap(1 << 40)
	if len(o.Print()) != MaxWords {
		t.Errorf("%d words after an endless gap, want %d", len(o.Print()), MaxWords)
	}
	o.Frame(pcm)
	o.Gap(1)
}

func TestPrintDoesNotChange(t *testing.T) {
	pcm := babble(4, 4.5)
	o := New()
	o.Frame(pcm[:5*codec.Rate/2])
	early := o.Print()
	kept := slices.Clone(early)
	o.Frame(pcm[5*codec.Rate/2:])
	if !slices.Equal(early, kept) || !slices.Equal(o.Print()[:len(kept)], kept) {
		t.Error("words given earlier have changed")
	}
}

func TestTransform(t *testing.T) {
	o := New()
	o.next = 700
	ring := &o.ring
	r := rand.New(rand.NewPCG(1, 1))
	for i := range ring {
		ring[i] = int16(1000 * r.NormFloat64())
	}
	o.transform()
	got := o.spectrum
	for _, k := range []int{1, 2, 77, 500, 1023} {
		var re, im float64
		for i := range size {
			x := float64(ring[(700+i)%size]) * float64(window[i])
			s, c := math.Sincos(2 * math.Pi * float64(k*i) / size)
			re += x * c
			im -= x * s
		}
		if want := re*re + im*im; math.Abs(float64(got[k])-want) > 1e-3*want+1 {
			t.Errorf("bin %d: %v, want %v", k, got[k], want)
		}
	}
}

// One operation is 20 ms.
func BenchmarkFrame(b *testing.B) {
	pcm := babble(1, 4)
	o := New()
	b.ReportAllocs()
	for i := range b.N {
		if len(o.words) > MaxWords-10 {
			o.words = o.words[:blockHops]
			o.block = block{}
		}
		at := i * 160 % (len(pcm) - 160)
		o.Frame(pcm[at : at+160])
	}
}
