package relay

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"go.uber.org/zap"
)

func marshal(t testing.TB, ps ...rtcp.Packet) []byte {
	t.Helper()
	b, err := rtcp.Marshal(ps)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRewriteSender(t *testing.T) {
	sr := &rtcp.SenderReport{SSRC: 7, RTPTime: 0xFFFFFFF0, Reports: []rtcp.ReceptionReport{{SSRC: 99, LastSequenceNumber: 5}}}
	sdes := &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 7, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "pbx"}}}}}
	b := rewriteSender(marshal(t, sr, sdes, &rtcp.Goodbye{Sources: []uint32{7}}, &rtcp.ReceiverReport{SSRC: 7}), 7, 1000, 0x20)
	ps, err := rtcp.Unmarshal(b)
	if err != nil || len(ps) != 3 {
		t.Fatalf("%d packets, %v", len(ps), err)
	}
	if got := ps[0].(*rtcp.SenderReport); got.SSRC != 1000 || got.RTPTime != 0x10 || got.Reports[0].SSRC != 99 || got.Reports[0].LastSequenceNumber != 5 {
		t.Errorf("sender report %+v", got)
	}
	if got := ps[1].(*rtcp.SourceDescription); got.Chunks[0].Source != 1000 || got.Chunks[0].Items[0].Text != "pbx" {
		t.Errorf("source description %+v", got)
	}
	if got := ps[2].(*rtcp.ReceiverReport); got.SSRC != 1000 {
		t.Errorf("receiver report %+v", got)
	}
	if b := rewriteSender(marshal(t, &rtcp.Goodbye{Sources: []uint32{7}}), 7, 1000, 0); b != nil {
		t.Errorf("a lone BYE became %x", b)
	}
	if b := rewriteSender(marshal(t, sr)[:20], 7, 1000, 0); b != nil {
		t.Errorf("a cut packet became %x", b)
	}
}

func TestRewriteReports(t *testing.T) {
	reports := []rtcp.ReceptionReport{{SSRC: 1000, LastSequenceNumber: 2<<16 | 3}, {SSRC: 99, LastSequenceNumber: 5}}
	b := marshal(t, &rtcp.ReceiverReport{SSRC: 1, Reports: reports}, &rtcp.SenderReport{SSRC: 1, Reports: reports})
	rewriteReports(b, 1000, 7, 10)
	ps, err := rtcp.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range [][]rtcp.ReceptionReport{ps[0].(*rtcp.ReceiverReport).Reports, ps[1].(*rtcp.SenderReport).Reports} {
		if got[0].SSRC != 7 || got[0].LastSequenceNumber != 2<<16|0xFFF9 || got[1] != reports[1] {
			t.Errorf("reports %d: %+v", i, got)
		}
	}
	// Counts that lie must not lead beyond the packet.
	lie := marshal(t, &rtcp.ReceiverReport{SSRC: 1, Reports: reports[:1]})
	lie[0] |= 0x1F
	rewriteReports(lie, 1000, 7, 10)
}

func TestSenderReport(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 500000000, time.UTC)
	ps, err := rtcp.Unmarshal(senderReport(1, 2, 3, 480, at, newCNAME()))
	if err != nil || len(ps) != 2 {
		t.Fatal(ps, err)
	}
	sr := ps[0].(*rtcp.SenderReport)
	if sr.SSRC != 1 || sr.RTPTime != 2 || sr.PacketCount != 3 || sr.OctetCount != 480 {
		t.Errorf("%+v", sr)
	}
	if got := sr.NTPTime; got>>32 != uint64(at.Unix())+2208988800 || uint32(got) != 1<<31 {
		t.Errorf("NTP time %x", got)
	}
	if text := ps[1].(*rtcp.SourceDescription).Chunks[0].Items[0].Text; len(text) != 24 {
		t.Errorf("CNAME %q", text)
	}
}

// TestSpeakerReports: after five seconds of its own speech Portero describes it.
func TestSpeakerReports(t *testing.T) {
	c := newCall(t, Options{})
	sp, err := c.s.Play(0)
	if err != nil {
		t.Fatal(err)
	}
	voice := make([]byte, 160)
	_ = sp.Send(voice, 0, 160)
	first := c.caller.hear()
	c.s.out.reports.due = 1
	_ = sp.Send(voice, 160, 160)
	b, _ := receive(t, c.caller.rtcp, soon)
	ps, err := rtcp.Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	sr := ps[0].(*rtcp.SenderReport)
	if sr.SSRC != first.SSRC || sr.PacketCount != 2 || sr.OctetCount != 320 || sr.RTPTime-first.Timestamp > 8000 {
		t.Errorf("report %+v after %+v", sr, first)
	}
	// The far side's reports are not about what the caller hears now.
	send(t, c.far.rtcp, senderReport(5, 0, 0, 0, time.Now(), "x"), beside(c.s.Addr(FarSide)))
	if b, _ := receive(t, c.caller.rtcp, quiet); b != nil {
		t.Errorf("heard %x", b)
	}
}

func FuzzRTCP(f *testing.F) {
	f.Add(marshal(f, &rtcp.SenderReport{SSRC: 7, Reports: []rtcp.ReceptionReport{{SSRC: 1000}}}, &rtcp.Goodbye{Sources: []uint32{7}}))
	f.Add([]byte{0x9F, 201, 0, 1, 0, 0, 0, 7})
	f.Add([]byte{0x80, 203, 0, 0, 0x80, 200, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := bytes.Clone(b)
		rewriteReports(c, 1000, 7, 10)
		if len(c) != len(b) {
			t.Fatal("length changed")
		}
		if out := rewriteSender(bytes.Clone(b), 7, 1000, 10); out != nil {
			if len(out) > len(b) || !parts(out, func(p []byte) {
				if p[1] == rtcpBYE {
					t.Fatal("BYE left")
				}
				if len(p) >= 8 && p[1] == rtcpSR && binary.BigEndian.Uint32(p[4:]) == 7 {
					t.Fatal("SSRC left")
				}
			}) {
				t.Fatalf("malformed: %x of %x", out, b)
			}
		}
	})
}

// Whoever mirrors RTCP sees what both peers send, with the call and the
// addresses that they know, as it came.
func TestMirrorRTCP(t *testing.T) {
	type seen struct {
		callID, local, remote string
		data                  string
	}
	got := make(chan seen, 4)
	r, err := New(config(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	r.MirrorRTCP(func(callID string, local, remote netip.AddrPort, data []byte, _ time.Time) {
		got <- seen{callID, local.String(), remote.String(), string(data)}
	})
	s, err := r.Open("1@call", Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &call{s: s, caller: newPhone(t, "127.0.0.11"), far: newPhone(t, "127.0.0.12")}
	s.SetRemote(CallerSide, c.caller.addr(), c.caller.rtcpAddr())
	s.SetRemote(FarSide, c.far.addr(), c.far.rtcpAddr())
	report := senderReport(0xA0000000, 1, 2, 3, time.Now(), "x")
	for _, from := range []struct {
		p    *phone
		side Side
	}{{c.caller, CallerSide}, {c.far, FarSide}} {
		to := beside(c.s.Addr(from.side))
		send(t, from.p.rtcp, report, to)
		select {
		case s := <-got:
			if s != (seen{"1@call", to.String(), from.p.rtcpAddr().String(), string(report)}) {
				t.Errorf("%s: %+v", from.side, s)
			}
		case <-time.After(soon):
			t.Fatalf("%s: nothing was mirrored", from.side)
		}
	}
}
