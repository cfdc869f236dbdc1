package view

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/trace"
)

var update = flag.Bool("update", false, "write testdata anew")

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(s float64) trace.Time {
	return trace.Time{Time: start.Add(time.Duration(s * float64(time.Second)))}
}

func when(s float64) *trace.Time { t := at(s); return &t }

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// sample is a call through a proxy that was judged, moved, and held.
func sample() *trace.Call {
	a, p, b := addr("192.0.2.1:5060"), addr("192.0.2.9:5060"), addr("[2001:db8::2]:5060")
	ok := 200
	c := &trace.Call{
		CallID: "sample@192.0.2.1", FromUser: "+34911234567", ToUser: "900123", Outcome: trace.Answered, FinalCode: &ok,
		InviteAt: when(0), RingingAt: when(0.5), AnsweredAt: when(1.5), EndedAt: when(9),
		Hops: []trace.Hop{{Source: a, Destination: p, Transport: "udp"}, {Source: p, Destination: b, Transport: "tcp"}},
		Streams: []trace.Stream{
			{SSRC: 9, Source: addr("192.0.2.1:4000"), Destination: addr("[2001:db8::2]:6000"), Codec: "PCMA", Packets: 380, Lost: 20, Jitter: 1.25, FirstAt: at(1.6), Seconds: 7.6, Digits: "15", Side: trace.Caller},
			{SSRC: 8, Source: addr("198.51.100.7:6000"), Destination: addr("192.0.2.1:4000"), PayloadType: 96, Packets: 10, FirstAt: at(1.7), Seconds: 0.2, Side: "", SRTP: true},
		},
		Fingerprint: &trace.Fingerprint{ID: "27454edb9ecc63be", Stack: "pjsip", UserAgent: "Example Phone 1.0"},
		Verdict: &trace.Verdict{Class: policy.Assistant, PMachine: 0.9, Prior: 0.2, Evidence: []trace.Evidence{
			{Name: "line.digital_silence", LLR: 0.4, Effect: 0.4, Says: "the pauses are exactly silent", At: when(4), Frame: 120},
			{Name: "sig.load_tool", LLR: 5, Effect: 3.5, Says: "the signalling is that of a load generator, and says so in a header that is long enough to need a second line here", At: when(0), Frame: 1},
			{Name: "turns.latency", LLR: -0.3, Effect: -0.3, Says: "answers as people do", At: when(8)},
			{Name: "line.unheard", Says: "half of it is not decoded"},
		}, Course: []trace.Moment{{At: at(0), Class: policy.Assistant, PMachine: 0.89}, {At: at(4), Class: policy.Assistant, PMachine: 0.9}}},
		Decisions: []trace.Decision{
			{At: when(0), Stage: policy.Arrival, Rule: "default", Action: policy.ToAgents, Destination: "agents", Reason: "P300-no-rule"},
			{At: when(4), Stage: policy.Listening, Rule: "machines", Action: policy.ToAutomation, Destination: "bots", Reason: "P200-machines"},
		},
		MessagesLeftOut: 3, Flags: []string{"reinvite", "multi_hop"},
		Faxes: []trace.Fax{{Source: addr("192.0.2.1:4002"), Destination: addr("[2001:db8::2]:6002"), Packets: 40, Lost: 1, FirstAt: at(6), Seconds: 2}},
	}
	c.Decision = &c.Decisions[1]
	frame := 0
	say := func(s float64, src, dst netip.AddrPort, hop int, line, method string, code, cseq int, sdp, repeat bool) {
		frame++
		c.Messages = append(c.Messages, trace.Message{Frame: frame, At: at(s), Source: src, Destination: dst, Transport: "udp", Hop: hop, Line: line, Method: method, Code: code, CSeq: cseq, SDP: sdp, Repeat: repeat,
			Raw: []byte(line + "\r\nFrom: <sip:alice@example.com>\r\n\r\n")})
	}
	const invite = "INVITE sip:900123@example.com SIP/2.0"
	say(0, a, p, 0, invite, "INVITE", 0, 1, true, false)
	say(0.4, a, p, 0, invite, "INVITE", 0, 1, true, true)
	say(0.41, p, b, 1, invite, "INVITE", 0, 1, true, false)
	say(0.49, b, p, 1, "SIP/2.0 180 Ringing", "INVITE", 180, 1, false, false)
	say(0.5, p, addr("192.0.2.1:40000"), 0, "SIP/2.0 180 Ringing", "INVITE", 180, 1, false, false)
	say(1.5, p, a, 0, "SIP/2.0 200 OK and a reason that is too long for any arrow", "INVITE", 200, 1, true, false)
	say(5, a, p, 0, invite, "INVITE", 0, 2, true, false)
	say(5.1, p, a, 0, "SIP/2.0 488", "INVITE", 488, 2, false, false)
	say(9, p, a, 0, "BYE sip:alice@192.0.2.1 SIP/2.0", "BYE", 0, 3, false, false)
	say(9.1, a, p, 0, "SIP/2.0 200 OK", "BYE", 200, 3, false, false)
	return c
}

