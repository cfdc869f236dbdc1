package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxSpoken is the longest payload a Speaker sends: 160 ms of G.711.
const maxSpoken = 1280

// ErrSilenced says that a Speaker has no voice any more: it was closed, another
// one speaks, or the session is over.
var ErrSilenced = errors.New("speaker has lost its voice")

// Speaker is Portero's own voice towards the caller. While there is one, the far
// side's packets are received but not passed on. It is used by one goroutine.
type Speaker struct {
	s    *Session
	pt   uint8
	buf  []byte
	base uint32 // RTP timestamp of position 0

	began    bool
	position uint32 // where the next packet continues without a gap
}

// Play takes the stream to the caller from the far side, or from the Speaker that
// has it, until it is closed. pt is the payload type of what will be sent, 0 to 127.
func (s *Session) Play(pt uint8) (*Speaker, error) {
	if pt > 127 {
		return nil, fmt.Errorf("payload type %d: 0 to 127 are allowed", pt)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("playing to the caller: %w", ErrClosed)
	}
	sp := &Speaker{s: s, pt: pt, buf: make([]byte, 12, 12+maxSpoken)}
	s.out.mu.Lock()
	s.out.speaker = sp
	s.out.mu.Unlock()
	return sp, nil
}

// Send sends one packet at once; pacing is the caller's of Send. position is the
// payload's first sample, counted from the speaker's beginning in timestamp
// units: a gap in it is a pause in the stream. samples is the payload's length in
// the same units. The error is ErrSilenced, or says that payload is too long.
func (sp *Speaker) Send(payload []byte, position, samples uint32) error {
	if len(payload) > maxSpoken {
		return fmt.Errorf("payload of %d bytes: at most %d are sent in a packet", len(payload), maxSpoken)
	}
	o := &sp.s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.speaker != sp {
		return ErrSilenced
	}
	now := sp.s.now()
	marker := byte(0)
	if !sp.began {
		if !o.begun {
			o.originate(now)
		}
		sp.base = o.nextTS(now) - position
		sp.began, sp.position = true, position
		marker = 0x80
		o.splices.Add(1)
	}
	if position != sp.position {
		marker = 0x80
	}
	sp.position = position + samples
	o.from = sp
	b := append(sp.buf[:12], payload...)
	b[0], b[1] = 0x80, marker|sp.pt
	seq, ts := o.seq+1, sp.base+position
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], o.ssrc)
	o.note(o.ssrc, seq, ts, len(payload), now)
	o.emit(b, now)
	if o.reports.ready(now) {
		o.to.sendRTCP(senderReport(o.ssrc, o.nextTS(now)-o.step, o.packets, o.octets, sp.s.at(now), sp.s.relay.cname, o.reports.block(&o.to.reception, now)...))
	}
	return nil
}

// Close gives the stream back to the far side. It may be called again.
func (sp *Speaker) Close() error {
	o := &sp.s.out
	o.mu.Lock()
	if o.speaker == sp {
		o.speaker = nil
	}
	o.mu.Unlock()
	return nil
}
