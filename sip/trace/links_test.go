package trace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestLinks: what ties the two legs of a call together, and what does not.
func TestLinks(t *testing.T) {
	b2bua, far := netip.MustParseAddrPort("192.0.2.9:5060"), netip.MustParseAddrPort("192.0.2.3:5060")
	type dialog struct {
		src, dst netip.AddrPort
		id, from, to,
		more string // headers of the INVITE
		sdp string
	}
	other := "X-Custom: one@a\r\n"
	session := func(ids string) string { return "Session-ID: " + ids + "\r\n" }
	u, v := "ab30317f1a784dc48ff824d0d3715d86", "47755a9de7794ba387653f2099600ef2"
	sameSDP := strings.Replace(sdpOf(aRTP, "0"), "o=- 1 1", "o=- 123456789 1", 1)
	for name, c := range map[string]struct {
		first, second dialog
		after         time.Duration
		together      bool // answered and ended so
		kind          LinkKind
		sure          string
	}{
		"a header with the other Call-ID": {dialog{id: "one@a", from: "a", to: "b"}, dialog{id: "two@b", from: "x", to: "y", more: other}, time.Minute, false, LinkLeg, "certain"},
		"Session-ID": {dialog{id: "one", from: "a", to: "b", more: session(u + ";remote=" + strings.Repeat("0", 32))},
			dialog{id: "two", from: "x", to: "y", more: session(v + ";remote=" + u)}, time.Minute, false, LinkLeg, "certain"},
		"no Session-ID but null": {dialog{id: "one", from: "a", to: "b", more: session(strings.Repeat("0", 32))},
			dialog{id: "two", from: "x", to: "y", more: session(strings.Repeat("0", 32))}, time.Minute, false, "", ""},
		"charging identity": {dialog{id: "one", from: "a", to: "b", more: "P-Charging-Vector: icid-value=\"1234bc9876e\";orig-ioi=x\r\n"},
			dialog{id: "two", from: "x", to: "y", more: "P-Charging-Vector: icid-value=1234bc9876e\r\n"}, time.Minute, false, LinkLeg, "certain"},
		"a Call-ID made of the other's": {dialog{id: "abc", from: "a", to: "b"}, dialog{id: "abc_b2b-1", from: "x", to: "y"}, time.Second, false, LinkLeg, "certain"},
		"Replaces":                      {dialog{id: "one", from: "a", to: "b"}, dialog{id: "two", from: "x", to: "y", more: "Replaces: one;to-tag=1;from-tag=2\r\n"}, time.Minute, false, LinkReplaces, "certain"},
		"numbers, written differently, and time": {dialog{src: alice, dst: b2bua, id: "one", from: "+34600000001", to: "0034910000002"},
			dialog{src: b2bua, dst: far, id: "two", from: "600000001", to: "+34910000002"}, 20 * time.Millisecond, true, LinkLeg, "certain"},
		"numbers alone": {dialog{src: alice, dst: b2bua, id: "one", from: "+34600000001", to: "910000002"},
			dialog{src: b2bua, dst: far, id: "two", from: "600000001", to: "910000002"}, 20 * time.Millisecond, false, LinkLeg, "possible"},
		"one number": {dialog{src: alice, dst: b2bua, id: "one", from: "600000001", to: "910000002"},
			dialog{src: b2bua, dst: far, id: "two", from: "600000001", to: "203"}, 20 * time.Millisecond, false, LinkLeg, "possible"},
		"one number, answered and ended together": {dialog{src: alice, dst: b2bua, id: "one", from: "600000001", to: "910000002"},
			dialog{src: b2bua, dst: far, id: "two", from: "600000001", to: "203"}, 20 * time.Millisecond, true, LinkLeg, "likely"},
		"numbers, but much later": {dialog{src: alice, dst: b2bua, id: "one", from: "600000001", to: "910000002"},
			dialog{src: b2bua, dst: far, id: "two", from: "600000001", to: "910000002"}, 20 * time.Second, false, "", ""},
		"numbers, but from elsewhere": {dialog{src: alice, dst: b2bua, id: "one", from: "600000001", to: "910000002"},
			dialog{src: bob, dst: far, id: "two", from: "600000001", to: "910000002"}, 20 * time.Millisecond, true, "", ""},
		"media left alone": {dialog{src: alice, dst: b2bua, id: "one", from: "a", to: "b", sdp: sameSDP},
			dialog{src: b2bua, dst: far, id: "two", from: "x", to: "y", sdp: sameSDP}, 20 * time.Millisecond, false, LinkLeg, "certain"},
		"one load tool's media": {dialog{src: alice, dst: bob, id: "one", from: "a", to: "b", sdp: sameSDP},
			dialog{src: alice, dst: bob, id: "two", from: "a", to: "b", sdp: sameSDP}, 20 * time.Millisecond, false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFilm(t)
			say := func(d dialog, line, cseq, more string) {
				if !d.src.IsValid() {
					d.src, d.dst = alice, bob
				}
				src, dst := d.src, d.dst
				if strings.HasPrefix(line, "SIP") {
					src, dst = dst, src
				}
				body := ""
				if strings.HasPrefix(line, "INVITE") && d.sdp != "" {
					body, more = d.sdp, more+"Content-Type: application/sdp\r\n"
				}
				f.udp(src, dst, fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK%s%s\r\nFrom: <sip:%s@x>;tag=f\r\nTo: <sip:%s@y>\r\nCall-ID: %s\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s",
					line, d.id, cseq[:1], d.from, d.to, d.id, cseq, more, len(body), body))
			}
			say(c.first, "INVITE sip:b@x SIP/2.0", "1 INVITE", c.first.more)
			f.wait(c.after)
			say(c.second, "INVITE sip:b@x SIP/2.0", "1 INVITE", c.second.more)
			if c.together {
				for _, d := range []dialog{c.second, c.first} {
					say(d, "SIP/2.0 200 OK", "1 INVITE", "")
					f.wait(10 * time.Millisecond)
				}
				f.wait(30 * time.Second)
				for _, d := range []dialog{c.first, c.second} {
					say(d, "BYE sip:b@x SIP/2.0", "2 BYE", "")
					f.wait(10 * time.Millisecond)
				}
			}
			calls, _ := f.read()
			if len(calls) != 2 {
				t.Fatalf("%d calls", len(calls))
			}
			for i, got := range calls {
				switch {
				case c.sure == "" && len(got.Links) == 0:
				case len(got.Links) != 1 || got.Links[0].Kind != c.kind || got.Links[0].Sure != c.sure || got.Links[0].CallID != calls[1-i].CallID:
					t.Errorf("%s: links %+v, want %s %s", got.CallID, got.Links, c.sure, c.kind)
				}
			}
		})
	}
}

