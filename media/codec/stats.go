package codec

import "time"

// Limits of RFC 3550 appendix A.1.
const (
	maxDropout  = 3000 // a jump of this many numbers ahead is a new start, not a loss
	maxMisorder = 100  // as many behind is a packet out of order, more is a new start
)

// Stats measures one RTP stream (one source, destination and SSRC), the zero
// value ready. It is fed every packet in order of arrival.
type Stats struct {
	Packets    int // all that arrived, late ones and duplicates too
	Late       int // came after one with a higher sequence number
	Duplicates int // same number twice, as far as the last 64 numbers tell
	Restarts   int // jumps of the sequence that no loss explains

	FirstSeq       uint16
	FirstTimestamp uint32
	FirstAt        time.Time
	LastAt         time.Time

	base, top uint32 // first and highest extended sequence number of the run
	expected  int    // packets that earlier runs should have had
	seen      uint64 // bit i: number top-i arrived
	bad       uint32 // the number that would prove a restart; 1<<16 when there is none
	wild      int    // packets far away that proved nothing

	timed      bool // transit holds a packet's
	clock      int
	lastTS     uint32
	lastTimed  time.Time
	jitter     float64 // RFC 3550 section 6.4.1, s
	jitterSum  float64
	jitterSeen int
}

// Arrival is what a packet's sequence number says of it.
type Arrival byte

// The arrivals.
const (
	Next      Arrival = iota // a new highest number, or the first
	Late                     // a number below the highest, not seen before
	Duplicate                // a number seen before
	Restarted                // the sequence starts anew with this packet
	Wild                     // far away from the sequence; if the next one follows it, that is a restart
)

// Packet takes one packet: its sequence number and timestamp, its arrival, and
// the clock of its payload type, Hz. A clock of 0 keeps the packet out of the
// jitter: telephone-event packets repeat the timestamp of the event's start
// (RFC 4733 section 2.2.1), comfort noise comes when it likes.
func (s *Stats) Packet(seq uint16, ts uint32, at time.Time, clock int) Arrival {
	s.Packets++
	a := s.sequence(seq)
	if s.Packets == 1 {
		s.FirstSeq, s.FirstTimestamp, s.FirstAt = seq, ts, at
	}
	s.LastAt = at
	if a == Restarted {
		s.timed = false
	}
	if clock > 0 && (a == Next || a == Late || a == Restarted) {
		s.transit(ts, at, clock)
	}
	return a
}

// sequence is RFC 3550 appendix A.1, with a window of 64 to tell duplicates.
func (s *Stats) sequence(seq uint16) Arrival {
	const none = 1 << 16
	if s.Packets == 1 {
		s.start(seq)
		s.bad = none
		return Next
	}
	switch ahead := seq - uint16(s.top); {
	case ahead == 0:
		s.Duplicates++
		return Duplicate
	case ahead < maxDropout:
		s.top += uint32(ahead)
		s.seen = s.seen<<ahead | 1
		s.bad = none
		return Next
	case -ahead <= maxMisorder:
		behind := -ahead
		if behind < 64 && s.seen>>behind&1 == 1 {
			s.Duplicates++
			return Duplicate
		}
		s.seen |= 1 << behind // shifted out for 64 and more
		if s.top-s.base < uint32(behind) {
			s.base = s.top - uint32(behind) // before the first that came
		}
		s.Late++
		return Late
	case s.bad == uint32(seq):
		s.expected += int(s.top-s.base) + 1
		s.start(seq)
		s.base, s.seen = s.top-1, 3 // with the one before, which was taken for wild
		s.wild--
		s.Restarts++
		s.bad = none
		return Restarted
	}
	s.bad = uint32(seq + 1)
	s.wild++
	return Wild
}

// start begins a run. The extended number starts one cycle up, so that a packet
// from before the first does not fall below 0.
func (s *Stats) start(seq uint16) {
	s.top = 1<<16 + uint32(seq)
	s.base, s.seen = s.top, 1
}

// transit is RFC 3550 appendix A.8 in seconds, by the difference of two packets
// so that no offset of the clocks matters.
func (s *Stats) transit(ts uint32, at time.Time, clock int) {
	if s.timed && s.clock == clock {
		d := float64(at.Sub(s.lastTimed))*1e-9 - float64(int32(ts-s.lastTS))/float64(clock)
		if d < 0 {
			d = -d
		}
		s.jitter += (d - s.jitter) / 16
		s.jitterSum += s.jitter
		s.jitterSeen++
	}
	s.timed, s.clock, s.lastTS, s.lastTimed = true, clock, ts, at
}

// Lost is how many packets never came, by the extended sequence number (RFC
// 3550 appendix A.3), duplicates not counted against them; never below 0.
func (s *Stats) Lost() int {
	if s.Packets == 0 {
		return 0
	}
	return max(0, s.expected+int(s.top-s.base)+1-(s.Packets-s.Duplicates-s.wild))
}

// Highest is the extended highest sequence number received, cycles in the upper half
// (RFC 3550 section 6.4.1).
func (s *Stats) Highest() uint32 {
	if s.Packets == 0 {
		return 0
	}
	return s.top - 1<<16
}

// Jitter is the mean of RFC 3550's running estimate of the interarrival jitter, ms.
func (s *Stats) Jitter() float64 {
	if s.jitterSeen == 0 {
		return 0
	}
	return s.jitterSum / float64(s.jitterSeen) * 1000
}

// JitterNow is the running estimate itself, ms (RFC 3550 section 6.4.1).
func (s *Stats) JitterNow() float64 { return s.jitter * 1000 }

// add puts the figures of a later stream of the same caller to s: sums, the
// mean weighted, the first marks those of the first.
func (s *Stats) add(t *Stats) {
	if s.Packets == 0 {
		*s = *t
		return
	}
	s.expected += int(t.top-t.base) + 1 + t.expected
	s.Packets += t.Packets
	s.Late += t.Late
	s.Duplicates += t.Duplicates
	s.Restarts += t.Restarts
	s.wild += t.wild
	s.LastAt = t.LastAt
	s.jitterSum += t.jitterSum
	s.jitterSeen += t.jitterSeen
	s.jitter = t.jitter
}
