package relay

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// TestReceptionBlock: while Portero speaks, its sender reports say how it hears the
// caller: what is lost in all and since the report before, the highest number over
// its cycle, and how long ago the caller's own report came.
func TestReceptionBlock(t *testing.T) {
	c := newCall(t, Options{})
	to := c.s.Addr(CallerSide)
	heard := uint64(0)
	say := func(n int) {
		for range n {
			c.caller.say(to)
		}
		heard += uint64(n)
		eventually(t, "the caller is heard", func() bool { return c.s.Stats().Caller.Packets == heard })
	}
	say(10) // from 65533 to 6
	c.caller.next()
	c.caller.next() // lost
	say(8)          // from 9 to 16
	sent := time.Now()
	send(t, c.caller.rtcp, senderReport(c.caller.ssrc, 1, 2, 3, sent, "caller"), beside(to))
	eventually(t, "its report is taken", func() bool { return c.s.Stats().Caller.RTCP == 1 })

	sp, err := c.s.Play(0)
	if err != nil {
		t.Fatal(err)
	}
	position := uint32(0)
	report := func() rtcp.ReceptionReport {
		t.Helper()
		c.s.out.mu.Lock()
		c.s.out.reports.due = 1
		c.s.out.mu.Unlock()
		if err := sp.Send(make([]byte, 160), position, 160); err != nil {
			t.Fatal(err)
		}
		position += 160
		b, _ := receive(t, c.caller.rtcp, soon)
		ps, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatal(err)
		}
		sr, ok := ps[0].(*rtcp.SenderReport)
		if !ok || len(sr.Reports) != 1 {
			t.Fatalf("%+v", ps[0])
		}
		return sr.Reports[0]
	}
	b := report()
	if b.SSRC != c.caller.ssrc || b.LastSequenceNumber != 1<<16|16 || b.TotalLost != 2 || b.FractionLost != 0 {
		t.Errorf("first %+v", b)
	}
	if delay := time.Duration(b.Delay) * time.Second / 65536; b.LastSenderReport != uint32(ntp(sent)>>16) || delay > time.Since(sent)+time.Millisecond {
		t.Errorf("it names the sender report %x after %s, sent %x", b.LastSenderReport, delay, uint32(ntp(sent)>>16))
	}
	c.caller.next() // one of four is lost
	say(3)
	if b = report(); b.TotalLost != 3 || b.FractionLost != 64 || b.LastSequenceNumber != 1<<16|20 {
		t.Errorf("second %+v", b)
	}
	say(4)
	if b = report(); b.TotalLost != 3 || b.FractionLost != 0 {
		t.Errorf("third %+v", b)
	}
	c.caller.ssrc++ // another stream: counted anew
	say(5)
	if b = report(); b.SSRC != c.caller.ssrc || b.TotalLost != 0 || b.FractionLost != 0 {
		t.Errorf("of another source %+v", b)
	}
}

// TestReceiverReports: a session that has no far side and says nothing reports all
// the same, in a compound packet with its name.
func TestReceiverReports(t *testing.T) {
	s := open(t, config(), Options{Alone: true})
	caller := newPhone(t, "127.0.0.11")
	s.SetRemote(CallerSide, caller.addr(), caller.rtcpAddr())
	caller.say(s.Addr(CallerSide))
	eventually(t, "the caller is heard", func() bool { return s.Stats().Caller.Packets == 1 })
	if b, _ := receive(t, caller.rtcp, quiet); b != nil {
		t.Errorf("a report at once: %x", b)
	}
	s.out.mu.Lock()
	s.out.reports.due = 1
	s.out.mu.Unlock()
	caller.say(s.Addr(CallerSide))
	b, _ := receive(t, caller.rtcp, soon)
	ps, err := rtcp.Unmarshal(b)
	if err != nil || len(ps) != 2 {
		t.Fatalf("%d packets, %v", len(ps), err)
	}
	rr, ok := ps[0].(*rtcp.ReceiverReport)
	sdes, ok2 := ps[1].(*rtcp.SourceDescription)
	if !ok || !ok2 || len(rr.Reports) != 1 || rr.Reports[0].SSRC != caller.ssrc || sdes.Chunks[0].Source != rr.SSRC || sdes.Chunks[0].Items[0].Text != s.relay.cname {
		t.Errorf("%+v", ps)
	}
}

// TestReportIntervals: 2.5 s at first, then 5 s, each times 0.5 to 1.5, over e−3/2.
func TestReportIntervals(t *testing.T) {
	least, most := []float64{9, 9}, []float64{0, 0}
	sum := 0.0
	const runs = 2000
	for range runs {
		var r reporter
		now := int64(time.Hour)
		if r.ready(now) {
			t.Fatal("a report at once")
		}
		for i := range 2 {
			if r.ready(r.due - 1) {
				t.Fatal("a report too early")
			}
			d := float64(r.due-now) / 1e9
			least[i], most[i] = min(least[i], d), max(most[i], d)
			if i == 1 {
				sum += d
			}
			now = r.due
			if !r.ready(now) {
				t.Fatal("no report when it is due")
			}
		}
	}
	for i, want := range []float64{2.5, 5} {
		if low, high := want*0.5/1.21828, want*1.5/1.21828; least[i] < low || most[i] > high || least[i] > low*1.1 || most[i] < high*0.95 {
			t.Errorf("interval %d: %.3f to %.3f s, want %.3f to %.3f", i+1, least[i], most[i], low, high)
		}
	}
	if mean := sum / runs; mean < 3.9 || mean > 4.3 {
		t.Errorf("the mean interval is %.2f s, want 4.1", mean)
	}
}
