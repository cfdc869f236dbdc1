package trace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/siprec"
)

// A captured recording session is judged by the stream that its caller speaks in, and
// the caller is who the metadata says.
func TestCopies(t *testing.T) {
	section := func(a netip.AddrPort, label, dir string) string {
		return fmt.Sprintf("m=audio %d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=label:%s\r\na=%s\r\n", a.Port(), label, dir)
	}
	session := func(a netip.Addr) string {
		return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\n", a)
	}
	a2 := netip.AddrPortFrom(aRTP.Addr(), aRTP.Port()+2)
	b2 := netip.AddrPortFrom(bRTP.Addr(), bRTP.Port()+2)
	meta := siprec.Metadata{
		Participants: []siprec.Participant{
			{ID: "agent", AoR: "sip:200@pbx", Sends: []string{"s1"}, Joined: start.Add(time.Minute)},
			{ID: "caller", AoR: "sip:+34600000001@carrier", Sends: []string{"s2"}, Joined: start},
		},
		Streams: []siprec.Stream{{ID: "s1", Label: "1"}, {ID: "s2", Label: "2"}},
	}
	for name, tc := range map[string]struct {
		metadata string
		label    string // configured
		dst      netip.AddrPort
		moved    bool
	}{
		"the caller's stream":        {string(meta.Bytes()), "", b2, true},
		"the other's stream":         {string(meta.Bytes()), "", bRTP, false},
		"the label says otherwise":   {string(meta.Bytes()), "1", bRTP, true},
		"no metadata: the first":     {"", "", bRTP, true},
		"no metadata: not the other": {"", "", b2, false},
		"broken metadata":            {"<recording", "", bRTP, true},
	} {
		f := newFilm(t)
		body := "--x\r\nContent-Type: application/sdp\r\n\r\n" + session(aRTP.Addr()) + section(aRTP, "1", "sendonly") + section(a2, "2", "sendonly")
		if tc.metadata != "" {
			body += "\r\n--x\r\nContent-Type: application/rs-metadata+xml\r\n\r\n" + tc.metadata
		}
		body += "\r\n--x--\r\n"
		head := "From: <sip:sbc@192.0.2.1>;tag=1\r\nCall-ID: copies\r\nContact: <sip:sbc@192.0.2.1>;+sip.src\r\n"
		message := func(line, to, cseq, kind, body string) string {
			return line + "\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK" + cseq[:1] + "\r\n" + head + "To: <sip:recorder@192.0.2.2>" + to + "\r\nCSeq: " + cseq +
				"\r\nRequire: siprec\r\nContent-Type: " + kind + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(body)) + body
		}
		f.udp(alice, bob, message("INVITE sip:recorder@192.0.2.2 SIP/2.0", "", "1 INVITE", "multipart/mixed;boundary=x", body))
		f.wait(10 * time.Millisecond)
		f.udp(bob, alice, message("SIP/2.0 200 OK", ";tag=2", "1 INVITE", "application/sdp",
			session(bRTP.Addr())+section(bRTP, "1", "recvonly")+section(b2, "2", "recvonly")))
		src := aRTP
		if tc.dst == b2 {
			src = a2
		}
		for i := range 100 {
			f.wait(20 * time.Millisecond)
			b := speech(7, i)
			if i >= 40 && i < 43 {
				b = key5(7, i)
			}
			f.udp(src, tc.dst, string(b))
		}
		f.wait(5 * time.Second)
		f.udp(alice, bob, message("BYE sip:recorder@192.0.2.2 SIP/2.0", ";tag=2", "2 BYE", "text/plain", ""))
		calls := f.judged(Options{Bench: testBench(t), CallerLabel: func(netip.Addr) string { return tc.label }})
		if len(calls) != 1 || calls[0].Outcome != Answered {
			t.Fatalf("%s: %+v", name, calls)
		}
		if got := calls[0].Decision.Rule == "five"; got != tc.moved {
			t.Errorf("%s: decision %+v, %+v", name, calls[0].Decision, calls[0].Streams)
		}
		if e := calls[0].Verdict.Evidence; calls[0].Fingerprint.ID != "" || len(e) > 0 && strings.HasPrefix(e[0].Name, "sig.") {
			t.Errorf("%s: the client's make was taken for the caller's: %+v", name, e)
		}
	}
}