// The terminal form, as wide as it is asked to be.
func TestText(t *testing.T) {
	unjudged := &trace.Call{Outcome: trace.NoFinal, Fingerprint: &trace.Fingerprint{}, Verdict: &trace.Verdict{Class: policy.Unknown, PMachine: 0.2, Prior: 0.2}, Decision: &trace.Decision{}}
	self := sample()
	for i := range self.Hops {
		self.Hops[i].Source, self.Hops[i].Destination = addr(fmt.Sprintf("127.0.0.1:%d", 5060+i)), addr(fmt.Sprintf("127.0.0.1:%d", 5061+i))
	}
	for i := range self.Messages {
		m := &self.Messages[i]
		h := self.Hops[m.Hop]
		if m.Code == 0 && m.Method != "BYE" {
			m.Source, m.Destination = h.Source, h.Destination
		} else {
			m.Source, m.Destination = h.Destination, h.Source
		}
	}
	for _, c := range []struct {
		file  string
		call  *trace.Call
		width int
	}{
		{"wide.txt", sample(), 130},
		{"narrow.txt", sample(), 70},
		{"narrowest.txt", sample(), 1},
		{"loopback.txt", self, 100},
		{"unjudged.txt", unjudged, 80},
	} {
		var b strings.Builder
		if err := Text(&b, c.call, 7, c.width); err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(b.String(), "\n") {
			if n := utf8.RuneCountInString(l); n > max(c.width, 60) && !strings.HasPrefix(l, "  ") {
				t.Errorf("%s: %d columns wide: %s", c.file, n, l)
			}
		}
		golden(t, c.file, b.String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what is written now (%v); go test -update, and look at the difference:\n%s", path, err, got)
	}
}

// hostile is a call whose every text was written by an enemy.
func hostile() *trace.Call {
	const evil = "\x1b]0;owned\x07\x1b[2J\u202e<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\r\n\x00\xff${alert(3)}{{.}}</style></template></textarea>`"
	c := sample()
	c.CallID, c.FromUser, c.ToUser, c.Fingerprint.UserAgent, c.Fingerprint.Stack = evil, evil, evil, evil, evil
	for i := range c.Messages {
		m := &c.Messages[i]
		m.Method, m.Line, m.Raw = evil, "INVITE "+evil, []byte(evil)
		if m.Code > 0 {
			m.Line = "SIP/2.0 " + evil
		}
	}
	for i := range c.Streams {
		c.Streams[i].Codec, c.Streams[i].Digits = evil, evil
	}
	for i := range c.Verdict.Evidence {
		c.Verdict.Evidence[i].Says = evil
	}
	for i := range c.Decisions {
		c.Decisions[i].Rule, c.Decisions[i].Reason, c.Decisions[i].Destination = evil, evil, evil
	}
	return c
}

// Nothing that a stranger wrote steers a terminal.
func TestTextHostile(t *testing.T) {
	for _, width := range []int{60, 120, 300} {
		var b strings.Builder
		if err := Text(&b, hostile(), 1, width); err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(b.String()) {
			t.Error("not UTF-8")
		}
		for _, r := range b.String() {
			if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e') {
				t.Fatalf("%q in\n%q", r, b.String())
			}
		}
	}
}
