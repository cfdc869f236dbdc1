package trace

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/sdp"
)

// testBench moves a caller who presses 5 to the machines.
func testBench(t *testing.T) *judge.Bench {
	t.Helper()
	cfg := rules.Defaults()
	cfg.Rules = []rules.Rule{
		{Name: "five", When: `digits == "5"`, Action: policy.ToAutomation, Destination: "bots"},
		{Name: "carrier", When: `trunk == "carrier"`, Action: policy.ToAgents, Stages: []policy.Stage{policy.Arrival}},
	}
	set, err := rules.Compile(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &judge.Bench{Rules: set, Config: judge.Defaults(), Mode: policy.Observe}
}

// speech is a packet of something that is not silence.
func speech(ssrc uint32, seq int) []byte {
	b := rtpPacket(ssrc, 0, uint16(seq), uint32(160*seq))
	for i := range b[12:] {
		x := float64(seq*160 + i)
		b[12+i] = g711.EncodeUlawFrame(int16(3000 * math.Sin(x/9) * (1 + math.Sin(x/700))))
	}
	return b
}

func key5(ssrc uint32, seq int) []byte {
	b := rtpPacket(ssrc, 101, uint16(seq), uint32(160*seq))[:12]
	return append(b, 5, 0x8a, 3, 0x20)
}

func (f *film) judged(o Options) []*Call {
	f.t.Helper()
	if o.Failed == nil {
		o.Failed = func(id string, err error) { f.t.Errorf("judging %s: %v", id, err) }
	}
	var calls []*Call
	if _, err := Read(strings.NewReader(f.buf.String()), o, func(c *Call) { calls = append(calls, c) }); err != nil {
		f.t.Fatal(err)
	}
	return calls
}

// TestSameJudge: a capture of a call is judged as the call itself, packet by
// packet, would have been.
func TestSameJudge(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "same")
	live := testBench(t)
	s.say("INVITE+sdp")
	raw, err := packets(t, f.buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	signed := &stir.Result{Verstat: stir.Passed, Attest: "B"}
	c, _, err := live.Open(judge.Arrival{
		Raw: raw[0].Data[42:], At: raw[0].At, Transport: "udp", Source: alice, Trunk: "carrier",
		Load: surge.New(surge.Defaults()).Arrived(raw[0].At), Identity: signed,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.say("180")
	answered := f.now
	s.say("200+sdp", "ACK")
	d, err := sdp.Parse([]byte(s.bSDP))
	if err != nil {
		t.Fatal(err)
	}
	codecs := map[uint8]sdp.Codec{}
	for _, k := range d.Audio().Codecs() {
		codecs[k.PT] = k
	}
	c.Codecs(codecs)
	c.Answered(answered)
	c.FarAnswered(answered)
	for i := range 1000 {
		p, other := speech(9, i), speech(8, i)
		if i%200 < 120 { // the other side asks for 1.6 s, and is answered 0.8 s later
			hush(p)
		}
		if i%200 >= 80 || i%200 < 10 {
			hush(other)
		}
		if i == 120 {
			p = key5(9, i)
		}
		f.udp(aRTP, bRTP, string(p))
		c.Packet(p, f.now)
		c.Advance(f.now)
		f.udp(bRTP, aRTP, string(other))
		c.Heard(other, f.now)
		f.wait(20 * time.Millisecond)
	}
	c.Ended(f.now)
	s.say("!BYE", "200")

	got := f.judged(Options{Bench: testBench(t), Trunk: func(a netip.Addr) (string, bool) {
		if a == alice.Addr() {
			return "carrier", true
		}
		return "", false
	}, Identity: func(b []byte, at time.Time, trusted bool) *stir.Result {
		if !bytes.Equal(b, raw[0].Data[42:]) || !at.Equal(raw[0].At) || !trusted {
			t.Errorf("the identity of %q at %v, trusted %v", b, at, trusted)
		}
		return signed
	}})[0]
	want := (&witness{judged: c}).find()
	logOdds := policy.LogOdds(got.Verdict.Prior)
	for i, e := range got.Verdict.Evidence { // frames only a capture has
		tick := e.At.Sub(raw[0].At)
		if last := frameAt(t, f, e.At.Time); e.Frame != last || tick < 0 || tick%time.Second != 0 && e.At.Time != got.EndedAt.Time {
			t.Errorf("%s is of %v, frame %d; the last until then is %d", e.Name, tick, e.Frame, last)
		}
		if strings.HasPrefix(e.Name, "sig.") && e.Frame != 1 {
			t.Errorf("%s is of frame %d", e.Name, e.Frame)
		}
		logOdds += e.Effect
		got.Verdict.Evidence[i].Frame = 0
	}
	if p := policy.Probability(logOdds); math.Abs(p-got.Verdict.PMachine) > 1e-3 {
		t.Errorf("prior and effects make %v, the verdict is %v", p, got.Verdict.PMachine)
	}
	if n := len(got.Verdict.Course); n == 0 || got.Verdict.Course[n-1].PMachine != got.Verdict.PMachine {
		t.Errorf("the course is %v", got.Verdict.Course)
	}
	if !reflect.DeepEqual(got.Verdict, want.verdict) || !reflect.DeepEqual(got.Fingerprint, want.print) || !reflect.DeepEqual(got.Decisions, want.decisions) {
		t.Errorf("recorded %s\nlive     %s", text(got.Verdict, got.Fingerprint, got.Decisions), text(want.verdict, want.print, want.decisions))
	}
	if got.Decision.Rule != "five" || got.Decision.Stage != policy.Listening || len(got.Verdict.Evidence) == 0 {
		t.Errorf("the judge did not hear the caller: %s", text(got.Decision, got.Verdict))
	}
	if !slices.ContainsFunc(got.Verdict.Evidence, func(e Evidence) bool { return e.Name == "turns.spread" && e.LLR > 1 }) {
		t.Errorf("the judge did not hear the other side: %s", text(got.Verdict))
	}
	if s := got.CallerStream(); s == nil || s.Source != aRTP || s.Digits != "5" {
		t.Errorf("the caller's stream is %+v", s)
	}
}

// frameAt is the number of the last packet of a film up to a moment.
func frameAt(t *testing.T, f *film, at time.Time) (n int) {
	t.Helper()
	c, err := OpenCapture(bytes.NewReader(f.buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; ; i++ {
		p, err := c.Next()
		if err != nil {
			return n
		}
		if !p.At.After(at) {
			n = i
		}
	}
}

// TestEarlyScreen: a caller who was screened in early media is decided on as if the
// 183 had been an answer; a 183 of a call that went to the PBX is none.
func TestEarlyScreen(t *testing.T) {
	for name, c := range map[string]struct {
		mode  policy.Mode
		early bool
		rule  string
		want  string
	}{
		"screened":              {policy.Enforce, true, "true", "dialogue"},
		"only observed":         {policy.Observe, true, "true", "arrival"},
		"screened after answer": {policy.Enforce, false, "true", "arrival"},
		"sent on":               {policy.Enforce, true, "false", "arrival"},
	} {
		cfg := rules.Defaults()
		cfg.Rules = []rules.Rule{{Name: "ask", When: c.rule, Action: policy.ToScreen, Stages: []policy.Stage{policy.Arrival}}}
		set, err := rules.Compile(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		f := newFilm(t)
		s := newScript(f, "early")
		s.say("INVITE+sdp", "183+sdp")
		for i := range 600 {
			f.udp(aRTP, bRTP, string(speech(9, i)))
			f.wait(20 * time.Millisecond)
		}
		s.say("480", "ACK")
		got := f.judged(Options{Bench: &judge.Bench{Rules: set, Config: judge.Defaults(), Mode: c.mode, Early: c.early}})[0]
		if got.Decision == nil || string(got.Decision.Stage) != c.want {
			t.Errorf("%s: %s", name, text(got.Decision))
		}
	}
}

// hush makes a packet one of a quiet room.
func hush(p []byte) {
	for i := range p[12:] {
		p[12+i] = byte(0x7e + i%2*0x80)
	}
}

func text(v ...any) string {
	b, _ := json.Marshal(v) //nolint:errcheck // plain structs
	return string(b)
}

// TestWhoseAudio: of all media that cross a capture, the judge hears what the
// caller sends to where it was told to send on the first hop.
func TestWhoseAudio(t *testing.T) {
	proxy := netip.MustParseAddrPort("192.0.2.50:5060")
	pRTP := netip.MustParseAddrPort("192.0.2.50:7000")
	nat := netip.MustParseAddrPort("203.0.113.7:33333")
	for _, c := range []struct {
		name  string
		film  func(f *film)
		moved bool // the key was heard
	}{
		{"the caller's", func(f *film) {
			newScript(f, "x").say("INVITE+sdp", "200+sdp", "ACK")
			talk(f, aRTP, bRTP)
		}, true},
		{"the callee's", func(f *film) {
			newScript(f, "x").say("INVITE+sdp", "200+sdp", "ACK")
			talk(f, bRTP, aRTP)
		}, false},
		{"early media", func(f *film) {
			newScript(f, "x").say("INVITE+sdp", "183+sdp")
			talk(f, aRTP, bRTP)
		}, true},
		{"late offer", func(f *film) {
			newScript(f, "x").say("INVITE", "200+sdp", "ACK+sdp")
			talk(f, aRTP, bRTP)
		}, true},
		{"from behind NAT", func(f *film) {
			newScript(f, "x").say("INVITE+sdp", "200+sdp", "ACK")
			talk(f, nat, bRTP)
		}, true},
		{"a stranger while the caller talks", func(f *film) {
			newScript(f, "x").say("INVITE+sdp", "200+sdp", "ACK")
			f.udp(aRTP, bRTP, string(speech(1, 1)))
			talk(f, nat, bRTP)
		}, false},
		{"a stranger first", func(f *film) {
			newScript(f, "x").say("INVITE+sdp", "200+sdp", "ACK")
			f.udp(nat, bRTP, string(speech(2, 1)))
			talk(f, aRTP, bRTP)
		}, true},
		{"the second hop's copy", func(f *film) {
			s := newScript(f, "x")
			s.b, s.bSDP = proxy, sdpOf(pRTP, "0 101")
			s.sayOne("INVITE+sdp")
			in := newScript(f, "x")
			in.a, in.aSDP = proxy, sdpOf(netip.MustParseAddrPort("192.0.2.50:7002"), "0 101")
			in.say("INVITE+sdp", "200+sdp")
			s.say("200+sdp", "ACK")
			talk(f, netip.MustParseAddrPort("192.0.2.50:7002"), bRTP)
		}, false},
		{"encrypted", func(f *film) {
			s := newScript(f, "x")
			s.aSDP = strings.ReplaceAll(s.aSDP, "RTP/AVP", "RTP/SAVP")
			s.bSDP = strings.ReplaceAll(s.bSDP, "RTP/AVP", "RTP/SAVP")
			s.say("INVITE+sdp", "200+sdp", "ACK")
			talk(f, aRTP, bRTP)
		}, false},
		{"encrypted at best effort", func(f *film) {
			s := newScript(f, "x")
			key := "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
			s.aSDP += key
			s.bSDP += key
			s.say("INVITE+sdp", "200+sdp", "ACK")
			talk(f, aRTP, bRTP)
		}, false},
		{"offered at best effort and not taken", func(f *film) {
			s := newScript(f, "x")
			s.aSDP += "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
			s.say("INVITE+sdp", "200+sdp", "ACK")
			talk(f, aRTP, bRTP)
		}, true},
		{"ahead of the answer", func(f *film) {
			s := newScript(f, "x")
			s.say("INVITE+sdp")
			for i := range 80 {
				f.udp(aRTP, bRTP, string(speech(9, i)))
				f.wait(20 * time.Millisecond)
			}
			f.udp(aRTP, bRTP, string(key5(9, 80)))
			s.say("200+sdp", "ACK")
			f.wait(3 * time.Second)
			s.say("!BYE", "200")
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFilm(t)
			c.film(f)
			calls := f.judged(Options{Bench: testBench(t)})
			if len(calls) != 1 {
				t.Fatalf("%d calls", len(calls))
			}
			if moved := calls[0].Decision.Rule == "five"; moved != c.moved {
				t.Errorf("heard: %v, want %v: %s", moved, c.moved, text(calls[0].Decision, calls[0].Streams))
			}
		})
	}
}

// talk sends three seconds of speech with a key in the first.
func talk(f *film, src, dst netip.AddrPort) {
	for i := range 150 {
		p := speech(9, i)
		if i == 20 {
			p = key5(9, i)
		}
		f.udp(src, dst, string(p))
		f.wait(20 * time.Millisecond)
	}
}

// TestChallengedCallIsJudgedAnew: the INVITE that answers a challenge is the
// visit that counts, and the arrivals are counted as a door counts them.
func TestChallengedCallIsJudgedAnew(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "x")
	s.say("INVITE+sdp", "INVITE+sdp", "401", "ACK", "!INVITE+sdp", "200+sdp", "ACK")
	talk(f, aRTP, bRTP)
	s.say("!BYE", "200")
	m := surge.New(surge.Defaults())
	got := f.judged(Options{Bench: testBench(t), Meter: m})[0]
	if got.Decision.Rule != "five" {
		t.Errorf("decision %+v", got.Decision)
	}
	if l := m.Load(f.now); l.CallsMinute != 2 || l.CallsNow != 0 {
		t.Errorf("load is %+v, want 2 arrivals and none left", l)
	}
}

func TestUnjudged(t *testing.T) {
	// Without an INVITE there is nothing to judge.
	s := newScript(newFilm(t), "x")
	s.cseqLine = "1 INVITE"
	s.say("200+sdp", "ACK")
	b := testBench(t)
	b.Config.Prior = 0.4
	got := s.judged(Options{Bench: b})[0]
	if got.Verdict.Class != policy.Unknown || got.Verdict.PMachine != 0.4 || got.Decision.Rule != "" || got.Fingerprint.ID != "" {
		t.Errorf("got %s", text(got))
	}
	// A bench that cannot judge is told, and the call is read all the same.
	s = newScript(newFilm(t), "y")
	s.say("INVITE+sdp", "486", "ACK")
	failed := ""
	got = s.judged(Options{Bench: &judge.Bench{}, Failed: func(id string, err error) { failed = id + ": " + err.Error() }})[0]
	if got.Outcome != Busy || got.Decision.Rule != "" || !strings.Contains(failed, "y: ") {
		t.Errorf("got %s, failed %q", text(got), failed)
	}
}
