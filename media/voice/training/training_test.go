package training

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/portero/portero/media/voice"
)

func TestMeasure(t *testing.T) {
	s := func(score float64, synthetic bool, source string) Scored {
		return Scored{Score: score, Synthetic: synthetic, Source: source}
	}
	for _, c := range []struct {
		name             string
		s                []Scored
		auc, eer, within float64
	}{
		{"perfect", []Scored{s(2, true, "a"), s(1, false, "a")}, 1, 0, 1},
		{"reversed", []Scored{s(1, true, "a"), s(2, false, "a")}, 0, 1, 0},
		{"ties", []Scored{s(1, true, "a"), s(1, false, "a"), s(1, true, "a"), s(1, false, "a")}, .5, .5, .5},
		// Between sources all is told, within them nothing.
		{"channel only", []Scored{s(3, true, "a"), s(3, false, "a"), s(3, true, "a"), s(0, false, "b"), s(0, false, "b"), s(0, true, "b")}, 2. / 3, 1. / 3, .5},
	} {
		f := Measure(c.s)
		if math.Abs(f.AUC-c.auc) > 1e-9 || math.Abs(f.EER-c.eer) > 0.2 || math.Abs(f.Within-c.within) > 1e-9 {
			t.Errorf("%s: AUC %g, EER %g, within %g; want %g, %g, %g", c.name, f.AUC, f.EER, f.Within, c.auc, c.eer, c.within)
		}
	}
	var many []Scored
	for i := range 1000 {
		many = append(many, s(float64(i), false, "h"), s(float64(i)+500.5, true, "m"))
	}
	if f := Measure(many); math.Abs(f.EER-.25) > .002 || math.Abs(f.At1-.51) > .002 || math.Abs(f.At5-.55) > .002 {
		t.Errorf("shifted uniform: EER %g, at 1 %% %g, at 5 %% %g; want .25, .51, .55", f.EER, f.At1, f.At5)
	}
}

// made is clips and rows whose first feature tells the classes apart by sep
// standard deviations, and whose second is the source's alone.
func made(sep float64, seed uint64) ([]Clip, []Row) {
	rng := rand.New(rand.NewPCG(seed, 0))
	n := len(voice.FeatureNames())
	var clips []Clip
	var rows []Row
	for src := range 12 {
		for k := range 20 {
			synthetic := k%2 == 0
			clips = append(clips, Clip{
				Path: fmt.Sprint(src, "/", k), Synthetic: synthetic, Kind: "x",
				Source: fmt.Sprint("source", src), Speaker: fmt.Sprint("speaker", src, k%5),
			})
			x := make([]float64, n)
			for j := range x {
				x[j] = 0.01 * rng.NormFloat64()
			}
			x[0] = rng.NormFloat64()
			if synthetic {
				x[0] += sep
			}
			x[1] = float64(src)
			rows = append(rows, Row{Clip: len(clips) - 1, Stage: AtEnd, Seconds: 2 + 8*rng.Float64(), X: x})
		}
	}
	return clips, rows
}

func heldOut(clips []Clip, rows []Row, o Options) ([]float64, error) {
	h, err := HoldOut(clips, rows, o)
	if err != nil {
		return nil, err
	}
	return h.Rows(clips, rows), nil
}

func quick() Options {
	o := Defaults()
	o.Folds, o.Rounds, o.Features, o.Depth = 3, 15, 1, 2
	return o
}

func TestTrainFindsAndRepeats(t *testing.T) {
	clips, rows := made(2, 1)
	train := func() (*voice.Model, []float64, []byte) {
		raw, err := heldOut(clips, rows, quick())
		if err != nil {
			t.Fatal(err)
		}
		m, err := Train(clips, rows, raw, quick())
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			t.Fatal(err)
		}
		return m, raw, b.Bytes()
	}
	m, raw, file := train()
	if _, _, again := train(); !bytes.Equal(file, again) {
		t.Error("the same data and seed gave another model")
	}
	if _, err := voice.ReadModel(bytes.NewReader(file)); err != nil {
		t.Errorf("the model does not read: %v", err)
	}
	var held []Scored
	for i, r := range rows {
		held = append(held, Scored{Score: raw[i], Synthetic: clips[r.Clip].Synthetic, Source: clips[r.Clip].Source})
	}
	// Two standard deviations apart give an AUC of Φ(√2) = 0.921 at best.
	if f := Measure(held); f.AUC < 0.80 || f.AUC > 0.95 {
		t.Errorf("held-out AUC is %.3f, 0.921 is the best there is", f.AUC)
	}
	// A calibrated ratio of x means odds of e^x: count where it says 0.5 to 2.
	var n [2]float64
	for i, r := range rows {
		if v := m.Cal.Apply(raw[i], r.Seconds); v > 0.5 && v < 2 {
			n[label(&clips[r.Clip])]++
		}
	}
	if odds := math.Log(n[1] / n[0]); odds < 0.3 || odds > 2.5 {
		t.Errorf("where the ratio says 0.5 to 2 the odds are e^%.2f", odds)
	}
}

