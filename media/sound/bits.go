package sound

// bits reads a stream of bits of 300 baud that has no start and stop: the clock is
// that of the changes.
type bits struct {
	mark bool
	wait float32 // samples until the middle of the next bit
}

const bitSamples = rate / 300.0

// sample says whether there is a bit.
func (b *bits) sample(tone float32) bool {
	if mark := tone > 0; mark != b.mark {
		b.mark = mark
		b.wait = bitSamples / 2
		return false
	}
	if b.wait--; b.wait > 0 {
		return false
	}
	b.wait += bitSamples
	return true
}

// flags counts the flags of HDLC, 01111110, which a fax sends for a second before
// its first frame (ITU-T T.30 section 5.3.1).
type flags struct {
	bits  bits
	word  byte
	since int // bits since the last
	row   int
	most  int
}

const leastFlags = 12

func (f *flags) sample(tone float32) {
	if !f.bits.sample(tone) {
		return
	}
	f.word <<= 1
	if f.bits.mark {
		f.word |= 1
	}
	f.since++
	switch {
	case f.word != 0x7e:
		if f.since > 8 {
			f.row = 0
		}
		return
	case f.since >= 7 && f.since <= 8:
		f.row++
	default:
		f.row = 1
	}
	f.since = 0
	f.most = max(f.most, f.row)
}

func (f *flags) seen() bool { return f.most >= leastFlags }

// caller reads what a modem calls for (CI, ITU-T V.8 section 7.1): ten ones, a
// character 0 and the call function, each with a start and a stop bit. It is sent
// again and again; twice the same is believed.
type caller struct {
	bits bits
	word uint32 // the last 30 bits
	seen byte
	n    int
}

// The call functions that matter (ITU-T V.8 table 3): b5 to b7 of the octet.
const (
	callText = 1 + iota
	callFax
	callData
)

// sample says whether a function was called for, twice the same.
func (c *caller) sample(tone, pure float32) bool {
	if !c.bits.sample(tone) {
		return false
	}
	c.word <<= 1
	if c.bits.mark {
		c.word |= 1
	}
	const (
		ones   = 0x3ff << 20
		sync   = 0x001 << 10 // start 0, eight zeros, stop 1
		header = ones | sync
	)
	if c.word&(ones|0x3ff<<10) != header || c.word&(1<<9) != 0 || c.word&1 != 1 || pure < leastPure {
		return false
	}
	var octet byte // its lowest bit comes first
	for i := range 8 {
		if c.word&(1<<(8-i)) != 0 {
			octet |= 1 << i
		}
	}
	if octet&0x1f != 0x01 { // the category of call functions
		return false
	}
	if octet != c.seen {
		c.seen, c.n = octet, 0
	}
	c.n++
	return c.n >= 2
}

func (c *caller) function() byte {
	switch c.seen >> 5 {
	case 2:
		return callText
	case 4, 5:
		return callFax
	}
	return callData
}
