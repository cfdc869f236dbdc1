package trace

import (
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/sdp"
)

// Side is one of the two that talk in a call.
type Side string

// The sides.
const (
	Caller Side = "caller"
	Far    Side = "far" // whom the caller hears
)

// Listener hears both sides of one call, decoded. Times are of the capture; those of
// one side rise, the two sides come as they were captured. What is encrypted, or in a
// codec that is not decoded, is not heard.
type Listener interface {
	// Frame is valid until it returns.
	Frame(Side, *codec.Frame)
	Key(Side, codec.Digit)
	// Ended says that nothing more comes. The call itself may be told much later.
	Ended()
}

// side finds who speaks in a stream: the descriptions of the first hop say where
// each wants to be spoken to, which even an address translator changes on one end
// only. Without such a hop (the INVITE was not captured) the caller is the one that
// was heard first.
func (c *call) side(key streamKey) (side Side, secure bool) {
	rank := 0
	for _, e := range c.media {
		r, s := 0, Caller
		switch {
		case e.addr == key.dst && e.callee:
			r = 4
		case e.addr == key.dst && (e.caller || e.other):
			r, s = 3, Far
		case e.addr == key.src && e.callee:
			r, s = 2, Far
		case e.addr == key.src && e.caller:
			r = 1
		}
		if r > rank {
			rank, side = r, s
		}
		if e.addr == key.src || e.addr == key.dst {
			secure = secure || e.secure
		}
	}
	if rank == 0 && c.inviteAt.IsZero() && len(c.streams) > 0 {
		side = Far
		if c.streams[0].key.src == key.src {
			side = Caller
		}
	}
	return side, secure
}

// hearing is a call that somebody listens to.
type hearing struct {
	to    Listener // nil: nobody does, after all
	sides [2]channel
}

// channel is one side's audio.
type channel struct {
	decoder *codec.Decoder
	stream  *stream // that is heard now
	last    time.Time
	told    map[uint8]sdp.Codec
	frame   func(*codec.Frame)
	key     func(codec.Digit)
}

// usurp is how long a side's stream is silent before another one of the side is
// heard in its place: early media of a fork that was not answered, music on hold.
const usurp = 200 * time.Millisecond

// listen decodes a packet for who listens to its call.
func (t *reader) listen(st *stream, b []byte, at time.Time) {
	if t.options.Listen == nil || st.side == "" || st.secure {
		return
	}
	c := st.call
	if c.hearing == nil {
		c.hearing = &hearing{to: t.options.Listen(c.id)}
	}
	h := c.hearing
	if h.to == nil {
		return
	}
	ch := &h.sides[0]
	if st.side == Far {
		ch = &h.sides[1]
	}
	switch {
	case ch.decoder == nil:
		ch.decoder, ch.told = codec.NewDecoder(), map[uint8]sdp.Codec{}
		side := st.side
		ch.frame = func(f *codec.Frame) { h.to.Frame(side, f) }
		ch.key = func(d codec.Digit) { h.to.Key(side, d) }
	case ch.stream != st && at.Sub(ch.last) < usurp:
		return
	}
	ch.stream, ch.last = st, at
	if k := st.codec; k.Name != "" && ch.told[k.PT] != k {
		ch.told[k.PT] = k
		ch.decoder.Payload(k.PT, k.Name, k.Clock)
	}
	_ = ch.decoder.Packet(b, at, ch.frame, ch.key) // what it refuses was no audio
}

// end tells who listens that the call is over.
func (h *hearing) end() {
	if h == nil || h.to == nil {
		return
	}
	for i := range h.sides {
		if ch := &h.sides[i]; ch.decoder != nil {
			ch.decoder.Flush(ch.frame, ch.key)
		}
	}
	h.to.Ended()
}
