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
		t := math.Log(math.Max(1.5, math.Min(30, r.Seconds)))
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
	for i, r := range rows {
		llr[i] = c.Apply(raw[i], r.Seconds)
	}
	c.Between, c.Within = spread(clips, rows, llr)
	return c, nil
}

// spread fits the variance of ratios among clips of one voice, over lines and
// moments alike, as a constant and a part that falls with the seconds of speech.
func spread(clips []Clip, rows []Row, llr []float64) (between, within float64) {
	type key struct {
		source, speaker  string
		synthetic        bool
		copy, stage, bin int
	}
	of := func(r Row) key {
		c := &clips[r.Clip]
		return key{c.Source, c.Speaker, c.Synthetic, r.Copy, r.Stage, span(r.Seconds)}
	}
	sum := map[key]*moments{}
	for i, r := range rows {
		k := of(r)
		if sum[k] == nil {
			sum[k] = &moments{}
		}
		sum[k].add(llr[i])
	}
	// Least squares of squared deviations on 1 and 1/seconds.
	var n, x, xx, y, xy float64
	for i, r := range rows {
		m := sum[of(r)]
		if m.n < 2 {
			continue
		}
		d := llr[i] - m.mean()
		v, t := d*d*m.n/(m.n-1), 1/math.Max(1.5, r.Seconds)
		n++
		x += t
		xx += t * t
		y += v
		xy += t * v
	}
	if n == 0 {
		return 0, 0
	}
	if d := n*xx - x*x; d > 1e-9 {
		within = (n*xy - x*y) / d
	}
	within = math.Max(0, math.Min(within, y/x))
	return math.Max(0, (y-within*x)/n), within
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

type moments struct{ n, sum float64 }

func (m *moments) add(v float64) { m.n++; m.sum += v }
func (m *moments) mean() float64 { return m.sum / m.n }
