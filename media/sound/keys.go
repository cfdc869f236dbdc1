package sound

// keys knows the text telephones that write with the tones of keys (ITU-T V.18
// annex B): most letters are one to three of # and * and a figure after them.
// Nobody dials so: of figures and a # at the end, or a * at the begin, none has many.
type keys struct {
	prefix  int // of # and * in a row
	codes   int // characters
	shifted int // of these, with # or * before the figure
	hashes  int // that began with #
	stars   int // and with *
	first   byte
}

const (
	leastCodes   = 6
	leastShifted = 4
)

func (k *keys) press(key byte) {
	switch {
	case key == '#' || key == '*':
		if k.prefix == 0 {
			k.first = key
		}
		k.prefix++
	case key >= '0' && key <= '9':
		if k.prefix > 3 {
			k.prefix = 0
			return
		}
		k.codes++
		if k.prefix > 0 {
			k.shifted++
			if k.first == '#' {
				k.hashes++
			} else {
				k.stars++
			}
		}
		k.prefix = 0
	}
}

func (k *keys) writes() bool {
	return k.codes >= leastCodes && k.shifted >= leastShifted && 3*k.shifted >= k.codes && k.hashes > 0 && k.stars > 0
}
