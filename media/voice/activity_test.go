package voice

import (
	"math"
	"math/rand/v2"
	"testing"
)

// talk is a voice made by rule: pulses through three resonators whose centres,
// strengths and pitch wander, in syllables, every other beginning with a hiss as of an s,
// with a pause every few. Good enough to speak
// of levels and times; not of who speaks.
func talk(seconds float64, seed uint64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 7))
	n := int(seconds * rate)
	x := make([]float64, n)
	var y [3][2]float64
	phase, pitch, last := 0.0, 120.0, 0.0
	strengths := [3]float64{1, 1, 1}
	centres, aims := [3]float64{500, 1500, 2500}, [3]float64{500, 1500, 2500}
	for i := range x {
		syllable := float64(i%1600) / 1600 // 200 ms
		if i%1600 == 0 {
			aims = [3]float64{300 + 500*rng.Float64(), 900 + 1200*rng.Float64(), 2300 + 500*rng.Float64()}
			strengths = [3]float64{1, rng.Float64() * rng.Float64(), 0.5 * rng.Float64() * rng.Float64()}
			pitch = 90 + 60*rng.Float64()
		}
		if i/1600%8 == 7 { // a pause of 200 ms and its neighbours' edges
			continue
		}
		in := 0.08 * rng.NormFloat64()
		pitch *= 1 + 0.002*rng.NormFloat64()
		if phase += pitch / rate; phase >= 1 {
			phase--
			in++
		}
		v := 0.0
		for k := range y {
			centres[k] += 0.004 * (aims[k] - centres[k])
			r := math.Exp(-math.Pi * 90 / rate)
			y[k][1], y[k][0] = y[k][0], in+2*r*math.Cos(2*math.Pi*centres[k]/rate)*y[k][0]-r*r*y[k][1]
			v += strengths[k] * y[k][0]
		}
		hiss := rng.NormFloat64()
		x[i] = v * math.Sin(math.Pi*syllable)
		if i/1600%2 == 0 && syllable < 0.3 {
			x[i] = 0.3 * (hiss - last) * math.Sin(math.Pi*syllable/0.3)
		}
		last = hiss
	}
	return x
}

// atLevel brings x to a root mean square of db dBFS and adds noise and DC.
func atLevel(x []float64, db, noiseDB, dc float64) []int16 {
	rng := rand.New(rand.NewPCG(3, 3))
	power := 0.0
	for _, v := range x {
		power += v * v
	}
	g := math.Pow(10, db/20) / math.Sqrt(power/float64(len(x))+1e-30)
	out := make([]int16, len(x))
	for i, v := range x {
		s := 32768 * (g*v + math.Pow(10, noiseDB/20)*rng.NormFloat64() + dc)
		out[i] = int16(math.Max(-32768, math.Min(32767, math.Round(s))))
	}
	return out
}

func silence(seconds float64) []float64 { return make([]float64, int(seconds*rate)) }

func TestActivityTimes(t *testing.T) {
	for _, c := range []struct {
		name    string
		db      float64
		noiseDB float64
		dc      float64
	}{
		{"clean", -26, -90, 0},
		{"loud", -14, -75, 0},
		{"quiet", -42, -90, 0},
		{"noisy line", -26, -52, 0},
		{"offset", -26, -70, 0.1},
	} {
		// 1 s of nothing, 3 s of talk (its last 200 ms are a pause), 2 s of nothing.
		x := append(silence(1), talk(3.2, 1)...)
		x = append(x, silence(2)...)
		pcm := atLevel(x, c.db, c.noiseDB, c.dc)
		var a Activity
		on, off := -1.0, -1.0
		for i := 0; i < len(pcm); i += 160 {
			before := a.Active()
			now := a.Frame(pcm[i : i+160])
			if now && !before && on < 0 {
				on = a.Seconds()
			}
			if before && !now {
				off = a.Seconds()
			}
		}
		if on < 1 || on > 1.15 {
			t.Errorf("%s: speech found at %.2f s, began at 1.00", c.name, on)
		}
		if off < 4.0 || off > 4.6 {
			t.Errorf("%s: speech over at %.2f s, ended at 4.2 with 0.2 of hangover", c.name, off)
		}
		if e := a.Ended(); e < 3.8 || e > 4.25 {
			t.Errorf("%s: last loud at %.2f s, want about 4.2", c.name, e)
		}
		if s := a.SpeechSeconds(); s < 2.3 || s > 3.3 {
			t.Errorf("%s: %.2f s of speech, want about 3", c.name, s)
		}
		if s := a.Seconds(); math.Abs(s-6.2) > 1e-9 {
			t.Errorf("%s: %.3f s heard, want 6.2", c.name, s)
		}
	}
}

func TestActivityHearsNoSpeech(t *testing.T) {
	tone := make([]float64, 6*rate)
	for i := range tone {
		tone[i] = math.Sin(2 * math.Pi * 425 * float64(i) / rate)
	}
	click := silence(6)
	for i := range 100 {
		click[3*rate+i] = 1
	}
	for _, c := range []struct {
		name string
		pcm  []int16
		most float64 // s of speech
	}{
		{"digital silence", make([]int16, 6*rate), 0},
		{"idle line", atLevel(silence(6), -90, -66, 0), 0},
		{"noise", atLevel(silence(6), -90, -35, 0), 0.1},
		{"tone", atLevel(tone, -20, -70, 0), 0.3},
		{"click", atLevel(click, -30, -80, 0), 0},
		{"offset", atLevel(silence(6), -90, -80, 0.3), 0.1},
	} {
		var a Activity
		a.Frame(c.pcm)
		if s := a.SpeechSeconds(); s > c.most {
			t.Errorf("%s: %.2f s of speech, at most %.2f", c.name, s, c.most)
		}
	}
}

// Noise that sets in is not taken for speech for long.
func TestActivityLearnsNoise(t *testing.T) {
	var a Activity
	a.Frame(atLevel(silence(3), -90, -75, 0))
	a.Frame(atLevel(silence(10), -90, -45, 0))
	if a.Active() || a.SpeechSeconds() > 3 {
		t.Errorf("after 10 s of noise: active %v, %.1f s of speech", a.Active(), a.SpeechSeconds())
	}
	if f := a.Floor(); f < -50 || f > -42 {
		t.Errorf("floor is %.0f dBFS, the noise lies at -45", f)
	}
}

func TestActivitySNR(t *testing.T) {
	for _, want := range []float64{10, 20, 30} {
		x := append(talk(6.4, 2), silence(2)...)
		var a Activity
		a.Frame(atLevel(x, -26, -26-want, 0))
		// The level is of the loud parts, which lie above the mean.
		if got := a.SNR(); got < want-3 || got > want+7 {
			t.Errorf("SNR is %.1f dB, made with %.0f", got, want)
		}
	}
}

func TestActivityAnyFrames(t *testing.T) {
	pcm := atLevel(append(talk(4, 3), silence(1)...), -26, -60, 0)
	var whole Activity
	whole.Frame(pcm)
	for _, n := range []int{1, 37, 80, 160, 240, 480} {
		var a Activity
		for i := 0; i < len(pcm); i += n {
			a.Frame(pcm[i:min(i+n, len(pcm))])
		}
		if a != whole {
			t.Errorf("frames of %d samples end in another state than one frame", n)
		}
	}
}
