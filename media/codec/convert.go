package codec

import (
	"strings"

	"github.com/zaf/g711"
)

// Converter turns payloads of one codec into those of another in which, too, a
// byte is 125 µs: G.711 of either law and G.722. So length, packet time and RTP
// clock stay, and a payload is converted in place. It is for one stream in one
// direction, and not safe for concurrent use.
type Converter struct {
	laws *[256]byte // between the laws; nil where G.722 is one of both
	from Law        // NoLaw: G.722
	to   Law
	dec  G722Decoder
	enc  G722Encoder
}

// NewConverter converts from one codec to another, by their encoding names in any
// case. It is nil for equal ones; ok is false if it cannot be done.
func NewConverter(from, to string) (c *Converter, ok bool) {
	from, to = strings.ToUpper(from), strings.ToUpper(to)
	laws := map[string]Law{"PCMU": MuLaw, "PCMA": ALaw, "G722": NoLaw}
	f, known := laws[from]
	t, too := laws[to]
	switch {
	case from == to:
		return nil, true
	case !known || !too:
		return nil, false
	}
	c = &Converter{from: f, to: t}
	switch {
	case f == MuLaw && t == ALaw:
		c.laws = &toALaw
	case f == ALaw && t == MuLaw:
		c.laws = &toMuLaw
	}
	return c, true
}

// Convert converts a payload in place.
func (c *Converter) Convert(payload []byte) {
	switch {
	case c.laws != nil:
		for i, b := range payload {
			payload[i] = c.laws[b]
		}
	case c.from == NoLaw:
		for i, b := range payload {
			payload[i] = c.to.byte(c.dec.Sample(b))
		}
	default:
		for i, b := range payload {
			payload[i] = c.enc.Byte(c.from.sample(b))
		}
	}
}

func (l Law) sample(b byte) int16 {
	if l == ALaw {
		return g711.DecodeAlawFrame(b)
	}
	return g711.DecodeUlawFrame(b)
}

func (l Law) byte(v int16) byte {
	if l == ALaw {
		return g711.EncodeAlawFrame(v)
	}
	return g711.EncodeUlawFrame(v)
}

// toALaw and toMuLaw are each codeword's nearest in the other law.
var toALaw, toMuLaw = func() (a, mu [256]byte) {
	for i := range 256 {
		a[i] = ALaw.byte(MuLaw.sample(byte(i)))
		mu[i] = MuLaw.byte(ALaw.sample(byte(i)))
	}
	return a, mu
}()
