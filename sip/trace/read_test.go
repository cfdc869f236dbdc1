package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name    string
		words   string
		outcome Outcome
		code    int
		marks   string // which times are told: invite, ringing, answered, ended
	}{
		{"answered", "INVITE+sdp 100 180 200+sdp ACK !BYE 200", Answered, 200, "i r a e"},
		{"answered, no BYE captured", "INVITE 200 ACK", Answered, 200, "i a"},
		{"cancelled", "INVITE 180 CANCEL 200", Cancelled, 0, "i r e"},
		{"487 alone", "INVITE 487", Cancelled, 487, "i e"},
		{"cancel crosses the answer", "INVITE 200 ACK CANCEL 481", Answered, 200, "i a"},
		{"busy", "INVITE 180 486 ACK", Busy, 486, "i r e"},
		{"busy everywhere", "INVITE 600 ACK", Busy, 600, "i e"},
		{"declined", "INVITE 603 ACK", Declined, 603, "i e"},
		{"challenged", "INVITE 407 ACK", AuthFailed, 407, "i e"},
		{"challenged, then nothing", "INVITE 401 ACK !INVITE 100", NoFinal, 0, "i"},
		{"challenged, then answered", "INVITE 401 ACK !INVITE 180 200 ACK", Answered, 200, "i r a"},
		{"challenged twice", "INVITE 401 ACK !INVITE 401 ACK", AuthFailed, 401, "i e"},
		{"challenged, then refused", "INVITE 401 ACK !INVITE 403 ACK", Failed, 403, "i e"},
		{"redirected", "INVITE 302 ACK", Redirected, 302, "i e"},
		{"failed", "INVITE 503 ACK", Failed, 503, "i e"},
		{"nothing", "INVITE 100 183", NoFinal, 0, "i r"},
		{"re-INVITE refused", "INVITE 200 ACK !INVITE^ 488 ACK !BYE 200", Answered, 200, "i a e"},
		{"capture begins in the call", "!INVITE^ 200 ACK", Answered, 200, "i a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newScript(newFilm(t), "x").say(strings.Fields(c.words)...).one()
			code := 0
			if got.FinalCode != nil {
				code = *got.FinalCode
			}
			if got.Outcome != c.outcome || code != c.code {
				t.Errorf("%s %d, want %s %d", got.Outcome, code, c.outcome, c.code)
			}
			var marks []string
			for i, m := range []*Time{got.InviteAt, got.RingingAt, got.AnsweredAt, got.EndedAt} {
				if m != nil {
					marks = append(marks, "irae"[i:i+1])
				}
			}
			if s := strings.Join(marks, " "); s != c.marks {
				t.Errorf("times told: %s, want %s", s, c.marks)
			}
		})
	}
}

func TestCallOverTCPAndIPv6(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "six")
	s.transport = "tcp"
	s.a, s.b = netip.MustParseAddrPort("[2001:db8::1]:40000"), netip.MustParseAddrPort("[2001:db8::2]:5060")
	a, b := netip.MustParseAddrPort("[2001:db8::1]:4000"), netip.MustParseAddrPort("[2001:db8::2]:6000")
	s.aSDP, s.bSDP = sdpOf(a, "0"), sdpOf(b, "0")
	s.say("INVITE+sdp", "200+sdp", "ACK")
	f.rtp(a, b, 1, 0, 1, 50)
	s.say("!BYE<", "200<")
	got := s.one()
	if got.Outcome != Answered || got.Methods["BYE"] != 1 || got.Responses["200"] != 2 || len(got.Streams) != 1 || got.Streams[0].Packets != 50 {
		t.Errorf("got %+v", got)
	}
}

// TestBeginsWithAnswer: the capture was started too late for the INVITE.
func TestBeginsWithAnswer(t *testing.T) {
	s := newScript(newFilm(t), "late")
	s.cseqLine = "1 INVITE"
	got := s.say("200+sdp", "ACK").one()
	if got.Outcome != Answered || got.InviteAt != nil || got.AnsweredAt == nil || got.FromUser != "alice" || got.ToUser != "bob" {
		t.Errorf("got %+v", got)
	}
}

