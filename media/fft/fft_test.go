package fft

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"strconv"
	"testing"
)

// Each transform is held against its definition.
func TestReal(t *testing.T) {
	for size := 16; size <= 4096; size *= 2 {
		rnd := rand.New(rand.NewPCG(1, uint64(size)))
		r := New(size)
		x, re, im := make([]float32, size), make([]float32, size/2), make([]float32, size/2)
		for i := range x {
			x[i] = float32(rnd.NormFloat64())
		}
		r.Load(x, re, im)
		r.Transform(re, im)
		power, part, short := make([]float32, size/2+1), make([]float32, size/2+1), make([]float32, size/2)
		r.Power(re, im, power)
		r.Power(re, im, short)
		r.RealPart(re, im, part)
		near := func(what string, k int, got float32, want float64) {
			if math.Abs(float64(got)-want) > 2e-4*float64(size) {
				t.Errorf("size %d, %s of X(%d): %g, want %g", size, what, k, got, want)
			}
		}
		for k := 0; k <= size/2; k += max(size/64, 1) {
			var sum complex128
			for i, v := range x {
				sum += complex(float64(v), 0) * cmplx.Rect(1, -2*math.Pi*float64(k*i%size)/float64(size))
			}
			want := real(sum)*real(sum) + imag(sum)*imag(sum)
			near("power", k, power[k], want)
			near("real part", k, part[k], real(sum))
			if k < size/2 {
				near("power without the last", k, short[k], want)
			}
			if k <= size/4 {
				er, ei, xr, xi := r.Halves(re, im, k)
				near("halves, real,", k, er+xr, real(sum))
				near("halves, imaginary,", k, ei+xi, imag(sum))
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for _, size := range []int{0, 8, 24, 1 << 18} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%d) did not panic", size)
				}
			}()
			New(size)
		}()
	}
}

func BenchmarkTransform(b *testing.B) {
	for _, size := range []int{256, 512, 2048} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			r := New(size)
			x, re, im := make([]float32, size), make([]float32, size/2), make([]float32, size/2)
			out := make([]float32, size/2+1)
			for i := range x {
				x[i] = float32(i % 17)
			}
			b.ReportAllocs()
			for range b.N {
				r.Load(x, re, im)
				r.Transform(re, im)
				r.Power(re, im, out)
			}
		})
	}
}
