package relay

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
}

// Copy begins to copy the call's RTP. Only one pair of copies exists at a time:
// those of an earlier call of Copy get nothing more. size is that of each ring,
// bytes; 0 is the configured tap_bytes.
func (s *Session) Copy(size int) *Copies {
	if size <= 0 {
		size = s.relay.cfg.TapBytes
	}
	c := &Copies{Caller: newTap(size, s.start), Heard: newTap(size, s.start)}
	s.copies.Store(c)
	return c
}

// StopCopy ends the copying. What was copied can still be read.
func (s *Session) StopCopy() { s.copies.Store(nil) }

// emit sends an RTP packet to the caller. The caller of emit holds o.mu, so that
// the copies have one writer. The analysis is told when it is sent and not when it
// came: so does a capture tell of it.
func (o *outbound) emit(b []byte, now int64) {
	if o.tap != nil {
		o.tap.put(b, o.to.s.now())
	}
	if c := o.to.s.copies.Load(); c != nil {
		c.Heard.put(b, now)
	}
	o.to.send(b)
}