func TestNoCallsOfOtherDialogs(t *testing.T) {
	s := newScript(newFilm(t), "reg")
	s.say("REGISTER", "200", "!OPTIONS", "200", "!BYE", "481")
	if calls, sum := s.read(); len(calls) != 0 || sum.Messages != 6 {
		t.Errorf("%d calls, %d messages", len(calls), sum.Messages)
	}
}

func TestStreamFigures(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "media")
	s.say("INVITE+sdp", "200+sdp", "ACK")
	f.rtp(aRTP, bRTP, 0xabc, 0, 65500, 40) // wraps
	f.rtp(aRTP, bRTP, 0xabc, 0, 65500+45, 10)
	// A key, five packets of it, the last one thrice (RFC 4733 section 2.5.1.4).
	for i, end := range []byte{0, 0, 0, 0x80, 0x80} {
		b := rtpPacket(0xabc, 101, uint16(65500+55+i), 160*65555)[:12]
		f.udp(aRTP, bRTP, string(append(b, 5, end|10, byte(i), 0)))
		f.wait(20 * time.Millisecond)
	}
	f.rtp(bRTP, aRTP, 7, 0, 1, 25)
	s.say("!BYE", "200")
	got := s.one()
	want := []Stream{
		{SSRC: 0xabc, Source: aRTP, Destination: bRTP, PayloadType: 0, Codec: "PCMU", Packets: 55, Lost: 5, Digits: "5", Side: Caller},
		{SSRC: 7, Source: bRTP, Destination: aRTP, PayloadType: 0, Codec: "PCMU", Packets: 25, Side: Far},
	}
	if len(got.Streams) != 2 {
		t.Fatalf("%d streams", len(got.Streams))
	}
	for i, g := range got.Streams {
		if g.Seconds < 0.4 || g.Seconds > 1.2 || g.Jitter > 7 {
			t.Errorf("stream %d: %v s, jitter %v ms", i, g.Seconds, g.Jitter)
		}
		g.Seconds, g.Jitter, g.FirstAt = 0, 0, Time{}
		if g != want[i] {
			t.Errorf("stream %d is %+v, want %+v", i, g, want[i])
		}
	}
}

// TestMediaBeforeItsDescription: RTP captured ahead of the answer counts, as do
// streams that only their source announces (the other end is behind NAT).
func TestMediaBeforeItsDescription(t *testing.T) {
	nat := netip.MustParseAddrPort("203.0.113.9:61000")
	f := newFilm(t)
	s := newScript(f, "early")
	s.aSDP = sdpOf(netip.MustParseAddrPort("10.0.0.5:4000"), "98")
	s.bSDP = strings.Replace(sdpOf(bRTP, "98"), "a=rtpmap", "a=rtpmap:98 SPEEX/16000\r\na=rtpmap", 1)
	s.say("INVITE+sdp", "100")
	f.rtp(nat, bRTP, 1, 98, 10, 30)
	f.rtp(bRTP, nat, 2, 98, 10, 20)
	s.say("200+sdp", "ACK")
	f.rtp(nat, bRTP, 1, 98, 40, 10)
	got := s.one()
	if len(got.Streams) != 2 || got.Streams[0].Packets != 40 || got.Streams[1].Packets != 20 || got.Streams[0].Codec != "SPEEX" {
		t.Errorf("streams are %+v", got.Streams)
	}
}

func TestICECandidates(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "ice")
	lan := netip.MustParseAddrPort("10.1.1.1:7078")
	s.aSDP += "a=candidate:1 1 UDP 2130706303 10.1.1.1 7078 typ host\r\na=candidate:1 2 UDP 2130706302 10.1.1.1 7079 typ host\r\n"
	s.say("INVITE+sdp", "200+sdp", "ACK")
	f.rtp(netip.MustParseAddrPort("10.1.1.2:9000"), lan, 5, 0, 1, 12)
	if got := s.one(); len(got.Streams) != 1 || got.Streams[0].Destination != lan {
		t.Errorf("streams are %+v", got.Streams)
	}
}

