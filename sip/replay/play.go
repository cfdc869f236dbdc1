package replay

import (
	"slices"
	"time"
)

// playEarly begins with the packets that the recorded caller sent before the
// answer, if it did.
func (c *call) playEarly() {
	if c.playing || len(c.rec.packets) == 0 || c.rec.unencodable {
		return
	}
	from, ok := c.rec.earlyMedia()
	if !ok || c.rec.packets[0].at >= c.rec.answerAt() {
		return
	}
	c.roll(0, min(from, c.rec.packets[0].at))
}

// play begins with the packets after the answer.
func (c *call) play() {
	if c.rec.unencodable {
		return
	}
	at := c.rec.answerAt()
	first := 0
	if _, ok := c.rec.earlyMedia(); ok {
		first = slices.IndexFunc(c.rec.packets, func(p packet) bool { return p.at >= at })
	}
	if first < 0 || len(c.rec.packets) == 0 {
		return
	}
	// What was captured just ahead of the answer goes out right after it.
	c.roll(first, min(at, c.rec.packets[first].at))
}

// roll sends the packets from one on, counted from a recorded time that is now.
func (c *call) roll(first int, at time.Duration) {
	running := c.playing
	c.playing, c.next, c.playFrom, c.playAt = true, first, time.Now(), at
	if !running {
		c.tick()
	}
}

// due is when a packet goes out.
func (c *call) due(p packet) time.Time {
	d := p.at - c.playAt
	if c.run.options.SpeedRTP {
		d = c.run.scaled(d)
	}
	return c.playFrom.Add(d)
}

func (c *call) tick() {
	now := time.Now()
	for c.playing && c.next < len(c.rec.packets) && !c.due(c.rec.packets[c.next]).After(now) {
		p := c.rec.packets[c.next]
		c.next++
		if c.media.send(p) {
			c.flow.Sent++
		}
	}
	if !c.playing || c.next == len(c.rec.packets) {
		c.playing = false
		return
	}
	c.timers.at(c.due(c.rec.packets[c.next]), c.tick)
}
