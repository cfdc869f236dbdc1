package sound

// framer finds characters in the tones of a line: a start bit, data, stop.
type framer struct {
	heard   bool    // the line was at mark, or silent: a start bit may come
	mark    bool    // the tone of the last sample
	since   int     // samples since it changed
	bit     int     // that is waited for; −1 between characters
	wait    float64 // samples until its middle
	word    uint16
	ones    int
	good    int           // characters
	row     [parities]int // in a row without a fault
	bad     int           // that were none
	skip    int           // starts that are passed over
	longest int           // row
	last    byte          // character
	varied  bool          // there were different ones
}

// Seven bits come with even parity, or as eight of which the highest is 0.
const (
	even = iota
	zero
	parities
)

// leastPure is the part of the power that one of the tones must have.
const leastPure = 0.5

func (f *framer) begin() { f.bit, f.heard, f.skip = -1, true, 0 }

// sample takes what the demodulator says after each sample.
func (f *framer) sample(l *line, c *code, tone, pure float32) {
	width := rate / c.baud
	mark := tone > 0
	turned := mark != f.mark
	f.mark = mark
	if f.since++; turned {
		f.since = 0
	}
	if f.bit < 0 {
		switch {
		case tone > l.clear:
			f.heard = true
		case tone < -l.clear && f.heard && pure > leastPure:
			f.heard = false
			if f.skip > 0 {
				f.skip--
				return
			}
			f.bit, f.word, f.ones = 0, 0, 0
			f.wait = width/2 - float64(min(f.since, l.samples/2))
		}
		return
	}
	if f.wait--; turned && c.follows {
		f.wait = width / 2 // each change of tone is a begin of a bit
	}
	if f.wait > 0.5 {
		return
	}
	f.wait += width
	clear := pure > leastPure && (tone > l.clear || tone < -l.clear)
	bits := c.data
	if c.parity {
		bits++
	}
	switch {
	case !clear || f.bit == 0 && mark || f.bit == bits+1 && !mark:
		f.fault()
	case f.bit == bits+1:
		f.character(c)
	default:
		if f.bit > 0 && mark {
			f.word |= 1 << (f.bit - 1)
			f.ones++
		}
		f.bit++
	}
}

func (f *framer) fault() {
	if f.bit > 0 {
		f.bad++
		f.row = [parities]int{}
	}
	f.begin()
	f.heard = false
	// What was taken for a start may be the same bit of each character: another is
	// tried then, and another.
	f.skip = f.bad % 3
}

func (f *framer) character(c *code) {
	ch := byte(f.word & (1<<c.data - 1))
	fits := [parities]bool{true, true}
	if c.parity {
		fits = [parities]bool{even: f.ones%2 == 0, zero: f.word>>c.data == 0}
	}
	if c.parity && !written(ch) || !fits[even] && !fits[zero] {
		f.fault()
		return
	}
	if f.good > 0 && ch != f.last {
		f.varied = true
	}
	f.last = ch
	f.good++
	for i := range f.row {
		if f.row[i]++; !fits[i] {
			f.row[i] = 0
		}
		f.longest = max(f.longest, f.row[i])
	}
	f.begin()
}

// written says whether somebody writes a character of seven bits. Modems call with
// NUL (ITU-T V.8), which nobody does.
func written(ch byte) bool {
	return ch >= ' ' && ch < 0x7f || ch >= 0x07 && ch <= '\r'
}

// writes says whether somebody types on the channel.
func (c *channel) writes(l *line) bool {
	for i := range l.codes {
		f := &c.framers[i]
		least := 3
		if l.codes[i].parity {
			least = 6
		}
		// Who has only one key pressed again and again, the space bar, calls for an
		// answer so: emergency lines ask for it.
		if f.longest >= least && f.good > f.bad && (f.varied || f.good >= 2*least) {
			return true
		}
	}
	return false
}

// says names what writes.
func (c *channel) says(l *line) string {
	best := 0
	for i := range l.codes {
		if c.framers[i].longest > c.framers[best].longest {
			best = i
		}
	}
	return l.codes[best].says
}