// TestPortsUsedAgain: the next call has the same ports and even the same SSRC.
func TestPortsUsedAgain(t *testing.T) {
	f := newFilm(t)
	for i := range 3 {
		s := newScript(f, fmt.Sprint("call ", i))
		s.say("INVITE+sdp", "200+sdp", "ACK")
		f.rtp(aRTP, bRTP, 99, 0, 1, 20+i)
		s.say("!BYE", "200")
		f.wait(time.Second)
	}
	calls, _ := f.read()
	for i, c := range calls {
		if len(c.Streams) != 1 || c.Streams[0].Packets != 20+i || c.CallID != fmt.Sprint("call ", i) {
			t.Errorf("call %d is %s with %+v", i, c.CallID, c.Streams)
		}
	}
}

func TestStraysAreTold(t *testing.T) {
	f := newFilm(t)
	f.rtp(aRTP, bRTP, 4, 8, 1, 60)
	f.rtp(bRTP, aRTP, 5, 8, 1, 3) // too few to be sure
	calls, sum := f.read()
	if len(calls) != 0 || len(sum.Strays) != 1 || sum.Strays[0].Packets != 60 || sum.Strays[0].Codec != "PCMA" {
		t.Errorf("%d calls, strays %+v", len(calls), sum.Strays)
	}
}

// TestOrderAndMemory: calls are told in the order of their beginning, and what
// is over is let go.
func TestOrderAndMemory(t *testing.T) {
	f := newFilm(t)
	long := newScript(f, "long")
	long.say("INVITE", "200", "ACK")
	for i := range 500 {
		newScript(f, fmt.Sprint("short ", i)).say("INVITE", "486", "ACK")
		f.wait(time.Second)
	}
	long.say("!BYE", "200")
	var ids []string
	r := newReader(Options{}, func(c *Call) { ids = append(ids, c.CallID) })
	c, err := OpenCapture(bytes.NewReader(f.buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for {
		p, err := c.Next()
		if err != nil {
			break
		}
		r.packet(p)
		most = max(most, len(r.calls))
	}
	r.finish()
	if most > 80 {
		t.Errorf("%d dialogs were open at once", most)
	}
	if len(ids) != 501 || ids[0] != "long" || !slices.IsSortedFunc(ids[1:], func(a, b string) int {
		var i, j int
		fmt.Sscan(strings.Fields(a)[1], &i) //nolint:errcheck // written above
		fmt.Sscan(strings.Fields(b)[1], &j) //nolint:errcheck // written above
		return i - j
	}) {
		t.Errorf("%d calls, first %v", len(ids), ids[:3])
	}
	if len(r.calls)+len(r.endpoints)+len(r.streams)+len(r.order) != 0 || r.told != 0 {
		t.Errorf("left: %d calls, %d endpoints, %d streams, %d in order, %d told", len(r.calls), len(r.endpoints), len(r.streams), len(r.order), r.told)
	}
}

// TestLeapOfTime: one damaged timestamp must not end the calls.
func TestLeapOfTime(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "x")
	s.say("INVITE", "180")
	now := f.now
	f.now = now.Add(20 * 365 * 24 * time.Hour)
	f.rtp(aRTP, bRTP, 1, 0, 1, 1)
	f.now = now
	s.say("200", "ACK")
	if got := s.one(); got.Outcome != Answered {
		t.Errorf("outcome %s", got.Outcome)
	}
}

func TestStrayLimits(t *testing.T) {
	var s strays
	add := func(src netip.AddrPort, ssrc uint32, seq uint16, at time.Time) {
		b := rtpPacket(ssrc, 0, seq, 160*uint32(seq))
		h, _ := rtpHeader(b)
		s.add(streamKey{src, bRTP, ssrc}, h, b, at)
	}
	for i := range maxStrays + 5000 { // more sources than are followed
		add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4000), 7, 1, start.Add(time.Duration(i)))
	}
	if s.open > maxStrays || len(s.flows) > maxStrays || len(s.ends[bRTP]) != len(s.flows) {
		t.Errorf("%d streams in %d flows are held, %d to the address", s.open, len(s.flows), len(s.ends[bRTP]))
	}
	for i := range 1000 { // another number each time: no RTP
		add(aRTP, uint32(i), uint16(i), start.Add(time.Hour))
	}
	if f := s.flows[flowPair{aRTP, bRTP}]; !f.foreign || len(f.streams) != 0 {
		t.Errorf("a flow of 1000 numbers: %+v", f)
	}
	long := netip.AddrPortFrom(aRTP.Addr(), 4002)
	for i := range 40000 {
		add(long, 1<<30, uint16(i), start.Add(time.Hour+time.Duration(i)*time.Millisecond))
	}
	got := s.flows[flowPair{long, bRTP}].streams[0]
	if !got.full || got.hold != nil || got.guess.stats.Packets != 40000 {
		t.Errorf("a long stray: full %v, %d bytes, %d packets", got.full, got.size, got.guess.stats.Packets)
	}
	sum, open := 0, 0
	for _, f := range s.flows {
		for _, x := range f.streams {
			sum += x.size
			open++
		}
	}
	if sum != s.size || open != s.open {
		t.Errorf("%d bytes in %d streams are held, %d in %d counted", sum, open, s.size, s.open)
	}
	if told := s.all(); len(told) != 1 || told[0].Packets != 40000 || s.size != 0 || s.open != 0 || len(s.flows) != 0 || len(s.ends) != 0 {
		t.Errorf("told %+v; %d bytes, %d streams, %d flows, %d addresses are left", told, s.size, s.open, len(s.flows), len(s.ends))
	}
}

