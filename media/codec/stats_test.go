package codec

import (
	"math"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestStatsSequence(t *testing.T) {
	for _, c := range []struct {
		name                         string
		seqs                         []uint16
		lost, late, double, restarts int
	}{
		{"in order", []uint16{1, 2, 3}, 0, 0, 0, 0},
		{"one lost", []uint16{1, 2, 4}, 1, 0, 0, 0},
		{"over the end of 16 bits", []uint16{65534, 65535, 0, 1}, 0, 0, 0, 0},
		{"lost over the end", []uint16{65534, 2}, 3, 0, 0, 0},
		{"out of order", []uint16{1, 3, 2, 4}, 0, 1, 0, 0},
		{"out of order over the end", []uint16{65535, 1, 0, 2}, 0, 1, 0, 0},
		{"before the first", []uint16{5, 4, 6}, 0, 1, 0, 0},
		{"duplicate of the last", []uint16{1, 2, 2, 3}, 0, 0, 1, 0},
		{"duplicate of an earlier one", []uint16{1, 2, 3, 1, 4}, 0, 0, 1, 0},
		{"late and then again", []uint16{1, 3, 2, 2}, 0, 1, 1, 0},
		{"a loss is not hidden by a duplicate", []uint16{1, 1, 3}, 1, 0, 1, 0},
		{"restart", []uint16{1, 2, 30000, 30001, 30002}, 0, 0, 0, 1},
		{"restart with a loss before", []uint16{1, 3, 30000, 30001}, 1, 0, 0, 1},
		{"one wild packet", []uint16{1, 2, 30000, 3, 4}, 0, 0, 0, 0},
		{"long gap", []uint16{1, 2, 1002}, 999, 0, 0, 0},
		{"single", []uint16{9}, 0, 0, 0, 0},
	} {
		var s Stats
		for i, q := range c.seqs {
			s.Packet(q, uint32(i)*160, epoch.Add(time.Duration(i)*20*time.Millisecond), 8000)
		}
		if s.Packets != len(c.seqs) || s.Lost() != c.lost || s.Late != c.late || s.Duplicates != c.double || s.Restarts != c.restarts {
			t.Errorf("%s: packets %d lost %d late %d duplicates %d restarts %d, want %d %d %d %d %d", c.name,
				s.Packets, s.Lost(), s.Late, s.Duplicates, s.Restarts, len(c.seqs), c.lost, c.late, c.double, c.restarts)
		}
	}
	var none Stats
	if none.Lost() != 0 || none.Jitter() != 0 {
		t.Error("a stream without packets has figures")
	}
}

func TestStatsMarks(t *testing.T) {
	var s Stats
	s.Packet(0, 0, epoch, 8000)
	s.Packet(1, 160, epoch.Add(20*time.Millisecond), 8000)
	if s.FirstSeq != 0 || s.FirstTimestamp != 0 || !s.FirstAt.Equal(epoch) || s.LastAt.Sub(s.FirstAt) != 20*time.Millisecond {
		t.Errorf("marks %+v", s)
	}
}

// TestStatsJitter works RFC 3550's estimate by hand: packets every 20 ms of which
// the third is 8 ms late give |D| = 0, 8, 8 and so J = 0, 0.5, 0.96875.
func TestStatsJitter(t *testing.T) {
	var s Stats
	for i, late := range []int{0, 0, 8, 0} {
		s.Packet(uint16(i), uint32(i)*160, epoch.Add(time.Duration(20*i+late)*time.Millisecond), 8000)
	}
	if got, want := s.Jitter(), (0+0.5+0.96875)/3; math.Abs(got-want) > 1e-9 {
		t.Errorf("mean jitter %v ms, want %v", got, want)
	}
	if got := s.JitterNow(); math.Abs(got-0.96875) > 1e-9 {
		t.Errorf("jitter %v ms, want 0.96875", got)
	}
	// Events keep their timestamp; they must not count.
	s.Packet(4, 640, epoch.Add(80*time.Millisecond), 0)
	s.Packet(5, 640, epoch.Add(100*time.Millisecond), 0)
	s.Packet(6, 960, epoch.Add(120*time.Millisecond), 8000)
	if got := s.JitterNow(); got > 0.96875 {
		t.Errorf("events raised the jitter to %v ms", got)
	}
	// The wrap of the timestamp is no jump.
	var w Stats
	for i := range 4 {
		w.Packet(uint16(i), 0xFFFFFF00+uint32(i)*160, epoch.Add(time.Duration(20*i)*time.Millisecond), 8000)
	}
	if w.Jitter() > 1e-9 {
		t.Errorf("a wrapping timestamp gives %v ms", w.Jitter())
	}
}
