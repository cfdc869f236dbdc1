package relay

import "slices"

// Copies are further copies of a call's RTP, for who records it: each packet in
// the caller's codec and the order in which it passed. They are bounded rings
// like the analysis' own and never hold up a packet; what does not fit is dropped
// and counted.
type Copies struct {
	// Caller is what the caller sends.
	Caller *Tap
	// Heard is what the caller is sent, the far side's and Portero's own voice.
	// Sequence numbers and timestamps go on in one piece over a Switch.
	Heard *Tap

	session *Session
}

// maxCopies bounds the pairs of copies of a session: a recording and a capture.
const maxCopies = 4

// Copy begins to copy the call's RTP, until Stop. size is that of each ring, bytes; 0
// is the configured tap_bytes. Beyond maxCopies a pair gets nothing.
func (s *Session) Copy(size int) *Copies {
	if size <= 0 {
		size = s.relay.cfg.TapBytes
	}
	c := &Copies{Caller: newTap(size, s.start), Heard: newTap(size, s.start), session: s}
	s.copied(func(all []*Copies) []*Copies {
		if len(all) < maxCopies {
			all = append(all, c)
		}
		return all
	})
	return c
}

// Stop ends the copying. What was copied can still be read.
func (c *Copies) Stop() {
	c.session.copied(func(all []*Copies) []*Copies {
		return slices.DeleteFunc(all, func(o *Copies) bool { return o == c })
	})
}

// copied puts another list of copies in place: the packet loops read it without a
// lock, so a list is never changed.
func (s *Session) copied(change func([]*Copies) []*Copies) {
	for {
		was := s.copies.Load()
		var next []*Copies
		if was != nil {
			next = slices.Clone(*was)
		}
		var now *[]*Copies // nil, where there are none, costs the loops least
		if next = change(next); len(next) > 0 {
			now = &next
		}
		if s.copies.CompareAndSwap(was, now) {
			return
		}
	}
}

// emit sends an RTP packet to the caller. The caller of emit holds o.mu, so that
// the copies have one writer. The analysis is told when it is sent and not when it
// came: so does a capture tell of it.
func (o *outbound) emit(b []byte, now int64) {
	if o.tap != nil {
		o.tap.put(b, o.to.s.now())
	}
	if all := o.to.s.copies.Load(); all != nil {
		for _, c := range *all {
			c.Heard.put(b, now)
		}
	}
	o.to.send(b)
}
