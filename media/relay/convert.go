package relay

import "github.com/portero/portero/media/codec"

// Change is what becomes of the packets of one payload type between two sides
// that agreed on different things.
type Change struct {
	From, To uint8            // payload types
	Audio    *codec.Converter // nil: the payload stays as it is
}

// Conversion is how packets of one direction change. It is for one stream: a
// Converter in it remembers what came before.
type Conversion struct {
	types [128]Change
}

// NewConversion makes one of all that changes; nil, by which packets pass
// untouched, when nothing does. Payload types without a change, or above 127,
// pass as they are.
func NewConversion(changes ...Change) *Conversion {
	var c *Conversion
	for _, x := range changes {
		if x.From > 127 || x.To > 127 || x.From == x.To && x.Audio == nil {
			continue
		}
		if c == nil {
			c = &Conversion{}
			for pt := range c.types {
				c.types[pt].To = uint8(pt)
			}
		}
		c.types[x.From] = x
	}
	return c
}

// apply changes a packet in place.
func (c *Conversion) apply(b []byte, p *codec.RTP) {
	if c == nil {
		return
	}
	x := &c.types[p.PayloadType]
	if x.Audio != nil {
		x.Audio.Convert(p.Payload)
	}
	b[1] = b[1]&0x80 | x.To
	p.PayloadType = x.To
}

// Convert has packets changed between the caller and this far side from now on;
// nil lets a direction pass untouched. Neither is used for another far side. What
// the taps and copies get is what the caller sent and what the caller is sent.
func (f *Far) Convert(fromCaller, toCaller *Conversion) {
	f.fromCaller.Store(fromCaller)
	f.toCaller.Store(toCaller)
}
