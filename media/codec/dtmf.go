package codec

import (
	"math"
	"time"
)

// The tone detector looks at windows of 20 ms every 10 ms: a key of 40 ms holds
// at least two whole windows, and must be accepted; one of 23 ms holds at most
// one, and must not be (ITU-T Q.24 annex A).
const (
	toneWindow = 160 // samples
	toneHop    = 80
	toneHits   = 2 // windows in a row that begin a key
	toneMisses = 3 // windows in a row that end it: a pause of 40 ms holds three
)

const (
	// toneFloor is the least mean square of a window, −36 dBm0.
	toneFloor = fullScale * fullScale / 2 * 1.8e-4
	// toneShare is the least share of the window's energy in the two tones.
	// Speech puts more into harmonics and other formants: this, with two windows
	// in a row of the same key, is what keeps talk from dialling.
	toneShare = 0.90
	// toneGlance is the same before the tones' exact frequencies were looked for.
	toneGlance = 0.35
	// toneLeast is the least share of the low tone at the same glance: what is
	// left of it under twistHigh, detuned.
	toneLeast = 0.10
	// toneLead is how far the strongest tone of a group leads the others, 6 dB.
	toneLead = 4.0
	// twistLow and twistHigh are how far the low tone may lead the high one, and
	// the reverse: 8 and 6 dB (ITU-T Q.24 table A-1: administrations ask for 4 to 10).
	twistLow  = 6.31
	twistHigh = 3.98
	// toneDetune is the detuning that must be accepted, 1.5 % (ITU-T Q.24 annex A).
	toneDetune = 0.015
)

// fullScale is the peak of a sine of +3.17 dBm0 (ITU-T G.711 table 2).
const fullScale = 32124.0

var (
	toneRows = [4]float64{697, 770, 852, 941}
	toneCols = [4]float64{1209, 1336, 1477, 1633}
	toneKeys = [4]string{"123A", "456B", "789C", "*0#D"}

	toneCoeffs = func() (c [8][3]float32) {
		for i := range 4 {
			for j, f := range [3]float64{1, 1 - toneDetune, 1 + toneDetune} {
				c[i][j] = float32(2 * math.Cos(2*math.Pi*toneRows[i]*f/Rate))
				c[4+i][j] = float32(2 * math.Cos(2*math.Pi*toneCols[i]*f/Rate))
			}
		}
		return c
	}()
)

// Tones finds the keys that are sent as tones in the audio (ITU-T Q.23), by
// Goertzel's filter. The zero value is ready.
type Tones struct {
	buf  [toneWindow]float32
	fill int
	at   [2]time.Time // arrival of the samples of the window's halves

	key    byte // heard in the window before, or being held
	held   bool
	hits   int
	misses int
	begin  time.Time
	power  float64 // mean square of the loudest window
}

// Samples takes the samples of one frame; digit is called when a key has ended.
// A frame's samples follow those of the frame before, lost packets or not.
func (t *Tones) Samples(pcm []int16, at time.Time, digit func(Digit)) {
	for len(pcm) > 0 {
		if t.fill == toneWindow-toneHop {
			t.at[1] = at
		} else if t.fill == 0 {
			t.at[0] = at
		}
		// Fill up to the next half, so that each half's time is its first sample's.
		next := toneHop
		if t.fill >= toneHop {
			next = toneWindow
		}
		n := min(next-t.fill, len(pcm))
		for i, v := range pcm[:n] {
			t.buf[t.fill+i] = float32(v)
		}
		t.fill += n
		pcm = pcm[n:]
		if t.fill == toneWindow {
			t.window(digit)
			copy(t.buf[:], t.buf[toneHop:])
			t.at[0], t.fill = t.at[1], toneWindow-toneHop
		}
	}
}

// Flush ends a key that is still held: the call is over.
func (t *Tones) Flush(digit func(Digit)) {
	if t.held {
		t.finish(digit)
	}
	t.held, t.key, t.hits = false, 0, 0
}

