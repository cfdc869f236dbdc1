package judge

import "time"

// queue keeps the packets since the last tick, so that a tick hears exactly
// those that arrived up to its moment, and so that what is told late (an answer
// that took its way through another goroutine) still finds its place among them.
type queue struct {
	bytes   []byte // of all packets, one after the other
	packets []queued
	dropped int

	second int64  // the newest second, counted from the INVITE
	counts [2]int // packets of that second and of the one before
}

type queued struct {
	at         time.Time
	begin, end int
}

// maxSecond bounds the packets of one second, counted as the ticks are, so that
// what is dropped of a flood does not hang on when it was handed over: a stream
// of 10 ms packets has 100, and beyond twice that is no speech.
const maxSecond = 200

// maxPacket bounds the bytes kept of a packet: an Ethernet frame.
const maxPacket = 1500

// add keeps a packet that arrived so long after the INVITE.
func (q *queue) add(b []byte, at time.Time, after time.Duration) {
	switch second := int64(after / tickEvery); {
	case second == q.second+1:
		q.second, q.counts = second, [2]int{0, q.counts[0]}
	case second > q.second:
		q.second, q.counts = second, [2]int{}
	}
	n := &q.counts[0]
	if int64(after/tickEvery) < q.second {
		n = &q.counts[1]
	}
	if *n == maxSecond || len(b) > maxPacket {
		q.dropped++
		return
	}
	*n++
	begin := len(q.bytes)
	q.bytes = append(q.bytes, b...)
	q.packets = append(q.packets, queued{at: at, begin: begin, end: len(q.bytes)})
}

// drain hands on the packets that arrived up to a moment, in the order they
// were added, and keeps the others.
func (q *queue) drain(until time.Time, hear func(b []byte, at time.Time)) {
	n, size := 0, 0
	for _, p := range q.packets {
		b := q.bytes[p.begin:p.end]
		if !p.at.After(until) {
			hear(b, p.at)
			continue
		}
		// Moving to the front never overtakes: what was before is gone or moved.
		copy(q.bytes[size:], b)
		q.packets[n] = queued{at: p.at, begin: size, end: size + len(b)}
		n, size = n+1, size+len(b)
	}
	q.packets, q.bytes = q.packets[:n], q.bytes[:size]
}
