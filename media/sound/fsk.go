package sound

import "math"

// line is a way to send bits by two tones, and how characters are framed on it.
type line struct {
	name        string
	mark, space int     // Hz, multiples of stepHz; mark is 1
	low, high   int     // bins that hold the power while it sends
	samples     int     // that are compared for one decision: at most those of a bit
	clear       float32 // how clearly a bit must be of one tone; few samples tell less
	codes       []code
	fax, call   bool // HDLC flags (ITU-T T.30), and CI (V.8), are looked for
}

// code is a speed and a frame: a start bit, data, perhaps even parity, stop.
type code struct {
	baud    float64
	data    int  // bits
	parity  bool // even, after them, or a 0
	follows bool // the changes of tone set the clock: so few samples a bit that it must be exact
	says    string
}

// lines are those that text telephones use (ITU-T V.18 annexes A and C to F), and
// fax in one of them.
var lines = [...]line{
	{name: "5-bit", mark: 1400, space: 1800, samples: 72, clear: 0.4, codes: []code{
		{45.45, 5, false, false, "a text telephone (TTY, 45 baud)"}, {50, 5, false, false, "a text telephone (TTY, 50 baud)"}}},
	{name: "V.21 low", mark: 980, space: 1180, samples: 26, clear: 0.4, call: true, codes: []code{
		{300, 7, true, false, "a text telephone (V.21)"}, {110, 7, true, false, "a text telephone (EDT)"}}},
	{name: "V.21 high", mark: 1650, space: 1850, samples: 26, clear: 0.4, fax: true, codes: []code{
		{300, 7, true, false, "a text telephone (V.21)"}}},
	{name: "Bell 103 low", mark: 1270, space: 1070, samples: 26, clear: 0.4, codes: []code{
		{300, 7, true, false, "a text telephone (Bell 103)"}}},
	{name: "Bell 103 high", mark: 2225, space: 2025, samples: 26, clear: 0.4, codes: []code{
		{300, 7, true, false, "a text telephone (Bell 103)"}}},
	{name: "V.23", mark: 1300, space: 2100, samples: 6, clear: 0.2, codes: []code{
		{1200, 7, true, true, "a text telephone (V.23)"}}},
	{name: "V.23 back", mark: 390, space: 450, samples: 107, clear: 0.4, codes: []code{
		{75, 7, true, false, "a text telephone (V.23)"}}},
}

const (
	stepHz    = 5 // of which all tones are multiples
	waveSteps = rate / stepHz
	mostCodes = 2
	mostTaps  = 107

	bandShare = 0.80 // of the power, in a line's band, while it sends
	leastBand = 3    // hops in a row that open a channel
	staysOpen = 25   // hops after the last such
)

// wave is a turn of a circle.
var waveCos, waveSin [waveSteps]float32

func init() {
	for i := range waveCos {
		s, c := math.Sincos(2 * math.Pi * float64(i) / waveSteps)
		waveCos[i], waveSin[i] = float32(c), float32(s)
	}
	for i := range lines {
		l := &lines[i]
		margin := max(60, 0.3*l.codes[0].baud) // of the sidebands
		l.low = int((float64(min(l.mark, l.space)) - margin) / binHz)
		l.high = int((float64(max(l.mark, l.space))+margin)/binHz) + 1
	}
}

// channel listens on one line, while there is something in its band and nowhere
// else.
type channel struct {
	inBand, idle int     // hops
	least, most  float64 // level of those in the band
	demodulator  demodulator
	framers      [mostCodes]framer
	flags        flags
	caller       caller
	call         byte // the function called for
}

func (c *channel) hear(l *line, f *frame, samples *[kept]float32) {
	pcm := samples[kept-hop:]
	if f.between(l.low, l.high) >= bandShare {
		if c.inBand++; c.inBand == 1 {
			c.least, c.most = f.db, f.db
		}
		c.least, c.most = min(c.least, f.db), max(c.most, f.db)
		c.idle = 0
	} else {
		c.inBand = 0
		if c.idle++; c.idle > staysOpen {
			return
		}
	}
	if c.inBand < leastBand && !c.demodulator.on {
		return
	}
	if c.idle == staysOpen || !c.demodulator.on {
		on := c.idle < staysOpen
		c.demodulator = demodulator{on: on}
		for i := range c.framers {
			c.framers[i].begin()
		}
		if !on {
			return
		}
		pcm = samples[:]
	}
	for _, v := range pcm {
		d, pure := c.demodulator.sample(l, v)
		for i := range l.codes {
			c.framers[i].sample(l, &l.codes[i], d, pure)
		}
		if l.fax {
			c.flags.sample(d)
		}
		if l.call && c.caller.sample(d, pure) {
			c.call = c.caller.function()
		}
	}
}

// sends says whether somebody has sent without a pause for seconds, and no louder
// and no softer: that is no voice.
func (c *channel) sends() bool { return c.inBand >= 3*hopsASec && c.most-c.least < 3 }

// characters is how many were heard at the speed that gave most.
func (c *channel) characters() int {
	n := 0
	for i := range c.framers {
		n = max(n, c.framers[i].good)
	}
	return n
}

// demodulator compares the power at two frequencies over the last samples.
type demodulator struct {
	on                       bool
	n                        int // of the next tap
	m, s                     int // steps of the waves
	mr, mi, sr, si           [mostTaps]float32
	x2                       [mostTaps]float32
	sumMR, sumMI, sumSR, sSI float32
	sumX2                    float32
}

// sample gives which tone there is, from −1 for space to 1 for mark, and which part
// of the power is of one of them.
func (d *demodulator) sample(l *line, v float32) (tone, pure float32) {
	i := d.n
	if d.n++; d.n == l.samples {
		d.n = 0
	}
	mr, mi := v*waveCos[d.m], v*waveSin[d.m]
	sr, si := v*waveCos[d.s], v*waveSin[d.s]
	if d.m += l.mark / stepHz; d.m >= waveSteps {
		d.m -= waveSteps
	}
	if d.s += l.space / stepHz; d.s >= waveSteps {
		d.s -= waveSteps
	}
	d.sumMR += mr - d.mr[i]
	d.sumMI += mi - d.mi[i]
	d.sumSR += sr - d.sr[i]
	d.sSI += si - d.si[i]
	d.sumX2 += v*v - d.x2[i]
	d.mr[i], d.mi[i], d.sr[i], d.si[i], d.x2[i] = mr, mi, sr, si, v*v
	mark := d.sumMR*d.sumMR + d.sumMI*d.sumMI
	space := d.sumSR*d.sumSR + d.sSI*d.sSI
	both := mark + space + 1
	full := d.sumX2*float32(l.samples)/2 + 1
	return (mark - space) / both, max(mark, space) / full
}
