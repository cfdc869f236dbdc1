package sound

import "math"

// A run is one tone, or two at once, that stays what it is. Runs that have ended are
// kept as long as a cadence needs.
type run struct {
	from, last int // hops
	n          int // hops in which it was heard
	two        bool
	hz         [2]float64 // means, the lower first
	sum, sum2  float64    // of the stronger tone, about hz[0] of the first hop
	zero       float64
	db         float64 // of the loudest hop

	// Of a single tone: its phase at the last hop, its frequency as exactly as phases
	// tell, how often the phase turned around, and the last levels.
	phase     float64
	exact     float64
	reversals int
	levels    [32]float32
}

// deviation is of the frequency of the stronger tone, Hz.
func (r *run) deviation() float64 {
	n := float64(r.n)
	return math.Sqrt(max(0, r.sum2/n-r.sum/n*r.sum/n))
}

// tones follows runs and knows the cadences that signal something.
type tones struct {
	run     run
	open    bool
	past    [4]run // ended; the first is the latest
	between int    // loud hops since the latest ended, that are of no tone
	gaps    [4]gap // before each of past
	now     gap    // before run

	fax     bool
	modem   string // what was heard of it
	network string // the same, of the network
	until   int    // hop up to which that is said
}

// gap is what lies before a run.
type gap struct{ length, loud int } // hops

const (
	oneTone   = 0.85 // share of the power that one tone has, or two have
	twoTones  = 0.10 // share of the weaker of two
	bridged   = 3    // hops that a run may miss: a lost packet, or a phase reversal
	leastRun  = 4    // hops of a run that is remembered
	realTone  = 10   // hops of a run that is no part of speech
	besides   = 10.0 // dB under the tone that still disturb its cadence
	forgotten = 7 * hopsASec
)

// ms is a number of hops.
func ms(n float64) float64 { return n / 20 }

// key says whether a run is a key's (ITU-T Q.23), however long it is held.
func (r *run) key() bool {
	return r.two && r.hz[0] > 680 && r.hz[0] < 960 && r.hz[1] > 1180 && r.hz[1] < 1660
}

// wants says whether the phase of a frame's strongest peak matters.
func (t *tones) wants(f *frame) bool { return f.share[0] >= oneTone && f.hz[0] > 800 }

// hear takes a frame and says how many hops more are of a tone.
func (t *tones) hear(f *frame, now int, phase float64) (foreign int) {
	hz, two, ok := pure(f)
	if t.open && ok && t.run.goesOn(hz, two) {
		t.run.add(f, hz, now, phase)
		t.watch(now)
		switch {
		case t.run.key():
			return 0
		case t.run.n == realTone:
			return realTone
		case t.run.n > realTone:
			return 1
		}
		return 0
	}
	if t.open && now-t.run.last > bridged {
		t.end(now)
	}
	switch {
	case ok && !t.open:
		t.run = run{from: now, two: two, hz: hz, zero: f.hz[0], db: -100, exact: f.hz[0]}
		t.open = true
		t.now = gap{now - t.past[0].last, t.between}
		t.run.add(f, hz, now, phase)
	case f.peaks > 0 && f.db > t.past[0].db-besides && !t.open:
		t.between++
	}
	return 0
}

// pure says whether a frame is of one or two tones alone.
func pure(f *frame) (hz [2]float64, two, ok bool) {
	switch {
	case f.peaks > 0 && f.share[0] >= oneTone:
		return [2]float64{f.hz[0], f.hz[0]}, false, true
	case f.peaks > 1 && f.share[1] >= twoTones && f.together() >= oneTone:
		return [2]float64{min(f.hz[0], f.hz[1]), max(f.hz[0], f.hz[1])}, true, true
	}
	return hz, false, false
}

// together is the share of the power in the two strongest peaks.
func (f *frame) together() float64 {
	a, b := min(f.at[0], f.at[1]), max(f.at[0], f.at[1])
	if b-a > 2*lobe {
		return f.share[0] + f.share[1]
	}
	return f.between(a-lobe, b+lobe)
}

// goesOn says whether a frame's tones are those of the run. Low ones may be two that
// beat within one peak.
func (r *run) goesOn(hz [2]float64, two bool) bool {
	near := 12.0
	if r.hz[0] < 700 {
		near = 40
	}
	return two == r.two && math.Abs(hz[0]-r.hz[0]) <= near && math.Abs(hz[1]-r.hz[1]) <= near
}

func (r *run) add(f *frame, hz [2]float64, now int, phase float64) {
	if r.n > 0 && !r.two {
		r.turn(phase, now-r.last)
	}
	r.phase = phase
	r.levels[r.n%len(r.levels)] = float32(math.Pow(10, f.db/20))
	r.n++
	r.last = now
	w := 1 / float64(r.n)
	r.hz[0] += w * (hz[0] - r.hz[0])
	r.hz[1] += w * (hz[1] - r.hz[1])
	d := f.hz[0] - r.zero
	r.sum += d
	r.sum2 += d * d
	r.db = max(r.db, f.db)
}

// turn compares the phase with what the frequency makes expect.
func (r *run) turn(phase float64, hops int) {
	seconds := float64(hops) * hop / rate
	off := math.Remainder(phase-r.phase-2*math.Pi*r.exact*seconds, 2*math.Pi)
	switch {
	case math.Abs(off) < 1:
		r.exact += off / (2 * math.Pi * seconds) / 4
	case math.Abs(off) > 2.4 && r.n > 5:
		r.reversals++
	}
}