// Without any difference nothing may be claimed.
func TestTrainRefusesChance(t *testing.T) {
	clips, rows := made(0, 2)
	raw, err := heldOut(clips, rows, quick())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Calibrate(clips, rows, raw)
	if err == nil && (c.Apply(3, 5) > 1 || c.Apply(-3, 5) < -1) {
		t.Errorf("classes that do not differ gave the calibration %+v", c)
	}
	for i := range clips {
		clips[i].Synthetic = true
	}
	if _, err := heldOut(clips, rows, quick()); err == nil {
		t.Error("trained on one class")
	}
}

func TestFoldsKeepSourcesTogether(t *testing.T) {
	clips, _ := made(1, 3)
	f := folds(clips, 4)
	n := map[int]int{}
	for i := range clips {
		n[f[clips[i].Source]]++
	}
	if len(n) != 4 {
		t.Fatalf("%d folds, want 4", len(n))
	}
	for k, v := range n {
		if v != 60 {
			t.Errorf("fold %d has %d clips, want 60", k, v)
		}
	}
}

// Long human clips must not make long calls human.
func TestWeightsBalanceLengths(t *testing.T) {
	var clips []Clip
	var rows []Row
	for i := range 100 {
		synthetic, seconds := i%4 == 0, 2.0
		if i%3 == 0 == synthetic {
			seconds = 12
		}
		clips = append(clips, Clip{Synthetic: synthetic, Source: fmt.Sprint(i % 7), Speaker: fmt.Sprint(i)})
		rows = append(rows, Row{Clip: i, Seconds: seconds})
	}
	w := Weights(clips, rows)
	sum := map[[2]int]float64{}
	all := 0.0
	for i, r := range rows {
		sum[[2]int{span(r.Seconds), label(&clips[r.Clip])}] += w[i]
		all += w[i]
	}
	for _, s := range []int{0, len(spans)} {
		if a, b := sum[[2]int{s, 0}], sum[[2]int{s, 1}]; math.Abs(a-b) > 1e-9*a {
			t.Errorf("span %d: classes weigh %g and %g", s, a, b)
		}
	}
	if math.Abs(all-100) > 1e-9 {
		t.Errorf("100 rows weigh %g", all)
	}
}

func TestLine(t *testing.T) {
	pcm := make([]int16, 16000)
	for i := range pcm {
		if i/2000%2 == 0 {
			pcm[i] = int16(300 * math.Sin(float64(i)*0.3))
		}
	}
	a := Line(pcm, Noises{}, rand.New(rand.NewPCG(1, 1)))
	b := Line(pcm, Noises{}, rand.New(rand.NewPCG(1, 1)))
	c := Line(pcm, Noises{}, rand.New(rand.NewPCG(2, 1)))
	same := func(x, y []int16) bool {
		for i := range x {
			if x[i] != y[i] {
				return false
			}
		}
		return true
	}
	if !same(a, b) || same(a, c) {
		t.Error("a line must follow from its seed, and only from it")
	}
	power := 0.0
	for i, v := range CleanLine(pcm) {
		if i/2000%2 == 0 {
			power += float64(v) * float64(v) / 32768 / 32768
		}
	}
	if db := 10 * math.Log10(power/8000); math.Abs(db+26) > 0.3 {
		t.Errorf("the reference line has %.1f dBFS, want -26", db)
	}
}