func TestJSON(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "j")
	s.say("INVITE+sdp", "486", "ACK")
	f.rtp(aRTP, bRTP, 0x2a, 0, 1, 1)
	b, err := json.Marshal(s.one())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"call_id":"j","from_user":"alice","to_user":"bob","from_host":"example.com","to_host":"example.com","methods":{"ACK":1,"INVITE":1},"responses":{"486":1},"final_code":486,"outcome":"busy",` +
		`"invite_at":"2026-03-01T12:00:00.123456789Z","ringing_at":null,"answered_at":null,"ended_at":"2026-03-01T12:00:00.133456789Z",` +
		`"trying_at":null,"ring_code":null,"cancel_at":null,"bye_at":null,"bye_from":"","setup_s":null,"pdd_s":null,"duration_s":null,` +
		`"message_count":3,"codecs":["PCMU","telephone-event"],"sdp_codecs":["telephone-event"],"flags":[],` +
		`"streams":[{"ssrc":"0x0000002a","source":"192.0.2.1:4000","destination":"192.0.2.2:6000","payload_type":0,"codec":"PCMU","packets":1,"duplicates":0,"lost":0,"jitter_ms":0,"first_at":"2026-03-01T12:00:00.153456789Z","seconds":0,"digits":"","side":"caller","srtp":false}],"t38_streams":[],"links":[],` +
		`"hops":[{"source":"192.0.2.1:5060","destination":"192.0.2.2:5060","transport":"udp","messages":3,"repeats":0,"first_at":"2026-03-01T12:00:00.123456789Z"}],` +
		`"fingerprint":{"id":"","stack":"","user_agent":""},"verdict":{"class":"unknown","p_machine":0.2,"prior":0.2,"evidence":[],"course":[]},` +
		`"decision":{"at":null,"stage":"","rule":"","action":"","destination":"","reason":""},"decisions":[]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}
