package spectrum

import "math"

// Spectrogram is power over time and frequency.
type Spectrogram struct {
	Columns int // of equal time, the whole sound from first to last
	// Level is decibels below a full-scale sine, Floor at the least: Bins for each
	// column, from the lowest band up.
	Level []float32
}

// Floor is the least level that is told apart, dB.
const Floor = -80

// perColumn is how many windows make a column at the most; of a long sound that is a
// sample.
const perColumn = 8

// Of makes the spectrogram of a sound in at most so many columns; a short one has as
// many as there is to see, one each 4 ms. The level of a column is the mean power of
// its windows.
func Of(pcm []int16, columns int) Spectrogram {
	const finest = Size / 8
	columns = max(min(columns, (len(pcm)+finest-1)/finest), 0)
	s := Spectrogram{Columns: columns, Level: make([]float32, columns*Bins)}
	var padded [Size]int16
	var power, sum [Bins]float32
	for c := range columns {
		from, to := c*len(pcm)/columns, (c+1)*len(pcm)/columns
		n := max(min((to-from)/Size, perColumn), 1)
		sum = [Bins]float32{}
		for i := range n {
			// The window's middle lies in the column.
			begin := from + (2*i+1)*(to-from)/(2*n) - Size/2
			for k := range padded {
				padded[k] = 0
				if j := begin + k; j >= 0 && j < len(pcm) {
					padded[k] = pcm[j]
				}
			}
			Power(padded[:], &power)
			for k, p := range power {
				sum[k] += p / float32(n)
			}
		}
		for k, p := range sum {
			s.Level[c*Bins+k] = float32(max(10*math.Log10(float64(p)+1e-12), Floor))
		}
	}
	return s
}

// Envelope is the least and the greatest sample in each of at most so many columns.
func Envelope(pcm []int16, columns int) (low, high []int16) {
	columns = max(min(columns, len(pcm)), 0)
	low, high = make([]int16, columns), make([]int16, columns)
	for c := range columns {
		part := pcm[c*len(pcm)/columns : (c+1)*len(pcm)/columns]
		low[c], high[c] = part[0], part[0]
		for _, v := range part {
			low[c], high[c] = min(low[c], v), max(high[c], v)
		}
	}
	return low, high
}
