package training

import (
	"errors"
	"math"
)

// logistic fits weights and a bias (the last) of a logistic regression by
// Newton's method; ridge holds the weights, not the bias.
func logistic(x [][]float64, y, w []float64, ridge float64) ([]float64, error) {
	n := len(x[0]) + 1
	beta := make([]float64, n)
	row := make([]float64, n)
	row[n-1] = 1
	for range 12 {
		grad := make([]float64, n)
		hess := make([][]float64, n)
		for i := range hess {
			hess[i] = make([]float64, n)
			if i < n-1 {
				hess[i][i] = ridge
				grad[i] = -ridge * beta[i]
			} else {
				hess[i][i] = 1e-9
			}
		}
		for i := range x {
			copy(row, x[i])
			z := 0.0
			for j, v := range row {
				z += beta[j] * v
			}
			p := 1 / (1 + math.Exp(-z))
			e, h := w[i]*(y[i]-p), w[i]*math.Max(p*(1-p), 1e-4)
			for j, v := range row {
				grad[j] += e * v
				hv, hj := h*v, hess[j]
				for k := 0; k <= j; k++ {
					hj[k] += hv * row[k]
				}
			}
		}
		if err := cholesky(hess, grad); err != nil {
			return nil, err
		}
		step := 0.0
		for j := range beta {
			beta[j] += grad[j]
			step = math.Max(step, math.Abs(grad[j]))
		}
		if step < 1e-6 {
			break
		}
	}
	return beta, nil
}

// cholesky solves a·x = b in place, b becoming x; of a the lower half is used.
func cholesky(a [][]float64, b []float64) error {
	n := len(b)
	for i := range n {
		for j := 0; j <= i; j++ {
			s := a[i][j]
			for k := range j {
				s -= a[i][k] * a[j][k]
			}
			if i != j {
				a[i][j] = s / a[j][j]
				continue
			}
			if s <= 0 {
				return errors.New("the linear model has no single solution: too little data for its features")
			}
			a[i][i] = math.Sqrt(s)
		}
	}
	for i := range n {
		for k := range i {
			b[i] -= a[i][k] * b[k]
		}
		b[i] /= a[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= a[k][i] * b[k]
		}
		b[i] /= a[i][i]
	}
	return nil
}
