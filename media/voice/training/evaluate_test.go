package training

import (
	"math"
	"testing"

	"github.com/portero/portero/policy"
)

// The point at which figures are taken is the one at which the built-in fusion
// calls a caller a machine, if nothing but the voice speaks.
func TestMovesAtIsTheFusions(t *testing.T) {
	f := policy.DefaultFusion()
	want := (policy.LogOdds(f.MachineAt) - policy.LogOdds(f.Prior)) / f.Families["voice"].Weight
	if math.Abs(want-MovesAt) > 1e-9 {
		t.Errorf("figures are taken at %.3f, the fusion moves at %.3f", MovesAt, want)
	}
}

// Clips on which nothing is said are no errors and no hits, and are counted.
func TestSilenceIsCounted(t *testing.T) {
	clips, rows := made(2, 4)
	var measured []Measured
	for _, r := range rows {
		measured = append(measured, Measured{r, 0})
	}
	e := Evaluate(clips, measured, nil, nil, func(c *Clip, x []float64, _ float64) float64 {
		if c.Source == "source3" {
			return math.NaN()
		}
		return x[0] - 1
	})
	whole := e.Sections[0].Lines[0]
	if n := whole.Human + whole.Synthetic; n != 220 || math.Abs(whole.Judged-220./240) > 1e-9 {
		t.Errorf("%d clips judged, a share of %.3f; want 220 of 240", n, whole.Judged)
	}
}
