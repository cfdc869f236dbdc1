package relay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

// step is a packet from a source, and what becomes of it: r refused, p passed,
// k kept, l latched (and how many kept ones come with it).
type step struct {
	src  string
	ssrc uint32
	seq  uint16
	want string
}

const (
	sdpSrc  = "192.0.2.1:4000"
	otherPt = "192.0.2.1:4002"
	nat     = "198.51.100.7:999"
	nat2    = "198.51.100.7:1000"
	evil    = "203.0.113.66:6666"
)

func TestLatch(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  string
		steps []step
	}{
		{"the SDP's source passes at once", LatchAny, []step{
			{sdpSrc, 1, 10, "p"}, {sdpSrc, 1, 11, "p"}, {sdpSrc, 1, 12, "l0"}, {sdpSrc, 1, 13, "p"},
		}},
		{"a source behind NAT after three, losing none", LatchAny, []step{
			{nat, 1, 10, "k"}, {nat, 1, 11, "k"}, {nat, 1, 12, "l2"}, {nat, 1, 13, "p"},
		}},
		{"not when SSRC changes", LatchAny, []step{
			{nat, 1, 10, "k"}, {nat, 2, 11, "k"}, {nat, 3, 12, "k"}, {nat, 4, 13, "k"},
		}},
		{"not when the sequence stands still, falls or jumps", LatchAny, []step{
			{nat, 1, 10, "k"}, {nat, 1, 10, "k"}, {nat, 1, 9, "k"}, {nat, 1, 60, "k"}, {nat, 1, 61, "k"}, {nat, 1, 62, "l2"},
		}},
		{"over the end of 16 bits", LatchAny, []step{
			{nat, 1, 65534, "k"}, {nat, 1, 65535, "k"}, {nat, 1, 0, "l2"},
		}},
		{"no other while the SDP's source speaks", LatchAny, []step{
			{sdpSrc, 1, 10, "p"}, {evil, 9, 1, "r"}, {evil, 9, 2, "r"}, {evil, 9, 3, "r"}, {sdpSrc, 1, 11, "p"}, {sdpSrc, 1, 12, "l0"},
		}},
		{"no other once latched", LatchAny, []step{
			{nat, 1, 10, "k"}, {nat, 1, 11, "k"}, {nat, 1, 12, "l2"}, {evil, 9, 1, "r"}, {evil, 9, 2, "r"}, {evil, 9, 3, "r"}, {nat, 1, 13, "p"},
		}},
		{"the SDP's source displaces an intruder", LatchAny, []step{
			{evil, 9, 1, "k"}, {evil, 9, 2, "k"}, {evil, 9, 3, "l2"},
			{sdpSrc, 1, 10, "k"}, {evil, 9, 4, "p"}, {sdpSrc, 1, 11, "k"}, {sdpSrc, 1, 12, "l2"}, {evil, 9, 5, "r"}, {sdpSrc, 1, 13, "p"},
		}},
		{"the SDP's host displaces another, not the reverse", LatchAny, []step{
			{nat, 9, 1, "k"}, {nat, 9, 2, "k"}, {nat, 9, 3, "l2"},
			{otherPt, 1, 10, "k"}, {otherPt, 1, 11, "k"}, {otherPt, 1, 12, "l2"}, {nat, 9, 4, "r"}, {nat, 9, 5, "r"}, {nat, 9, 6, "r"},
		}},
		{"a NAT's new port, by SSRC and sequence", LatchAny, []step{
			{nat, 1, 10, "k"}, {nat, 1, 11, "k"}, {nat, 1, 12, "l2"},
			{nat2, 1, 13, "k"}, {nat2, 1, 14, "k"}, {nat2, 1, 15, "l2"}, {nat, 1, 12, "r"}, {nat2, 1, 16, "p"},
		}},
		{"a guess at the sequence is not enough", LatchAny, []step{
			{sdpSrc, 1, 10, "p"}, {sdpSrc, 1, 11, "p"}, {sdpSrc, 1, 12, "l0"},
			{evil, 1, 30000, "r"}, {evil, 1, 12, "r"}, {evil, 2, 13, "r"}, {evil, 1, 600, "r"},
		}},
		{"a new SSRC from the latched source is its own affair", LatchAny, []step{
			{sdpSrc, 1, 10, "p"}, {sdpSrc, 1, 11, "p"}, {sdpSrc, 1, 12, "l0"}, {sdpSrc, 7, 5000, "p"}, {nat, 1, 13, "r"}, {nat, 7, 5001, "k"},
		}},
		{"a spray of sources does not push out who is half through", LatchAny, []step{
			{nat, 1, 10, "k"}, {nat, 1, 11, "k"},
			{"203.0.113.1:1", 9, 1, "k"}, {"203.0.113.2:1", 9, 1, "k"}, {"203.0.113.3:1", 9, 1, "k"}, {"203.0.113.4:1", 9, 1, "k"},
			{"203.0.113.5:1", 9, 1, "k"}, {"203.0.113.6:1", 9, 1, "k"}, {nat, 1, 12, "l2"},
		}},
		{"no RTP: only from the SDP's source or the latched one", LatchAny, []step{
			{sdpSrc, 0, 0, "p"}, {nat, 0, 0, "r"}, {nat, 1, 10, "k"}, {nat, 1, 11, "k"}, {nat, 1, 12, "l2"}, {nat, 0, 0, "p"}, {evil, 0, 0, "r"},
		}},
		{"mode address: another port, no other host", LatchAddress, []step{
			{nat, 1, 1, "r"}, {otherPt, 1, 10, "k"}, {otherPt, 1, 11, "k"}, {otherPt, 1, 12, "l2"},
		}},
		{"mode off: the SDP alone", LatchOff, []step{
			{otherPt, 1, 10, "r"}, {nat, 1, 11, "r"}, {sdpSrc, 1, 12, "p"}, {sdpSrc, 1, 13, "p"}, {sdpSrc, 1, 14, "l0"},
		}},
	} {
		l := newLatch(c.mode, 3)
		l.aim(netip.MustParseAddrPort(sdpSrc), 0)
		for i, s := range c.steps {
			if got := try(&l, s, int64(i)*int64(time.Millisecond)); got != s.want {
				t.Errorf("%s, packet %d (%s): %s, want %s", c.name, i+1, s.src, got, s.want)
				break
			}
		}
	}
}

