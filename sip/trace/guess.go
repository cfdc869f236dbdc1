package trace

import (
	"math"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/sdp"
)

// guess measures a stream of which nobody said what it is. The first packets
// wait until enough is seen to tell the payload type that paces it and, where
// RFC 3551 has none, its clock.
type guess struct {
	stats   codec.Stats
	last    time.Time // of a packet
	first   []tick    // until it is settled
	settled bool
	pt      uint8 // the most frequent of the first
	codec   sdp.Codec
	known   int // packets with a payload type that RFC 3551 lets a stream have
	steady  int // with a number that follows, give or take a few, on the one before
	seq     uint16
}

// tick is what counts of a packet.
type tick struct {
	header12
	at time.Time
}

// enough is how many packets settle a guess.
const enough = 48

func (g *guess) packet(h header12, at time.Time) {
	if step := h.seq - g.seq; step >= 1 && step <= 8 {
		g.steady++
	}
	g.seq, g.last = h.seq, at
	if assigned(h.pt) {
		g.known++
	}
	if g.settled {
		g.measure(h, at)
		return
	}
	if g.first == nil {
		g.first = make([]tick, 0, 12)
	}
	if g.first = append(g.first, tick{h, at}); len(g.first) >= enough {
		g.settle()
	}
}

func (g *guess) measure(h header12, at time.Time) {
	clock := g.codec.Clock
	if h.pt != g.pt {
		c, _ := assignment(h.pt)
		clock = c.Clock
	}
	if h.pt == comfortNoise || h.pt == comfortNoiseOld {
		clock = 0
	}
	g.stats.Packet(h.seq, h.ts, at, clock)
}

// settle takes what was seen for all that can be known.
func (g *guess) settle() {
	if g.settled {
		return
	}
	g.settled = true
	var count [128]int
	for _, t := range g.first {
		if count[t.pt]++; count[t.pt] > count[g.pt] {
			g.pt = t.pt
		}
	}
	c, ok := assignment(g.pt)
	if !ok {
		c = sdp.Codec{PT: g.pt, Clock: g.clock()}
	}
	g.codec = c
	for _, t := range g.first {
		g.measure(t.header12, t.at)
	}
	g.first = nil
}

// clocks are the rates that RTP payload formats of audio and video have.
var clocks = [...]int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 90000}

// clock compares the timestamps of the stream with the capture's time: the rate
// next to it, Hz, if it is within 12 %, else 0. Telephone events, whose timestamps
// stand still, have none.
func (g *guess) clock() int {
	var units, seconds float64
	var before *tick
	for i := range g.first {
		t := &g.first[i]
		if t.pt != g.pt {
			continue
		}
		if before != nil && t.seq-before.seq == 1 {
			units += float64(int32(t.ts - before.ts))
			seconds += t.at.Sub(before.at).Seconds()
		}
		before = t
	}
	if seconds <= 0 || units <= 0 {
		return 0
	}
	best, off := 0, 0.12
	for _, c := range clocks {
		if d := math.Abs(units/seconds/float64(c) - 1); d < off {
			best, off = c, d
		}
	}
	return best
}

// surely says whether it is RTP: of ten packets and more most have to follow each
// other, of fewer all, with a payload type that may be.
func (g *guess) surely() bool {
	n := g.stats.Packets + len(g.first)
	switch {
	case n < 4:
		return false
	case n < 10:
		return g.steady == n-1 && g.known == n
	}
	// A capture may have been thinned out to telephone events.
	return 2*g.known > n && 2*g.steady > n && g.stats.Lost() < 4*n
}

// Payload types with a meaning of their own.
const (
	g726Old         = 2  // G.721, then G.726 at 32 kbit/s: RFC 3551 section 4.5.4
	comfortNoise    = 13 // RFC 3389
	comfortNoiseOld = 19 // before it
)

// assignment is what a payload type means that nobody described: RFC 3551, and
// what was in use before it.
func assignment(pt uint8) (sdp.Codec, bool) {
	switch pt {
	case g726Old:
		return sdp.Codec{PT: pt, Name: "G726-32", Clock: 8000, Channels: 1}, true
	case comfortNoiseOld:
		return sdp.Codec{PT: pt, Name: "CN", Clock: 8000, Channels: 1}, true
	}
	return sdp.Static(pt)
}

// assigned says whether a stream may have a payload type: one of RFC 3551 or a
// dynamic one. 64 to 95 are kept free for RTCP on the same port (RFC 5761).
func assigned(pt uint8) bool {
	_, ok := assignment(pt)
	return ok || pt >= 96 || pt >= 35 && pt < 64
}
