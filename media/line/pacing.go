package line

import (
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

// pacing measures how near to its packet time a stream comes, in two coarse
// bins: within a quarter of a 20 ms frame or not.
type pacing struct {
	last   packet
	any    bool
	step   uint32        // timestamp units a packet, the first seen
	period time.Duration // the same as time
	n      int           // gaps between packets in a row
	near   int           // those within nearGrid of period
}

const (
	nearGrid     = 5 * time.Millisecond
	pacingNeeds  = 250 // gaps, 5 s at 20 ms
	onGridShare  = 0.98
	raggedShare  = 0.60
	longestFrame = 120 * time.Millisecond
)

func (p *pacing) add(k packet) {
	last, any := p.last, p.any
	p.last, p.any = k, true
	if !any || k.ssrc != last.ssrc || k.pt != last.pt || k.seq != last.seq+1 || k.pt == comfortNoise {
		return
	}
	step := k.ts - last.ts
	if p.period == 0 {
		p.step, p.period = step, period(step, k.pt)
	}
	if step != p.step || p.period == 0 || k.at.Before(last.at) {
		return // another packet time, or silence suppression
	}
	p.n++
	if off := k.at.Sub(last.at) - p.period; off.Abs() <= nearGrid {
		p.near++
	}
}

// period is the packet time of a timestamp step: static payload types run at
// 8 kHz (G.722 too, RFC 3551 section 4.5.2), Opus at 48 kHz (RFC 7587); 0 if it
// is none that is used.
func period(step uint32, pt uint8) time.Duration {
	rate := uint32(codec.Rate)
	if pt >= 96 && step >= 480 && step%480 == 0 {
		rate = 48000
	}
	d := time.Duration(step) * time.Second / time.Duration(rate)
	if d <= 0 || d > longestFrame {
		return 0
	}
	return d
}

func (p *pacing) evidence() (policy.Evidence, bool) {
	if p.n < pacingNeeds {
		return policy.Evidence{}, false
	}
	switch share := float64(p.near) / float64(p.n); {
	case share >= onGridShare:
		return policy.Evidence{Name: "rtp.pacing", LLR: llrOnGrid,
			Says: "audio packets come as evenly as from a timer or gateway"}, true
	case share <= raggedShare:
		return policy.Evidence{Name: "rtp.pacing", LLR: llrRagged,
			Says: "audio packets come unevenly, as from a wireless device"}, true
	}
	return policy.Evidence{}, false
}
