package training

import (
	"errors"
	"math"
	"sort"

	"github.com/portero/portero/media/voice"
)

// The share of one class that may lie beyond the point at which the ratio is
// cut: the ratio there rests on this share of the other class's clips, and
// further out on too few of them.
const beyond = 0.01

// Calibrate fits the map from held-out raw log-odds and seconds of speech to a
// log-likelihood ratio, at equal weight of both classes, and cuts it at what
// the held-out rows support.
func Calibrate(clips []Clip, rows []Row, raw []float64) (voice.Calibration, error) {
	w := Weights(clips, rows)
	x, y := make([][]float64, len(rows)), make([]float64, len(rows))
	for i, r := range rows {
		t := math.Log(math.Max(1.5, math.Min(16, r.Seconds)))
		x[i] = []float64{raw[i], raw[i] * t}
		y[i] = float64(label(&clips[r.Clip]))
	}
	b, err := logistic(x, y, w, 1)
	if err != nil {
		return voice.Calibration{}, err
	}
	c := voice.Calibration{Slope: b[0], Growth: b[1], Offset: b[2], Least: math.Inf(-1), Most: math.Inf(1)}
	llr := make([]float64, len(rows))
	for i, r := range rows {
		llr[i] = c.Apply(raw[i], r.Seconds)
	}
	c.Least, c.Most = support(llr, y, w)
	if c.Most <= 0 || c.Least >= 0 {
		return c, errors.New("held-out scores do not tell the classes apart: nothing can be said by this model")
	}
	return c, nil
}

// support is the log ratio of both classes' shares below the score under which
// 1 % of synthetic rows lie, and above the score over which 1 % of human rows lie.
func support(llr, y, w []float64) (least, most float64) {
	order := make([]int, len(llr))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return llr[order[i]] > llr[order[j]] })
	var sum [2]float64
	for i, l := range y {
		sum[int(l)] += w[i]
	}
	walk := func(limited int) float64 {
		var got [2]float64
		for _, i := range order {
			k := int(y[i])
			got[k] += w[i] / sum[k]
			if got[limited] >= beyond {
				break
			}
		}
		return math.Log(math.Max(got[1], 1e-3) / math.Max(got[0], 1e-3))
	}
	most = walk(0)
	for i, j := 0, len(order)-1; i < j; i, j = i+1, j-1 {
		order[i], order[j] = order[j], order[i]
	}
	return walk(1), most
}
