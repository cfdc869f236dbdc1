package sound

import "math"

// music tells music by partials that hold their pitch, which voices do not, and by
// a level that hardly falls. The figures are of the last seconds.
//
// Percussion alone has no such partials, and a cappella singing is a voice: neither
// is called music.
type music struct {
	hz     [mostPeaks]float64 // of the last frame
	held   [mostPeaks]int     // hops that each has held
	second tally
	last   [musicSeconds]tally
	n      int // seconds so far

	first        bool // the last seconds were so for the first time
	now          bool
	holds, swing float64
}

type tally struct {
	hops, loud, steady int
	db, db2            float64
}

const (
	musicSeconds = 8
	holdHz       = 5.0  // Hz that a partial may move in 20 ms
	holdHops     = 6    // hops that one holds at least
	holdShare    = 0.10 // of the power, of all that hold
)

// hear takes a frame and says how many hops more are of music.
func (m *music) hear(f *frame) (foreign int) {
	t := &m.second
	db := max(f.db, -60)
	t.hops++
	t.db += db
	t.db2 += db * db
	var hz [mostPeaks]float64
	var held [mostPeaks]int
	share := 0.0
	for i := range f.peaks {
		hz[i], held[i] = f.hz[i], 1
		for j := range m.hz {
			if m.held[j] >= held[i] && math.Abs(m.hz[j]-hz[i]) < holdHz {
				held[i] = m.held[j] + 1
			}
		}
		if held[i] >= holdHops {
			share += f.share[i]
		}
	}
	m.hz, m.held = hz, held
	if f.peaks > 0 {
		t.loud++
		if share > holdShare {
			t.steady++
		}
	}
	if t.hops < hopsASec {
		return 0
	}
	copy(m.last[1:], m.last[:])
	m.last[0], m.second = *t, tally{}
	m.n++
	return m.judge()
}

// musicAt are the parts of the loud hops in which partials hold, and up to which
// standard deviation of the level, dB, they make music of it. Speech deviates by 12 to
// 16, and by 4 to 6 in noise, but holds less then.
var musicAt = [...]struct{ holds, swing float64 }{{0.32, 100}, {0.22, 10}, {0.10, 5}}

// judge looks at the last seconds.
func (m *music) judge() (foreign int) {
	if m.n < musicSeconds {
		return 0
	}
	var s tally
	for _, t := range m.last {
		s.hops += t.hops
		s.loud += t.loud
		s.steady += t.steady
		s.db += t.db
		s.db2 += t.db2
	}
	holds := float64(s.steady) / float64(max(s.loud, 1))
	mean := s.db / float64(s.hops)
	swing := math.Sqrt(max(0, s.db2/float64(s.hops)-mean*mean))
	m.holds, m.swing = holds, swing
	is := false
	for _, at := range musicAt {
		is = is || 2*s.loud > s.hops && holds >= at.holds && swing < at.swing
	}
	switch {
	case !is:
		m.now, m.first = false, false
		return 0
	case !m.first:
		m.first = true
		return 0
	case !m.now: // what led to it was music too
		m.now = true
		return s.loud
	}
	return m.last[0].loud
}