// The cost of scores: nothing said costs 1 bit, a lie more, and no monotone map of
// mixed scores costs less than the pooled shares do.
func TestCllr(t *testing.T) {
	s := func(score float64, synthetic bool) Scored { return Scored{Score: score, Synthetic: synthetic} }
	for _, c := range []struct {
		name      string
		s         []Scored
		cost, min float64
	}{
		{"nothing said", []Scored{s(0, true), s(0, false)}, 1, 1},
		{"an oracle", []Scored{s(40, true), s(-40, false)}, 0, 0},
		{"a lie", []Scored{s(-40, true), s(40, false)}, 40 / math.Ln2, 1},
		{"right order, wrong size", []Scored{s(9, true), s(8, false)}, 8 / math.Ln2 / 2, 0},
		// Two pools of 3:1 and 1:3.
		{"three of four", []Scored{s(2, true), s(2, true), s(2, true), s(2, false), s(-2, true), s(-2, false), s(-2, false), s(-2, false)}, 0.9045, 0.8113},
	} {
		f := Measure(c.s)
		if math.Abs(f.Cllr-c.cost) > .001 || math.Abs(f.MinCllr-c.min) > .001 {
			t.Errorf("%s: Cllr %.4f, least %.4f; want %.4f, %.4f", c.name, f.Cllr, f.MinCllr, c.cost, c.min)
		}
	}
}

func TestTradeoff(t *testing.T) {
	var s []Scored
	for i := range 100 {
		s = append(s, Scored{Score: float64(i), Synthetic: i >= 40})
	}
	s = append(s, Scored{Score: 99, Synthetic: false})
	p := Tradeoff(s)
	if p[0] != (Point{0, 1}) || p[len(p)-1] != (Point{1, 0}) {
		t.Errorf("from %v to %v", p[0], p[len(p)-1])
	}
	for i := 1; i < len(p); i++ {
		if p[i].Alarms < p[i-1].Alarms || p[i].Misses > p[i-1].Misses {
			t.Fatalf("point %d: %v after %v", i, p[i], p[i-1])
		}
	}
}

func TestCallsAreLongAndOfOneVoice(t *testing.T) {
	var clips []Clip
	for i := range 24 {
		pcm := make([]int16, 8000*6)
		for j := range pcm {
			pcm[j] = int16(1000 * math.Sin(float64(j)*.2))
		}
		clips = append(clips, Clip{Path: fmt.Sprint(i), Source: fmt.Sprint("s", i/12), Speaker: fmt.Sprint(i / 6), Synthetic: i%12 < 6, PCM: pcm})
	}
	clips = append(clips, Clip{Path: "alone", Source: "s0", Speaker: "rare", PCM: make([]int16, 80000)})
	calls := Calls(clips, 1)
	if len(calls) != 4 {
		t.Fatalf("%d calls, want one of each of the four voices with enough clips", len(calls))
	}
	for _, c := range calls {
		if s := float64(len(c.PCM)) / 8000; s < CallSeconds || s > CallSeconds+10 {
			t.Errorf("%s lasts %.1f s", c.Path, s)
		}
	}
}

// The page holds what the text says, draws both, and carries nothing from outside.
func TestEvaluationPages(t *testing.T) {
	clips, rows := made(1.5, 3)
	var measured []Measured
	for _, r := range rows {
		for k := range Conditions() {
			measured = append(measured, Measured{r, k})
		}
	}
	clips[0].Language, clips[0].Kind = "en", "<script>"
	e := Evaluate(clips, measured, nil, nil, func(_ *Clip, x []float64, _ float64) float64 { return x[0] - .75 })
	var text, page bytes.Buffer
	e.Text(&text)
	if err := e.HTML(&page, "figures"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"whole clip", "A-law", "double transcoding", "3 % loss", "10 dB noise", "FPR at 95 %", "minCllr", "AASIST", "all people", "speaker3"} {
		if !strings.Contains(text.String(), want) || !strings.Contains(page.String(), want) {
			t.Errorf("%q is missing in text or page", want)
		}
	}
	if s := page.String(); strings.Count(s, "<svg") < 2 || strings.Contains(s, "<script") || strings.Contains(s, "http") || strings.Contains(s, "NaN") {
		t.Errorf("page: %d drawings; scripts, links or NaN in it?", strings.Count(s, "<svg"))
	}
	for _, g := range e.Groups {
		if g.Name == "all people" && (g.N != 120 || g.Mean > 0) {
			t.Errorf("people: %+v", g)
		}
	}
}
