package training

import (
	"math"
	"math/rand/v2"
	"testing"
)

func sine(n int, hz, amplitude float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = amplitude * math.Sin(2*math.Pi*hz*float64(i)/8000)
	}
	return x
}

func power(x []float64) float64 {
	p := 0.0
	for _, v := range x {
		p += v * v
	}
	return p / float64(len(x))
}

// Loss drops about its share of packets, and a steady tone is concealed so well
// that little is heard of it.
func TestLoss(t *testing.T) {
	x := sine(80000, 200, .1)
	y := append([]float64(nil), x...)
	lose(y, .1, rand.New(rand.NewPCG(1, 1)))
	changed := 0
	for p := 0; p < len(x); p += 160 {
		for i := range 160 {
			if x[p+i] != y[p+i] {
				changed++
				break
			}
		}
	}
	if share := float64(changed) / 500; share < .05 || share > .16 {
		t.Errorf("%.0f %% of packets lost, want about 10", 100*share)
	}
	if r := power(y) / power(x); r < .85 || r > 1.01 {
		t.Errorf("%.2f of the power is left", r)
	}
}

func TestComfortNoiseFillsPausesOnly(t *testing.T) {
	x := append(sine(8000, 300, .1), make([]float64, 8000)...)
	for i := range 8000 {
		x[8000+i] = .0005 * math.Sin(float64(i)*1.3)
	}
	y := append([]float64(nil), x...)
	comfort(y, rand.New(rand.NewPCG(1, 1)))
	for i := range 8000 {
		if x[i] != y[i] {
			t.Fatalf("speech was changed at %d", i)
		}
	}
	if r := 10 * math.Log10(power(y[10000:])/power(x[10000:])); math.Abs(r) > 2 {
		t.Errorf("comfort noise is %.1f dB off the pause's level", r)
	}
}

func TestEchoAndClip(t *testing.T) {
	x := make([]float64, 4000)
	x[100] = 1
	echo(x, .1, -20)
	if got := x[900] + x[901]; math.Abs(got-.1) > 1e-9 {
		t.Errorf("the echo 100 ms later sums up to %.3f, want 0.1", got)
	}
	y := sine(800, 300, .5)
	clip(y, 6)
	for _, v := range y {
		if math.Abs(v) > .5*math.Pow(10, -6./20)+1e-9 {
			t.Fatalf("%.3f is over the limit", v)
		}
	}
}

// Planes of three classes find classes that lie in three directions, and take
// nothing from a feature without information.
func TestSoftmax(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	var x [][]float64
	var y []int
	var w []float64
	for i := range 3000 {
		k := i % 3
		row := []float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}
		if k > 0 {
			row[k-1] += 3
		}
		x, y, w = append(x, row), append(y, k), append(w, 1)
	}
	beta, err := softmax(x, y, w, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	// The log-odds of two unit normals 3 apart rise by 3 for each unit.
	for k := 1; k < 3; k++ {
		if d := beta[k][k-1] - beta[0][k-1]; math.Abs(d-3) > .5 {
			t.Errorf("class %d: %.2f for each unit, want 3", k, d)
		}
		if d := beta[k][2] - beta[0][2]; math.Abs(d) > .3 {
			t.Errorf("class %d: %.2f of noise, want 0", k, d)
		}
	}
	if _, err := softmax(nil, nil, nil, 2, 1); err == nil {
		t.Error("planes of nothing")
	}
}

func TestClassesNeedClips(t *testing.T) {
	var clips []Clip
	var rows []Row
	add := func(kind string, synthetic bool, n int) {
		for range n {
			clips = append(clips, Clip{Kind: kind, Synthetic: synthetic})
			rows = append(rows, Row{Clip: len(clips) - 1})
		}
	}
	add("read", false, 50)
	add("neural-tts", true, leastOfClass)
	add("formant", true, leastOfClass-1)
	add("", true, 3)
	names, of := classes(clips, rows)
	if len(names) != 3 || names[1] != "neural" || names[2] != "other" {
		t.Fatalf("classes %q", names)
	}
	for i, want := range map[int]int{0: 0, 50: 1, 50 + leastOfClass: 2, len(rows) - 1: 2} {
		if of[i] != want {
			t.Errorf("row %d is of class %d, want %d", i, of[i], want)
		}
	}
	if names, _ = classes(clips[:50+leastOfClass], rows[:50+leastOfClass]); len(names) != 2 {
		t.Errorf("an empty class: %q", names)
	}
}