func (t *Tones) window(digit func(Digit)) {
	key, power := t.hear()
	if t.held {
		if key == t.key {
			t.hits += t.misses + 1
			t.misses = 0
			t.power = max(t.power, power)
			return
		}
		if t.misses++; t.misses < toneMisses && key == 0 {
			return
		}
		t.finish(digit)
		t.held, t.key = false, 0
	}
	if key == 0 || key != t.key {
		t.key, t.hits, t.power = key, 0, 0
		t.begin = t.at[0]
	}
	if key == 0 {
		return
	}
	t.power = max(t.power, power)
	if t.hits++; t.hits == toneHits {
		t.held, t.misses = true, 0
	}
}

func (t *Tones) finish(digit func(Digit)) {
	if digit == nil {
		return
	}
	db := 10 * math.Log10(t.power/(fullScale*fullScale/2)) // of the +3.17 dBm0 sine
	digit(Digit{
		Key:      t.key,
		At:       t.begin,
		Duration: time.Duration(toneWindow+(t.hits-1)*toneHop) * time.Second / Rate,
		Volume:   min(63, max(0, int(math.Round(-3.17-db)))),
		InBand:   true,
	})
}

// hear is the key in the window, 0 for none, and the window's mean square.
func (t *Tones) hear() (byte, float64) {
	var energy float32
	for _, v := range t.buf {
		energy += v * v
	}
	power := float64(energy) / toneWindow
	if power < toneFloor {
		return 0, power
	}
	full := energy * toneWindow / 2 // |X|² of a lone sine of this energy
	p := goertzel4(&t.buf, 0)
	row, ok := leader(&p)
	low := p[row]
	if !ok || low < toneLeast*full { // nearly all speech ends here
		return 0, power
	}
	p = goertzel4(&t.buf, 4)
	col, ok := leader(&p)
	high := p[col]
	if !ok || low+high < toneGlance*full {
		return 0, power
	}
	for j := 1; j < 3; j++ {
		low = max(low, goertzel(&t.buf, toneCoeffs[row][j]))
		high = max(high, goertzel(&t.buf, toneCoeffs[4+col][j]))
	}
	if low+high < toneShare*full || low > twistLow*high || high > twistHigh*low {
		return 0, power
	}
	return toneKeys[row][col], power
}

// leader is the strongest of a group, if it leads by toneLead.
func leader(p *[4]float32) (int, bool) {
	best := 0
	for i, v := range p {
		if v > p[best] {
			best = i
		}
	}
	for i, v := range p {
		if i != best && v*toneLead > p[best] {
			return 0, false
		}
	}
	return best, p[best] > 0
}

// goertzel4 is goertzel for the four tones of a group at once, which the
// processor works on side by side: 4 times as fast as one after the other.
func goertzel4(x *[toneWindow]float32, group int) [4]float32 {
	c0, c1, c2, c3 := toneCoeffs[group][0], toneCoeffs[group+1][0], toneCoeffs[group+2][0], toneCoeffs[group+3][0]
	var a0, a1, a2, a3, b0, b1, b2, b3 float32
	for _, v := range x {
		a0, b0 = v+c0*a0-b0, a0
		a1, b1 = v+c1*a1-b1, a1
		a2, b2 = v+c2*a2-b2, a2
		a3, b3 = v+c3*a3-b3, a3
	}
	return [4]float32{
		a0*a0 + b0*b0 - c0*a0*b0,
		a1*a1 + b1*b1 - c1*a1*b1,
		a2*a2 + b2*b2 - c2*a2*b2,
		a3*a3 + b3*b3 - c3*a3*b3,
	}
}

// goertzel is |X(f)|² of the window for the coefficient 2cos(2πf/Rate).
func goertzel(x *[toneWindow]float32, c float32) float32 {
	var s1, s2 float32
	for _, v := range x {
		s1, s2 = v+c*s1-s2, s1
	}
	return s1*s1 + s2*s2 - c*s1*s2
}