// wobble is the depth of an amplitude modulation by 15 Hz (ITU-T V.8: 0.2).
func (r *run) wobble() float64 {
	if r.n < len(r.levels) {
		return 0
	}
	var mean, re, im float64
	for i := range r.levels {
		v := float64(r.levels[(r.n+i)%len(r.levels)])
		s, c := math.Sincos(2 * math.Pi * 15 * float64(i) / hopsASec)
		w := 1 - math.Cos(2*math.Pi*(float64(i)+0.5)/float64(len(r.levels)))
		mean, re, im = mean+w*v, re+w*v*c, im+w*v*s
	}
	return 2 * math.Hypot(re, im) / mean
}

// watch looks at the run that goes on.
func (t *tones) watch(now int) {
	r := &t.run
	if r.two {
		if r.n >= 3*hopsASec && r.hz[0] > 300 && r.hz[1] < 700 {
			t.say("a dial tone", now)
		}
		return
	}
	n := float64(r.n)
	switch hz := r.exact; {
	case n >= ms(900) && (near(hz, 2100, 15) || near(hz, 2225, 15)) && r.deviation() < 6:
		t.modem = answerTone(r)
	case n >= ms(1500) && (near(hz, 980, 6) || near(hz, 1180, 6) || near(hz, 1270, 6) || near(hz, 1300, 6) || near(hz, 1650, 6)) && r.deviation() < 4:
		t.modem = "the carrier of a modem that waits"
	case n >= 3*hopsASec && r.deviation() < 12:
		t.say("a steady tone", now)
	}
}

func near(hz, want, by float64) bool { return math.Abs(hz-want) <= by }

// answerTone names what a modem answers with (ITU-T V.25, V.8; Bell 103).
func answerTone(r *run) string {
	switch turned, wobbles := r.reversals > 0, r.wobble() > 0.1; {
	case r.exact > 2160:
		return "the answer tone of a modem, 2225 Hz"
	case turned && wobbles:
		return "the answer tone of a modem, 2100 Hz with phase reversals and a modulation (ITU-T V.8)"
	case turned:
		return "the answer tone of a modem, 2100 Hz with phase reversals (ITU-T V.25)"
	case wobbles:
		return "the answer tone of a modem, 2100 Hz modulated by 15 Hz (ITU-T V.8)"
	}
	return "the answer tone of a modem or a fax, 2100 Hz"
}

// end files the run and looks for cadences.
func (t *tones) end(now int) {
	t.open = false
	if t.run.n < leastRun {
		return
	}
	copy(t.past[1:], t.past[:])
	copy(t.gaps[1:], t.gaps[:])
	t.past[0], t.gaps[0] = t.run, t.now
	t.between = 0
	a, b, c := &t.past[0], &t.past[1], &t.past[2]
	first, second := t.gaps[0], t.gaps[1]
	switch {
	case a.lasts(425, 575) && b.lasts(425, 575) && a.is(1100, 38) && b.is(1100, 38) && first.pause(2500, 3500):
		t.fax = true
	case a.lasts(450, 750) && b.lasts(450, 750) && a.is(1300, 20) && b.is(1300, 20) && first.pause(1400, 2100):
		t.modem = "the calling tone of a modem, 1300 Hz (ITU-T V.25)"
	case c.is(950, 50) && b.is(1400, 50) && a.is(1800, 50) && c.lasts(200, 450) && b.lasts(200, 450) && a.lasts(200, 450) && first.length <= 6 && second.length <= 6:
		t.say("the three tones before an announcement of the network", now)
	case low(a) && low(b) && alike(a, b) && a.lasts(700, 2600) && first.pause(1200, 6000):
		t.say("a ringing tone", now)
	case t.regular():
		t.say("a busy tone, or another of the network", now)
	}
}

// regular says whether the last runs are a cadence: one after the other at even
// times, or two by two.
func (t *tones) regular() bool {
	a, b, c, d := &t.past[0], &t.past[1], &t.past[2], &t.past[3]
	if !(low(a) && alike(a, b) && alike(b, c) && a.lasts(150, 1100) && (a.two || a.deviation() < 10 && b.deviation() < 10)) {
		return false
	}
	even := func(x, y gap) bool {
		return x.pause(100, 2600) && y.pause(100, 2600) && math.Abs(float64(x.length-y.length)) <= 2+0.1*float64(x.length)
	}
	return even(t.gaps[0], t.gaps[1]) || alike(c, d) && t.gaps[1].pause(100, 2600) && even(t.gaps[0], t.gaps[2])
}

// lasts says whether a run is so long, ms.
func (r *run) lasts(least, most float64) bool {
	// A window that holds the end of the tone still counts for it.
	n := float64(r.last - r.from + 1)
	return n >= ms(least)-1 && n <= ms(most)+1
}

// is says whether a run is of one tone alone, within so many Hz.
func (r *run) is(hz, by float64) bool {
	return !r.two && near(r.hz[0], hz, by) && r.deviation() < 8
}

// pause says whether a gap is so long, ms, and nothing was heard in it.
func (g gap) pause(least, most float64) bool {
	n := float64(g.length)
	return n >= ms(least)-2 && n <= ms(most)+2 && float64(g.loud) <= 2+0.05*n
}

func low(r *run) bool { return r.n > 0 && r.hz[0] > 300 && r.hz[1] < 700 }

func alike(a, b *run) bool {
	if a.n == 0 || b.n == 0 {
		return false
	}
	x, y := float64(a.last-a.from+1), float64(b.last-b.from+1)
	return a.two == b.two && math.Abs(x-y) <= 2+0.1*x && near(a.hz[0], b.hz[0], 25) && near(a.hz[1], b.hz[1], 25) && math.Abs(a.db-b.db) < 6
}

func (t *tones) say(what string, now int) { t.network, t.until = what, now+forgotten }

// lately says whether the network's tones were heard in the last seconds.
func (t *tones) lately(now int) bool { return t.network != "" && now < t.until }