// try shows the latch a packet; seq and ssrc 0 are no RTP.
func try(l *latch, s step, now int64) string {
	var p *codec.RTP
	b := make([]byte, 12)
	if s.ssrc != 0 {
		p = &codec.RTP{SSRC: s.ssrc, Seq: s.seq}
		binary.BigEndian.PutUint16(b[2:], s.seq)
	}
	verdict, c := l.admit(b, p, netip.MustParseAddrPort(s.src), now)
	switch verdict {
	case pass:
		return "p"
	case keep:
		return "k"
	case latched:
		for i, h := range c.held[:c.kept] {
			if got := binary.BigEndian.Uint16(h.b[2:]); got != s.seq-uint16(c.kept-i) {
				return fmt.Sprintf("kept packet %d has number %d", i, got)
			}
		}
		return fmt.Sprintf("l%d", c.kept)
	}
	return "r"
}

// TestLatchNewAim: when the SDP names a new place, the old source is heard no
// more, though it still sends for a moment; after that it may be learnt again.
func TestLatchNewAim(t *testing.T) {
	l := newLatch(LatchAny, 3)
	l.aim(netip.MustParseAddrPort(sdpSrc), 0)
	for i := range 3 {
		try(&l, step{src: nat, ssrc: 1, seq: uint16(i)}, 0)
	}
	if l.source.String() != nat {
		t.Fatalf("latched %s", l.source)
	}
	l.aim(netip.MustParseAddrPort("192.0.2.9:5000"), 0)
	for i := range 5 {
		if got := try(&l, step{src: nat, ssrc: 1, seq: uint16(3 + i)}, int64(time.Second)); got != "r" {
			t.Fatalf("old source, packet %d: %s", i, got)
		}
	}
	if got := try(&l, step{src: nat, ssrc: 1, seq: 8}, 3*int64(time.Second)); got != "k" {
		t.Errorf("old source after its time: %s", got)
	}
}

// TestLatchCandidatesAge: packets a minute apart are no stream.
func TestLatchCandidatesAge(t *testing.T) {
	l := newLatch(LatchAny, 3)
	for i := range 5 {
		if got := try(&l, step{src: nat, ssrc: 1, seq: uint16(i)}, int64(i)*int64(time.Minute)); got != "k" {
			t.Fatalf("packet %d: %s", i, got)
		}
	}
}
