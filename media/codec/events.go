package codec

import (
	"encoding/binary"
	"time"
)

const (
	// eventSilence ends an event whose end packets were lost: senders update
	// every 20 to 50 ms (RFC 4733 section 2.5.1.2).
	eventSilence = 200 * time.Millisecond
	// eventEcho is how long after an event its copies may still come.
	eventEcho = time.Second
	// maxEventBlocks bounds the events read from one packet (RFC 4733 section
	// 2.5.1.5 lets a sender put several in a row).
	maxEventBlocks = 8
)

// keys are the telephone events 0 to 15 (RFC 4733 section 3.2, table 3).
const keys = "0123456789*#ABCD"

// events turns telephone-event packets (RFC 4733) into keys. A key is told when
// it ends: by its end packet, by the next event, or by silence.
type events struct {
	open  bool   // an event is running
	seen  bool   // an event was seen; the fields below describe the last
	code  byte   //
	start uint32 // its RTP timestamp; of its last segment, when it is long
	past  uint32 // duration of earlier segments, in clock units
	dur   uint32 // of this segment
	clock int
	vol   int
	at    time.Time // first packet
	last  time.Time // last packet
}

// packet takes the payload of one telephone-event packet.
func (e *events) packet(p *RTP, at time.Time, clock int, digit func(Digit)) {
	e.silence(at, digit)
	ts := p.Timestamp
	b := p.Payload
	for i := 0; len(b) >= 4 && i < maxEventBlocks; i++ {
		dur := binary.BigEndian.Uint16(b[2:])
		e.block(b[0], b[1]&0x80 != 0, int(b[1]&0x3F), uint32(dur), ts, p.Marker && i == 0, at, clock, digit)
		ts += uint32(dur) // the next one follows without a gap
		b = b[4:]
	}
}

func (e *events) block(code byte, end bool, vol int, dur, ts uint32, marker bool, at time.Time, clock int, digit func(Digit)) {
	if int(code) >= len(keys) {
		return // flash, fax and line tones: no keys
	}
	switch {
	case e.seen && code == e.code && ts == e.start:
		if !e.open {
			return // a copy of the end packet
		}
		e.dur = max(e.dur, dur) // packets may come out of order
	case e.seen && int32(ts-e.start) < 0 && at.Sub(e.last) < eventEcho:
		return // a straggler of an earlier event
	case e.open && code == e.code && e.dur == 0xFFFF && ts-e.start == 0xFFFF && !marker:
		// A long event goes on in a new segment (RFC 4733 section 2.5.1.3).
		e.past += e.dur
		e.start, e.dur = ts, dur
	case e.open && code == e.code && dur > e.dur && !marker:
		// Some senders let the timestamp run with the duration: still the same key.
		e.start, e.dur = ts, dur
	case e.seen && !e.open && end && !marker && code == e.code && dur == e.dur && at.Sub(e.last) < eventSilence/2:
		e.last = at
		return // their copies of the end packet
	default:
		e.finish(digit)
		*e = events{open: true, seen: true, code: code, start: ts, dur: dur, clock: clock, at: at}
	}
	e.last, e.vol = at, vol
	if end {
		e.finish(digit)
	}
}

// silence ends a running event of which nothing was heard for long.
func (e *events) silence(at time.Time, digit func(Digit)) {
	if e.open && at.Sub(e.last) > eventSilence {
		e.finish(digit)
	}
}

// finish tells the running event, if there is one.
func (e *events) finish(digit func(Digit)) {
	if !e.open {
		return
	}
	e.open = false
	if digit == nil {
		return
	}
	units := time.Duration(e.past + e.dur)
	digit(Digit{
		Key:      keys[e.code],
		At:       e.at,
		Duration: units * time.Second / time.Duration(e.clock),
		Volume:   e.vol,
	})
}