// TestReferred: a phone that was asked by REFER to call somebody does, and one that
// is to take another call over names it in the URI.
func TestReferred(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "first")
	s.say("INVITE", "200", "ACK")
	f.udp(alice, bob, "REFER sip:bob@x SIP/2.0\r\nFrom: <sip:alice@x>;tag=a1\r\nTo: <sip:bob@x>;tag=b1\r\nCall-ID: first\r\nCSeq: 2 REFER\r\nRefer-To: <sip:carol@x?Replaces=second%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n\r\n")
	f.wait(100 * time.Millisecond)
	carol := netip.MustParseAddrPort("192.0.2.4:5060")
	f.udp(bob, carol, "INVITE sip:carol@x SIP/2.0\r\nFrom: <sip:bob@x>;tag=b9\r\nTo: <sip:carol@x>\r\nCall-ID: third\r\nCSeq: 1 INVITE\r\n\r\n")
	calls, _ := f.read()
	if len(calls) != 2 || len(calls[1].Links) != 1 || calls[1].Links[0].Kind != LinkRefer || calls[1].Links[0].CallID != "first" || calls[1].Links[0].Sure != "likely" {
		t.Errorf("calls %+v", calls[1].Links)
	}
	if got := strings.Join(calls[0].Flags, " "); !strings.Contains(got, "refer refer_to replaces") {
		t.Errorf("flags %s", got)
	}
}
