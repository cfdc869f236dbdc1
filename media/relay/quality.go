package relay

import (
	"encoding/binary"
	"math"
	"strings"
	"sync/atomic"
)

// trip measures the round trip between the relay and a peer. The relay sends the
// peer the other side's sender reports, or its own; the peer's reports name the
// last one it got and how long ago that was (RFC 3550 section 6.4.1, LSR and
// DLSR). Times are in units of 1/65536 s, as there, and wrap in 18 hours.
type trip struct {
	last  [4]atomic.Uint64 // middle of the NTP time of a sender report sent, and when
	next  atomic.Uint32
	sum   atomic.Uint64
	count atomic.Uint64
}

// units is a time, ns, in 1/65536 s.
func units(ns int64) uint32 { return uint32(ns / 1000 * 65536 / 1e6) }

// sent takes RTCP on its way to the peer.
func (t *trip) sent(b []byte, now int64) {
	parts(b, func(part []byte) {
		if part[1] == rtcpSR && len(part) >= 28 {
			t.last[t.next.Add(1)%4].Store(uint64(binary.BigEndian.Uint32(part[10:]))<<32 | uint64(units(now)))
		}
	})
}

// received takes RTCP of the peer.
func (t *trip) received(b []byte, now int64) {
	parts(b, func(part []byte) {
		block := 8
		switch part[1] {
		case rtcpSR:
			block = 28
		case rtcpRR:
		default:
			return
		}
		for range part[0] & 0x1F {
			if len(part) < block+24 {
				return
			}
			t.answered(binary.BigEndian.Uint32(part[block+16:]), binary.BigEndian.Uint32(part[block+20:]), units(now))
			block += 24
		}
	})
}

// answered: the peer got the sender report lsr, and reports dlsr later.
func (t *trip) answered(lsr, dlsr, now uint32) {
	if lsr == 0 {
		return
	}
	for i := range t.last {
		l := t.last[i].Load()
		if uint32(l>>32) != lsr {
			continue
		}
		// A peer's clock may be off by a little: less than nothing is nothing.
		if d := int32(now - uint32(l) - dlsr); d < 10<<16 {
			t.sum.Add(uint64(max(d, 0)))
			t.count.Add(1)
		}
		return
	}
}

// mean is in ms, 0 for none.
func (t *trip) mean() float64 {
	n := t.count.Load()
	if n == 0 {
		return 0
	}
	return float64(t.sum.Load()) / float64(n) / 65536 * 1000
}

// impairment is what a codec costs, and how it bears loss at random: Ie and Bpl
// of the E-model with packet loss concealment (G.113 appendix I).
type impairment struct{ ie, bpl float64 }

var impairments = map[string]impairment{
	"PCMU": {0, 25.1},
	"PCMA": {0, 25.1},
	"G729": {11, 19},
	"G723": {15, 16.1},
}

// MOS estimates how good what came from the peer sounds, 1 to 4.5: the E-model
// (G.107) with everything at its default but this side's own delay, loss and
// codec. It knows neither echo nor noise, nor what the other side adds. 0 says
// that there is no figure: nothing came, or G.113 has none for the codec, whose
// name is that of its rtpmap.
func (s SideStats) MOS(codec string) float64 {
	imp, ok := impairments[strings.ToUpper(codec)]
	if !ok || s.Packets == 0 {
		return 0
	}
	// One way: half of the round trip, a packet, and a jitter buffer.
	d := s.RoundTrip/2 + 20 + math.Max(40, 2*s.Jitter)
	id := 0.024 * d // G.107's Idd, simplified (Cole and Rosenbluth 2001)
	if d > 177.3 {
		id += 0.11 * (d - 177.3)
	}
	loss := 100 * float64(s.Lost) / float64(s.Packets+s.Lost)
	r := 93.2 - id - (imp.ie + (95-imp.ie)*loss/(loss+imp.bpl))
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return math.Max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6) // G.107 Annex B
}
