package training

import (
	"errors"
	"math"
	"runtime"
	"sync"
)

// softmax fits a multinomial logistic regression: for each class a weight for
// every feature and a bias (the last), by the limited-memory BFGS method. Rows
// have class y and weight w; ridge holds the weights, not the biases. Human
// speech against several kinds of synthesis is told apart better by planes of
// their own than by one plane.
func softmax(x [][]float64, y []int, w []float64, classes int, ridge float64) ([][]float64, error) {
	if len(x) == 0 {
		return nil, errors.New("no rows to learn from")
	}
	n := len(x[0]) + 1
	s := &softmaxLoss{x: x, y: y, w: w, classes: classes, n: n, ridge: ridge}
	beta := make([]float64, classes*n)
	minimise(beta, s.value, 120)
	out := make([][]float64, classes)
	for k := range out {
		out[k] = beta[k*n : (k+1)*n]
		for _, v := range out[k] {
			if math.IsNaN(v) {
				return nil, errors.New("the linear model did not converge: a feature is not a number")
			}
		}
	}
	return out, nil
}

type softmaxLoss struct {
	x          [][]float64
	y          []int
	w          []float64
	classes, n int
	ridge      float64
}

// parts is into how many the rows are cut: a sum in parts of fixed size, added up
// in order, is the same on every number of processors.
const parts = 16

// value is the loss at beta; it writes the gradient.
func (s *softmaxLoss) value(beta, grad []float64) float64 {
	var loss [parts]float64
	var grads [parts][]float64
	var wg sync.WaitGroup
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	for p := range parts {
		wg.Go(func() {
			limit <- struct{}{}
			grads[p] = make([]float64, len(beta))
			loss[p] = s.part(beta, grads[p], p*len(s.x)/parts, (p+1)*len(s.x)/parts)
			<-limit
		})
	}
	wg.Wait()
	total := 0.0
	for i := range grad {
		grad[i] = 0
	}
	for p := range parts {
		total += loss[p]
		for i, g := range grads[p] {
			grad[i] += g
		}
	}
	for i, b := range beta {
		if i%s.n != s.n-1 {
			total += s.ridge / 2 * b * b
			grad[i] += s.ridge * b
		}
	}
	return total
}

func (s *softmaxLoss) part(beta, grad []float64, from, to int) float64 {
	z := make([]float64, s.classes)
	loss := 0.0
	for i := from; i < to; i++ {
		x := s.x[i]
		most := math.Inf(-1)
		for k := range z {
			b := beta[k*s.n : (k+1)*s.n]
			var s0, s1 float64
			j := 0
			for ; j+1 < len(x); j += 2 {
				s0 += b[j] * x[j]
				s1 += b[j+1] * x[j+1]
			}
			if j < len(x) {
				s0 += b[j] * x[j]
			}
			z[k] = s0 + s1 + b[s.n-1]
			most = math.Max(most, z[k])
		}
		sum := 0.0
		for _, v := range z {
			sum += math.Exp(v - most)
		}
		loss += s.w[i] * (most + math.Log(sum) - z[s.y[i]])
		for k, v := range z {
			e := math.Exp(v-most) / sum
			if k == s.y[i] {
				e--
			}
			e *= s.w[i]
			g := grad[k*s.n : (k+1)*s.n]
			for j, v := range x {
				g[j] += e * v
			}
			g[s.n-1] += e
		}
	}
	return loss
}

// minimise takes beta to a minimum of f, which writes its gradient, in at most
// the given steps of limited-memory BFGS with a backtracking search.
func minimise(beta []float64, f func(beta, grad []float64) float64, steps int) {
	const memory = 10
	dot := func(a, b []float64) float64 {
		s := 0.0
		for i, v := range a {
			s += v * b[i]
		}
		return s
	}
	n := len(beta)
	grad := make([]float64, n)
	value := f(beta, grad)
	start := math.Sqrt(dot(grad, grad))
	var moved, turned [][]float64
	for range steps {
		if math.Sqrt(dot(grad, grad)) < 1e-4*start {
			return
		}
		// The two loops of Nocedal's recursion.
		d := append([]float64(nil), grad...)
		alpha := make([]float64, len(moved))
		for i := len(moved) - 1; i >= 0; i-- {
			alpha[i] = dot(moved[i], d) / dot(moved[i], turned[i])
			for j, v := range turned[i] {
				d[j] -= alpha[i] * v
			}
		}
		scale := 1 / math.Max(1, start)
		if k := len(moved) - 1; k >= 0 {
			scale = dot(moved[k], turned[k]) / dot(turned[k], turned[k])
		}
		for j := range d {
			d[j] *= scale
		}
		for i := range moved {
			b := dot(turned[i], d) / dot(moved[i], turned[i])
			for j, v := range moved[i] {
				d[j] += (alpha[i] - b) * v
			}
		}
		slope := -dot(grad, d)
		if slope >= 0 {
			return
		}
		next, nextGrad := make([]float64, n), make([]float64, n)
		step, nextValue := 1.0, 0.0
		for try := 0; ; try++ {
			for j := range next {
				next[j] = beta[j] - step*d[j]
			}
			nextValue = f(next, nextGrad)
			if nextValue <= value+1e-4*step*slope {
				break
			}
			if try == 20 {
				return
			}
			step /= 2
		}
		s, y := make([]float64, n), make([]float64, n)
		for j := range s {
			s[j], y[j] = next[j]-beta[j], nextGrad[j]-grad[j]
		}
		copy(beta, next)
		grad, value = nextGrad, nextValue
		if dot(s, y) <= 0 {
			continue
		}
		if moved, turned = append(moved, s), append(turned, y); len(moved) > memory {
			moved, turned = moved[1:], turned[1:]
		}
	}
}
