package voice

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestDefaultModel(t *testing.T) {
	m := Default()
	if len(modelJSON) >= 2_000_000 {
		t.Errorf("the model has %d bytes, less than 2000000 is the limit", len(modelJSON))
	}
	if m.Cal.Most < 1.5 || m.Cal.Most > 5 || m.Cal.Least > -1 || m.Cal.Least < -5 {
		t.Errorf("calibration %+v: ratios outside 1 to 5 are no ratios of this data", m.Cal)
	}
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), modelJSON) {
		t.Error("the model is not as Write writes it")
	}
}

func TestReadModelRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Model)
		want string
	}{
		{"other features", func(m *Model) { m.Features = []string{"x"} }, "train it anew"},
		{"weights missing", func(m *Model) { m.Weights[1] = m.Weights[1][1:] }, "weights[1]"},
		{"a class missing", func(m *Model) { m.Weights = m.Weights[1:] }, "weights and bias are of"},
		{"no human class", func(m *Model) { m.Classes[0] = "neural" }, "human and 1 to 7"},
		{"too many classes", func(m *Model) { m.Classes = append(m.Classes, "a", "b", "c", "d", "e", "f", "g", "h") }, "human and 1 to 7"},
		{"mean missing", func(m *Model) { m.Mean = nil }, "mean and scale"},
		{"scale 0", func(m *Model) { m.Scale[3] = 0 }, "scale[3]"},
		{"strange", func(m *Model) { m.Strange = 0 }, "strange is 0"},
		{"blend", func(m *Model) { m.Blend = 1.5 }, "blend is 1.5"},
		{"calibration", func(m *Model) { m.Cal.Most = -1 }, "0 must lie between"},
		{"slope", func(m *Model) { m.Cal.Slope, m.Cal.Growth = -1, 0 }, "slope"},
		{"empty tree", func(m *Model) { m.Trees[2] = Tree{} }, "trees[2]"},
		{"loop", func(m *Model) { m.Trees[2].Left[0] = 0; m.Trees[2].Left[1] = 1 }, "node 1"},
		{"child outside", func(m *Model) { m.Trees[1].Left[0] = len(m.Trees[1].Left) }, "node 0"},
		{"feature outside", func(m *Model) { m.Trees[1].Feature[0] = len(featureNames) }, "node 0"},
		{"feature negative", func(m *Model) { m.Trees[1].Feature[0] = -1 }, "node 0"},
	} {
		m := &Model{}
		if err := json.Unmarshal(modelJSON, m); err != nil {
			t.Fatal(err)
		}
		c.edit(m)
		var b bytes.Buffer
		if err := m.Write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadModel(&b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", c.name, err, c.want)
		}
	}
	if _, err := ReadModel(strings.NewReader("{")); err == nil {
		t.Error("half a model was read")
	}
}

func TestCalibration(t *testing.T) {
	c := Calibration{Slope: 1, Growth: 0.5, Offset: -0.2, Least: -2, Most: 3}
	for _, w := range []struct{ raw, seconds, want float64 }{
		{0, 5, -0.2},
		{1, math.E, 1.3},
		{100, 5, 3},
		{-100, 5, -2},
		{0.5, 1e6, 0.5*(1+0.5*math.Log(maxCalibrated)) - 0.2}, // no growth beyond what was measured
		{0.5, 0.1, 0.5*(1+0.5*math.Log(minCalibrated)) - 0.2},
	} {
		if got := c.Apply(w.raw, w.seconds); math.Abs(got-w.want) > 1e-9 {
			t.Errorf("raw %g after %g s gives %g, want %g", w.raw, w.seconds, got, w.want)
		}
	}
}

func TestTree(t *testing.T) {
	tree := Tree{Feature: []int{1, 0, 0}, Cut: []float64{5, 0, 0}, Left: []int{1, 0, 0}, Value: []float64{0, -1, 1}}
	for x, want := range map[float64]float64{4.9: -1, 5: 1, 6: 1} {
		if got := tree.value([]float64{0, x}); got != want {
			t.Errorf("%g gives %g, want %g", x, got, want)
		}
	}
	if got := tree.value([]float64{0, math.NaN()}); got != 1 {
		t.Errorf("NaN gives %g, want the right leaf", got)
	}
}

// What lies far from all speech in every feature is strange, and the mean is not.
func TestStrangeness(t *testing.T) {
	m := Default()
	x := append([]float64(nil), m.Mean...)
	if s := m.Strangeness(x); s != 0 {
		t.Errorf("the mean has strangeness %g", s)
	}
	for i := range x {
		x[i] += 3 * m.Scale[i]
	}
	if s := m.Strangeness(x); math.Abs(s-3) > 1e-9 || s < m.Strange {
		t.Errorf("3 deviations off have strangeness %g; %g is allowed", s, m.Strange)
	}
	l := NewListener(m)
	l.Frame(atLevel(talk(8, 1), -26, -70, 0))
	if s := l.Score(); s.Abstained != "" {
		t.Fatalf("abstained: %s", s.Abstained)
	}
	odd := *m
	odd.Strange = .51
	l = NewListener(&odd)
	l.Frame(atLevel(talk(8, 1), -26, -70, 0))
	if s := l.Score(); !strings.Contains(s.Abstained, "unlike any speech") || s.LLR != 0 || l.Reasons() != nil || len(l.Evidence()) != 0 {
		t.Errorf("%+v: want an abstention", s)
	}
}
