package line

import (
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

// leastUnheard is how many packets must have gone by unheard before that is
// told: a second or so.
const leastUnheard = 50

// Unheard tells that most of a caller's packets are relayed and not heard, and
// why. It says nothing of who calls.
func Unheard(d *codec.Decoder, packets int) (policy.Evidence, bool) {
	if d.Skipped < leastUnheard || 2*d.Skipped < packets {
		return policy.Evidence{}, false
	}
	name, err := d.Unheard()
	says := "the caller speaks " + printable(name) + ", which is relayed and not heard: "
	if err != nil {
		says += err.Error()
	} else {
		says += "it is not decoded here"
	}
	return policy.Evidence{Name: "line.unheard", Says: says}, true
}

// printable is a codec's name, as far as a peer may choose what is written down.
func printable(name string) string {
	if name == "" {
		return "a codec that nobody named"
	}
	s := []byte(name[:min(len(name), 32)])
	for i, c := range s {
		if c < 0x20 || c > 0x7E {
			s[i] = '?'
		}
	}
	return string(s)
}
