package trace

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestLadder: a call through a proxy, with a request sent again. Each message
// is told with its frame, its hop and whether it is a copy.
func TestLadder(t *testing.T) {
	f := newFilm(t)
	proxy := netip.MustParseAddrPort("192.0.2.9:5060")
	send := func(src, dst netip.AddrPort, line, via, cseq, body string) {
		kind := ""
		if body != "" {
			kind = "Content-Type: application/sdp\r\n"
		}
		f.udp(src, dst, fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK%s\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:b@x>\r\nCall-ID: l\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s",
			line, via, cseq, kind, len(body), body))
		f.wait(10 * time.Millisecond)
	}
	invite := "INVITE sip:b@x SIP/2.0"
	send(alice, proxy, invite, "1", "7 INVITE", sdpOf(aRTP, "0"))
	send(alice, proxy, invite, "1", "7 INVITE", sdpOf(aRTP, "0")) // T1
	send(proxy, bob, invite, "2", "7 INVITE", sdpOf(aRTP, "0"))
	other := netip.AddrPortFrom(bob.Addr(), 40000) // answers come from another port, found by Via
	send(other, proxy, "SIP/2.0 200 OK", "2", "7 INVITE", sdpOf(bRTP, "0"))
	send(proxy, alice, "SIP/2.0 200 OK", "1", "7 INVITE", sdpOf(bRTP, "0"))
	send(alice, proxy, "ACK sip:b@x SIP/2.0", "3", "7 ACK", "")

	if c := f.one(); c.Messages != nil {
		t.Errorf("%d messages are told unasked", len(c.Messages))
	}
	var calls []*Call
	if _, err := Read(bytes.NewReader(f.buf.Bytes()), Options{Messages: true}, func(c *Call) { calls = append(calls, c) }); err != nil || len(calls) != 1 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	got := ""
	for _, m := range calls[0].Messages {
		got += fmt.Sprintf("%d %s %d hop %d %d %s sdp=%v repeat=%v %d\n", m.Frame, m.Method, m.Code, m.Hop, m.CSeq, m.Line, m.SDP, m.Repeat, len(m.Raw))
	}
	want := `1 INVITE 0 hop 0 7 INVITE sip:b@x SIP/2.0 sdp=true repeat=false 302
2 INVITE 0 hop 0 7 INVITE sip:b@x SIP/2.0 sdp=true repeat=true 302
3 INVITE 0 hop 1 7 INVITE sip:b@x SIP/2.0 sdp=true repeat=false 302
4 INVITE 200 hop 1 7 SIP/2.0 200 OK sdp=true repeat=false 294
5 INVITE 200 hop 0 7 SIP/2.0 200 OK sdp=true repeat=false 294
6 ACK 0 hop 0 7 ACK sip:b@x SIP/2.0 sdp=false repeat=false 141
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	hops := calls[0].Hops
	if len(hops) != 2 || hops[0].Source != alice || hops[0].Destination != proxy || hops[0].Messages != 4 || hops[0].Repeats != 1 ||
		hops[1].Source != proxy || hops[1].Destination != bob || hops[1].Messages != 2 || hops[1].Repeats != 0 {
		t.Errorf("hops %+v", hops)
	}
}
