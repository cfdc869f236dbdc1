package spectrum

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func sine(hz, amplitude float64, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(amplitude * 32767 * math.Sin(2*math.Pi*hz*float64(i)/8000))
	}
	return out
}

// The transform is held against its definition.
func TestPower(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, Size)
	for i := range pcm {
		pcm[i] = int16(r.IntN(60000) - 30000)
	}
	var got [Bins]float32
	Power(pcm, &got)
	for k := range got {
		var re, im float64
		for i, v := range pcm {
			s, c := math.Sincos(-2 * math.Pi * float64(k*i) / Size)
			x := float64(v) / 32768 * float64(window[i])
			re, im = re+x*c, im+x*s
		}
		if want := (re*re + im*im) * 16 / (Size * Size); math.Abs(float64(got[k])-want) > 1e-5+want*1e-3 {
			t.Errorf("bin %d: %v, want %v", k, got[k], want)
		}
	}
}

// A tone is as loud and as high as it is, when it is.
func TestOf(t *testing.T) {
	pcm := slices.Concat(sine(1000, 1, 8000), make([]int16, 8000), sine(3000, 0.1, 8000))
	s := Of(pcm, 300)
	if s.Columns != 300 || len(s.Level) != 300*Bins {
		t.Fatalf("%d columns, %d levels", s.Columns, len(s.Level))
	}
	at := func(column int) (band int, db float32) {
		l := s.Level[column*Bins : (column+1)*Bins]
		for k, v := range l {
			if v > l[band] {
				band = k
			}
		}
		return band, l[band]
	}
	for column, want := range map[int]struct {
		band int
		db   float64
	}{50: {32, 0}, 150: {0, Floor}, 250: {96, -20}} {
		if band, db := at(column); band != want.band || math.Abs(float64(db)-want.db) > 0.5 {
			t.Errorf("column %d: band %d at %.1f dB, want %+v", column, band, db, want)
		}
	}
	if short := Of(pcm[:100], 300); short.Columns != 4 {
		t.Errorf("100 samples make %d columns", short.Columns)
	}
	if none := Of(nil, 300); none.Columns != 0 {
		t.Errorf("nothing makes %d columns", none.Columns)
	}
}

func TestEnvelope(t *testing.T) {
	low, high := Envelope([]int16{1, -5, 3, 9, 9, 9, 0}, 3)
	if !slices.Equal(low, []int16{-5, 3, 0}) || !slices.Equal(high, []int16{1, 9, 9}) {
		t.Errorf("%v %v", low, high)
	}
	if low, _ := Envelope(nil, 3); len(low) != 0 {
		t.Errorf("nothing has %v", low)
	}
}

func BenchmarkOf(b *testing.B) {
	pcm := sine(440, 0.5, 60*8000)
	for b.Loop() {
		Of(pcm, 900)
	}
}
