package sound

import "math"

const (
	rate      = 8000 // Hz
	hop       = 160  // samples, 20 ms
	hopsASec  = rate / hop
	binHz     = float64(rate) / size
	firstBin  = 6   // 187 Hz: hum lies below
	behindBin = 118 // 3690 Hz
	lobe      = 3   // bins each side of a peak that are of one tone
	mostPeaks = 4
)

// frame is what 32 ms of audio show. Without peaks it was too quiet.
type frame struct {
	db    float64 // of the newest 20 ms, dBFS of a full-scale square wave
	peaks int
	at    [mostPeaks]int     // bins, the strongest first
	hz    [mostPeaks]float64 // between the bins
	share [mostPeaks]float64 // of the power between firstBin and behindBin; near ones overlap

	upTo  [size/2 + 1]float32 // power below each bin, from firstBin on
	power float32             // in all
}

// look finds the strongest peaks of a spectrum.
func (f *frame) look(p *[size / 2]float32) {
	f.peaks = 0
	var sum float32
	for k := firstBin; k < behindBin; k++ {
		f.upTo[k] = sum
		sum += p[k]
		if p[k] <= p[k-1] || p[k] < p[k+1] || f.peaks == mostPeaks && p[k] <= p[f.at[mostPeaks-1]] {
			continue
		}
		i := min(f.peaks, mostPeaks-1)
		for ; i > 0 && p[f.at[i-1]] < p[k]; i-- {
			f.at[i] = f.at[i-1]
		}
		f.at[i] = k
		f.peaks = min(f.peaks+1, mostPeaks)
	}
	f.upTo[behindBin] = sum
	if f.power = sum; sum <= 0 {
		f.peaks = 0
	}
	for i := range f.peaks {
		f.hz[i] = interpolate(p, f.at[i])
		f.share[i] = f.between(f.at[i]-lobe, f.at[i]+lobe)
	}
}

// between is the share of the power from bin a to bin b.
func (f *frame) between(a, b int) float64 {
	if f.peaks == 0 {
		return 0
	}
	a, b = max(a, firstBin), min(b+1, behindBin)
	return float64((f.upTo[b] - f.upTo[a]) / f.power)
}

// interpolate is where between the bins a peak is, Hz: by the parabola through the
// logarithms of three bins, which with this window is right to 2 Hz.
func interpolate(p *[size / 2]float32, k int) float64 {
	a, b, c := math.Log(float64(p[k-1])+1e-9), math.Log(float64(p[k])+1e-9), math.Log(float64(p[k+1])+1e-9)
	d := 0.0
	if bend := a - 2*b + c; bend < 0 {
		d = max(-0.5, min(0.5, 0.5*(a-c)/bend))
	}
	return (float64(k) + d) * binHz
}
