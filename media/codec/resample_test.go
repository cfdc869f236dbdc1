package codec

import (
	"math"
	"testing"
)

func tone(hz float64, rate, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / float64(rate)))
	}
	return x
}

// The resampled tone must be the tone sampled at the new rate: same amplitude,
// frequency and time.
func TestResamplePasses(t *testing.T) {
	for _, rate := range []int{8001, 11025, 16000, 22050, 44100, 48000, 192000} {
		for _, hz := range []float64{50, 1000, 3400} {
			y := Resample(tone(hz, rate, rate/8), rate, Rate)
			if want := (rate/8*Rate + rate - 1) / rate; len(y) != want {
				t.Errorf("%d Hz: %d samples, want %d", rate, len(y), want)
			}
			want := tone(hz, Rate, len(y))
			worst := 0.0
			for i := 100; i < len(y)-100; i++ { // the filter reaches over the ends
				worst = math.Max(worst, math.Abs(float64(y[i]-want[i])))
			}
			if worst > 0.003 {
				t.Errorf("%g Hz tone at %d Hz: off by %.4f", hz, rate, worst)
			}
		}
	}
}

func TestResampleStops(t *testing.T) {
	for _, c := range []struct {
		rate int
		hz   float64
	}{{16000, 4010}, {16000, 4600}, {44100, 4100}, {44100, 7000}, {48000, 12000}, {192000, 90000}} {
		y := Resample(tone(c.hz, c.rate, c.rate/8), c.rate, Rate)
		power := 0.0
		for _, v := range y[200 : len(y)-200] {
			power += float64(v) * float64(v)
		}
		if db := 10 * math.Log10(2*power/float64(len(y)-400)+1e-20); db > -70 {
			t.Errorf("%g Hz tone at %d Hz comes through at %.0f dB", c.hz, c.rate, db)
		}
	}
}

func TestResampleLeavesAlone(t *testing.T) {
	x := []float32{1, 2, 3}
	if y := Resample(x, 8000, 8000); &y[0] != &x[0] {
		t.Error("equal rates were filtered")
	}
	if y := Resample(nil, 44100, 8000); len(y) != 0 {
		t.Error("samples out of nothing")
	}
	if y := Resample([]float32{1}, 44100, 8000); len(y) != 1 {
		t.Errorf("one sample gives %d, want 1", len(y))
	}
}

func TestPCMClips(t *testing.T) {
	a := &Audio{Rate: 8000, Samples: [][]float32{{2, -2, .5, -1}}}
	got := a.PCM()
	for i, want := range []int16{32767, -32768, 16384, -32768} {
		if got[i] != want {
			t.Errorf("sample %d is %d, want %d", i, got[i], want)
		}
	}
}

func TestCompanded(t *testing.T) {
	for _, law := range []Law{MuLaw, ALaw} {
		for v := -32000; v <= 32000; v += 111 {
			got := int(Companded([]int16{int16(v)}, law)[0])
			// Half a step of the coarsest segment that the magnitude can lie in.
			if limit := 16 + abs(v)/24; abs(got-v) > limit {
				t.Errorf("law %d: %d became %d, at most %d off is G.711", law, v, got, limit)
			}
		}
	}
	if Companded([]int16{12345}, NoLaw)[0] != 12345 {
		t.Error("no law changed a sample")
	}
}

func abs(v int) int { return max(v, -v) }

func BenchmarkResample44100(b *testing.B) {
	x := tone(1000, 44100, 44100)
	for b.Loop() {
		Resample(x, 44100, Rate)
	}
}
