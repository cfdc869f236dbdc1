package relay

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// The caller reports on the far side's sender report half a second after it came,
// by the caller's own account 400 ms later: 100 ms went on the way there and back.
func TestRoundTrip(t *testing.T) {
	var trip trip
	sent := time.Now()
	trip.sent(senderReport(7, 1, 2, 3, sent, "x"), int64(time.Hour))
	lsr := uint32(ntp(sent) >> 16)
	report := func(lsr uint32, delay time.Duration) []byte {
		b, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{
			{SSRC: 6}, {SSRC: 7, LastSenderReport: lsr, Delay: uint32(delay.Seconds() * 65536)},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	trip.received(report(lsr+1, 0), int64(time.Hour+time.Second)) // of a report that nobody sent
	if trip.mean() != 0 {
		t.Errorf("a foreign report: %v ms", trip.mean())
	}
	trip.received(report(lsr, 400*time.Millisecond), int64(time.Hour+500*time.Millisecond))
	if ms := trip.mean(); math.Abs(ms-100) > 0.1 {
		t.Errorf("%v ms, want 100", ms)
	}
	trip.received(report(lsr, time.Second), int64(time.Hour+900*time.Millisecond)) // its clock is fast
	if ms := trip.mean(); math.Abs(ms-50) > 0.1 {
		t.Errorf("mean is %v ms, want 50", ms)
	}
	for n := range 40 { // cut off anywhere
		b := report(lsr, 0)
		trip.received(b[:min(n, len(b))], 0)
		b[0] |= 31
		trip.received(b, int64(2*time.Hour))
	}
}

// The relay knows the round trip of each side by the reports it passes on.
func TestRoundTripThroughRelay(t *testing.T) {
	c := newCall(t, Options{})
	now := time.Now()
	c.caller.say(c.s.Addr(CallerSide))
	c.far.hear()
	send(t, c.far.rtcp, senderReport(7, 1, 2, 3, now, "x"), beside(c.s.Addr(FarSide)))
	if b, _ := receive(t, c.caller.rtcp, soon); b == nil {
		t.Fatal("no sender report")
	}
	time.Sleep(20 * time.Millisecond)
	b, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 7, LastSenderReport: uint32(ntp(now) >> 16)}}}})
	if err != nil {
		t.Fatal(err)
	}
	send(t, c.caller.rtcp, b, beside(c.s.Addr(CallerSide)))
	if b, _ := receive(t, c.far.rtcp, soon); b == nil {
		t.Fatal("no report")
	}
	st := c.s.Stats()
	if st.Caller.RoundTrip < 20 || st.Caller.RoundTrip > float64(soon.Milliseconds()) || st.Far.RoundTrip != 0 {
		t.Errorf("%v ms to the caller, %v ms to the far side", st.Caller.RoundTrip, st.Far.RoundTrip)
	}
}

// Figures of G.107 and G.113: a good G.711 call is rated 4.4, G.729 4.05;
// loss and delay take from it.
func TestMOS(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     SideStats
		codec string
		want  float64
	}{
		{"perfect", SideStats{Packets: 1000}, "PCMU", 4.38},
		{"the same by another name", SideStats{Packets: 1000}, "pcma", 4.38},
		{"G.729", SideStats{Packets: 1000}, "G729", 4.05},
		{"1 % lost", SideStats{Packets: 990, Lost: 10}, "PCMU", 4.29},
		{"5 % lost", SideStats{Packets: 950, Lost: 50}, "PCMU", 3.86},
		{"half lost", SideStats{Packets: 500, Lost: 500}, "PCMU", 1.55},
		{"far away", SideStats{Packets: 1000, RoundTrip: 600}, "PCMU", 3.33},
		{"everything lost but one", SideStats{Packets: 1, Lost: 100000, RoundTrip: 3000}, "PCMU", 1},
		{"unknown codec", SideStats{Packets: 1000}, "opus", 0},
		{"nothing came", SideStats{}, "PCMU", 0},
	} {
		if got := c.s.MOS(c.codec); math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s: %.3f, want %.2f", c.name, got, c.want)
		}
	}
}

// RTCP on one port with RTP (RFC 5761) is agreed with each side by itself: it
// comes and goes there with who agreed to it, and on its own port with who did not.
func TestMux(t *testing.T) {
	c := newCall(t, Options{})
	toCaller, toFar := c.s.Addr(CallerSide), c.s.Addr(FarSide)
	c.s.SetRemote(CallerSide, c.caller.addr(), c.caller.addr())
	c.s.SetRemote(FarSide, c.far.addr(), c.far.rtcpAddr())
	report := senderReport(0xA0000000, 1, 2, 3, time.Now(), "x")
	same := func(b []byte) bool {
		return len(b) == len(report) && binary.BigEndian.Uint32(b) == binary.BigEndian.Uint32(report)
	}
	send(t, c.caller.rtp, report, toCaller)
	if b, src := receive(t, c.far.rtcp, soon); !same(b) || src != beside(toFar) {
		t.Errorf("far side's RTCP: %x from %s", b, src)
	}
	send(t, c.far.rtcp, report, beside(toFar))
	if b, src := receive(t, c.caller.rtp, soon); !same(b) || src != toCaller {
		t.Errorf("caller's RTCP: %x from %s", b, src)
	}
	// Behind NAT it goes where RTP comes from.
	elsewhere := newPhone(t, "127.0.0.13")
	for range 4 {
		elsewhere.say(toCaller)
	}
	for range 4 {
		c.far.hear()
	}
	send(t, c.far.rtcp, report, beside(toFar))
	if b, src := receive(t, elsewhere.rtp, soon); !same(b) || src != toCaller {
		t.Errorf("RTCP of the caller behind NAT: %x from %s", b, src)
	}
	c.caller.deaf("the address of the SDP")
	if b, _ := receive(t, c.far.rtp, quiet); b != nil {
		t.Errorf("RTCP on the far side's RTP port: %x", b)
	}
}
