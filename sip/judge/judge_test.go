package judge

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
)

func TestArrival(t *testing.T) {
	b := bench(t, nil)
	for _, tc := range []struct{ name, from, contact, want, reason string }{
		{"plain", "+4930999999", "", "arrival@0:default>agents/agents ", policy.ReasonNoRule},
		{"declared", "+4930999999", ";automata", "arrival@0:declared>automation/bots ", "P200-declared"},
		{"declared, allowed", "+4930123456", ";automata", "arrival@0:allow>agents/agents ", policy.ReasonAllowed},
		{"declared, relay", "+17115550100", ";automata", "arrival@0:relay>agents/agents ", policy.ReasonRelay},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, d := call(t, b, tc.from, tc.contact)
			if got := path(c.Decisions()); got != tc.want || d.Reason != tc.reason {
				t.Errorf("went %s(%s), want %s(%s)", got, d.Reason, tc.want, tc.reason)
			}
		})
	}
	c, _ := call(t, b, "+4930999999", ";automata")
	f, v := c.Facts(), c.Verdict()
	if f.From != "+4930999999" || f.FromHost != "trunk.example" || f.DisplayName != "Ana" || f.To != "100" || f.Trunk != "carrier" ||
		!f.Automata || f.UserAgent != "Telephone 1.0" || f.PrintID == "" || f.PrintID != c.Print().ID || f.AgentsFree != policy.Unlimited || f.Surge != 1 || !f.Now.Equal(start) {
		t.Errorf("facts %+v", f)
	}
	if v.Class != policy.Assistant || len(v.Evidence) == 0 || !v.At.Equal(start) {
		t.Errorf("verdict %+v", v)
	}
}

func TestLoadMovesThePrior(t *testing.T) {
	b := bench(t, nil)
	probability := func(l policy.Load) float64 {
		c, _, err := b.Open(Arrival{Raw: invite("1", "2", ""), At: start, Load: l})
		if err != nil {
			t.Fatal(err)
		}
		return c.Verdict().PMachine
	}
	if quiet, flood := probability(policy.Load{}), probability(policy.Load{Surge: 8, Shift: 1}); quiet != 0.2 || flood < 0.4 || flood > 0.41 {
		t.Errorf("p %v in quiet times, %v in a flood of shift 1", quiet, flood)
	}
	b = bench(t, func(_ *rules.Config, c *Config) { c.Prior = 0.5 })
	if p := probability(policy.Load{}); p != 0.5 {
		t.Errorf("p %v, want the configured prior", p)
	}
}

func TestOpenFailsOpen(t *testing.T) {
	b := bench(t, nil)
	for name, raw := range map[string]string{
		"nothing": "", "a response": "SIP/2.0 200 OK\r\n\r\n", "another method": "OPTIONS sip:a@b SIP/2.0\r\n\r\n", "no version": "INVITE sip:a@b\r\n\r\n", "garbage": "\x00\xff\r\n",
	} {
		c, d, err := b.Open(Arrival{Raw: []byte(raw), At: start})
		if err == nil || c != nil || d.Action != policy.ToAgents || d.Destination != "agents" || d.Reason != policy.ReasonAnalysisFailed {
			t.Errorf("%s: call %v, decision %+v, error %v", name, c, d, err)
		}
	}
	if _, d, err := (&Bench{}).Open(Arrival{Raw: invite("1", "2", "")}); err == nil || d.Destination != "agents" {
		t.Errorf("no rules: decision %+v, error %v", d, err)
	}
}

// machineKeys is a keypad dialler: five keys, 500 ms apart.
func machineKeys(from float64) []packet {
	return newStream(from).room(0.5).keys(500, 500, 500, 500, 500).room(4).packets
}

func TestKeypadMachineIsMoved(t *testing.T) {
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	c.Answered(at(1))
	c.FarAnswered(at(1))
	news := play(c, machineKeys(1), 10)
	if got := path(news); !strings.HasPrefix(got, "listening@") || !strings.Contains(got, "machine>automation/bots") || len(news) != 1 {
		t.Errorf("news %s", got)
	}
	if c.Facts().Digits != "12345" {
		t.Errorf("digits %q", c.Facts().Digits)
	}
	c.Ended(at(10.5))
	if v := c.Verdict(); v.Class != policy.Assistant || !v.At.Equal(at(10.5)) {
		t.Errorf("verdict %+v", v)
	}
}

func TestListeningEnds(t *testing.T) {
	for _, tc := range []struct {
		name     string
		answered float64
		keysFrom float64
		moved    bool
	}{
		{"in time", 1, 3, true},
		{"before any answer", 0, 3, true},
		{"after listen_for", 1, 7, false},
		{"answered late", 4, 7, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := call(t, bench(t, nil), "+4930999999", "")
			if tc.answered > 0 {
				c.Answered(at(tc.answered))
				c.FarAnswered(at(tc.answered))
			}
			news := play(c, machineKeys(tc.keysFrom), 14)
			if (len(news) > 0) != tc.moved {
				t.Errorf("went %s", path(c.Decisions()))
			}
			if v := c.Verdict(); v.Class != policy.Assistant {
				t.Errorf("class %s: who is not moved is judged all the same", v.Class)
			}
		})
	}
}

func TestPassesAreNeverMoved(t *testing.T) {
	b := bench(t, rule(rules.Rule{Name: "all", When: "true", Action: policy.Reject, Stages: []policy.Stage{policy.Listening, policy.Dialogue}}))
	for _, tc := range []struct{ name, from, to string }{
		{"allowed", "+4930123456", "100"}, {"relay", "+17115550100", "100"}, {"emergency", "+4930999999", "911"},
	} {
		c, _, err := b.Open(Arrival{Raw: invite(tc.from, tc.to, ";automata"), At: start})
		if err != nil {
			t.Fatal(err)
		}
		c.Codecs(codecs)
		c.Answered(at(1))
		c.FarAnswered(at(1))
		if news := play(c, machineKeys(1), 12); len(news) > 0 || len(c.Ended(at(12))) > 0 || len(c.Decisions()) != 1 {
			t.Errorf("%s: went %s", tc.name, path(c.Decisions()))
		}
		if v := c.Verdict(); v.Class != policy.Assistant {
			t.Errorf("%s: class %s, the evidence is still for the record", tc.name, v.Class)
		}
	}
}

func TestNothingAfterRejectAndCallback(t *testing.T) {
	for _, action := range []policy.Action{policy.Reject, policy.ToCallback} {
		b := bench(t, rule(rules.Rule{Name: "first", When: `stage == "arrival" || len(digits) > 2`, Action: action}))
		c, d := call(t, b, "+4930999999", "")
		if d.Action != action {
			t.Fatalf("arrival %+v", d)
		}
		if news := play(c, machineKeys(1), 10); len(news) > 0 {
			t.Errorf("after %s at arrival: %s", action, path(news))
		}
		b = bench(t, rule(rules.Rule{Name: "keys", When: `len(digits) > 2`, Action: action}))
		c, _ = call(t, b, "+4930999999", "")
		if got := path(play(c, machineKeys(1), 10)); !strings.HasSuffix(got, "keys>"+string(action)+" ") {
			t.Errorf("%s while listening: %s", action, got)
		}
	}
}

// A caller who was moved as a machine and turns out human goes back.
func TestHumanGoesBack(t *testing.T) {
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	c.Answered(at(1))
	c.FarAnswered(at(1))
	news := play(c, newStream(1).room(0.5).keys(400, 400, 400, 400, 700, 1200, 350, 900, 1500).room(2).packets, 15)
	got := path(news)
	if len(news) != 2 || news[0].Destination != "bots" || news[1].Destination != "agents" || news[1].Reason != policy.ReasonNoRule {
		t.Errorf("went %s, verdict %+v", got, c.Verdict())
	}
	// Whom a rule moved for another reason, being human does not move back.
	b := bench(t, func(rc *rules.Config, _ *Config) {
		rc.Rules = []rules.Rule{{Name: "night", When: `stage == "arrival"`, Action: policy.ToAutomation, Destination: "night"}}
	})
	c, _ = call(t, b, "+4930999999", "")
	if news := play(c, newStream(1).keys(300, 700, 1200, 350, 900, 1500).packets, 10); len(news) > 0 || c.Verdict().Class != policy.Human {
		t.Errorf("went %s, class %s", path(news), c.Verdict().Class)
	}
}

func TestScreen(t *testing.T) {
	screen := rules.Rule{Name: "screen-all", When: `class == "unknown"`, Action: policy.ToScreen}
	for _, tc := range []struct {
		name     string
		answered float64
		packets  []packet
		want     string
	}{
		{"a machine shows itself", 0.2, machineKeys(0.3), "arrival@0:screen-all>screen dialogue@5:machine>automation/bots "},
		{"nothing is heard", 0.2, nil, "arrival@0:screen-all>screen dialogue@9:default>agents/agents "},
		{"noise is heard", 0.2, newStream(0.3).room(10).packets, "arrival@0:screen-all>screen dialogue@9:default>agents/agents "},
		{"answered late", 5.5, newStream(5.6).room(10).packets, "arrival@0:screen-all>screen dialogue@14:default>agents/agents "},
		{"never answered", 0, newStream(0.3).room(10).packets, "arrival@0:screen-all>screen "},
		{"a machine later, while listening", 0.2, newStream(0.3).room(11).keys(500, 500, 500, 500, 500).room(1).packets,
			"arrival@0:screen-all>screen dialogue@9:default>agents/agents listening@13:machine>automation/bots "},
		{"a machine too late", 0.2, newStream(0.3).room(16).keys(500, 500, 500, 500, 500).room(1).packets,
			"arrival@0:screen-all>screen dialogue@9:default>agents/agents "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, d := call(t, bench(t, rule(screen)), "+4930999999", "")
			if d.Action != policy.ToScreen {
				t.Fatalf("arrival %+v", d)
			}
			if tc.answered > 0 {
				c.Answered(at(tc.answered))
			}
			play(c, tc.packets, 25)
			if got := path(c.Decisions()); got != tc.want {
				t.Errorf("went %s\nwant %s", got, tc.want)
			}
		})
	}
	// A call may be screened out of the queue, too.
	b := bench(t, rule(rules.Rule{Name: "later", When: `wait_seconds >= 3 && !screened`, Action: policy.ToScreen, Stages: []policy.Stage{policy.Listening}}))
	c, _ := call(t, b, "+4930999999", "")
	c.Answered(at(1))
	c.FarAnswered(at(1))
	play(c, newStream(1).room(12).packets, 15)
	if got, want := path(c.Decisions()), "arrival@0:default>agents/agents listening@3:later>screen dialogue@11:default>agents/agents "; got != want {
		t.Errorf("went %s\nwant %s", got, want)
	}
}

// A broken expression lets the call pass.
func TestRuleFailsOpen(t *testing.T) {
	c, _ := call(t, bench(t, rule(rules.Rule{Name: "broken", When: `stage != "arrival" && int(user_agent) > 1`, Action: policy.Reject})), "+4930999999", ";automata")
	news := play(c, newStream(1).room(3).packets, 4)
	if len(news) != 1 || news[0].Action != policy.ToAgents || news[0].Reason != policy.ReasonRulesBroken || news[0].Rule != "broken" {
		t.Errorf("went %s", path(c.Decisions()))
	}
}

// The same packets with the same times give the same, however the work is cut
// up and however late the answer is told, if Advance waits as long.
func TestSameHoweverCutUp(t *testing.T) {
	packets := newStream(0.7).talk(2.5).keys(500, 500, 500, 500).talk(1).keys(300, 700, 900).packets
	for i := range packets { // some come out of order
		if i%37 == 3 {
			packets[i].raw, packets[i-1].raw = packets[i-1].raw, packets[i].raw
		}
	}
	answered, end := at(1.97), at(9.3)
	b := bench(t, rule(rules.Rule{Name: "screen", When: `stage == "arrival"`, Action: policy.ToScreen}))
	// Both benches run behind the packets, as much as an answer may be late.
	run := func(step, late time.Duration) (string, string) {
		c, _ := call(t, b, "+4930999999", "")
		var news []policy.Decision
		next, told := start.Add(step), false
		for _, p := range packets {
			for step > 0 && !next.After(p.at) {
				news = append(news, c.Advance(next.Add(-late))...)
				next = next.Add(step)
			}
			if !told && !p.at.Before(answered.Add(late)) {
				c.Answered(answered)
				c.FarAnswered(answered)
				told = true
			}
			c.Packet(p.raw, p.at)
		}
		news = append(news, c.Ended(end)...)
		all, err := json.Marshal([]any{c.Verdicts(), c.Decisions(), c.Facts()})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := path(news), path(c.Decisions()[1:]); got != want {
			t.Errorf("step %v: told as news %s\nwant %s", step, got, want)
		}
		return string(all), path(c.Decisions())
	}
	want, went := run(time.Second, 0)
	if !strings.Contains(went, "dialogue@") {
		t.Errorf("the script is too dull to prove anything: %s", went)
	}
	for _, step := range []time.Duration{0, 20 * time.Millisecond, 333 * time.Millisecond, 7 * time.Second} {
		for _, late := range []time.Duration{0, 400 * time.Millisecond} {
			if got, _ := run(step, late); got != want {
				t.Errorf("step %v, answer told %v late:\ngot  %s\nwant %s", step, late, got, want)
			}
		}
	}
}

// A live read and a capture of it differ by microseconds: nothing may hang on
// them.
func TestMicrosecondsDoNotMatter(t *testing.T) {
	packets := newStream(0.7).talk(2.5).keys(500, 500, 500, 500).talk(1).keys(300, 700, 900).packets
	rng := rand.New(rand.NewPCG(3, 4))
	run := func(spread int) (string, string) {
		c, _ := call(t, bench(t, nil), "+4930999999", "")
		c.Answered(at(1.51))
		c.FarAnswered(at(1.51))
		for _, p := range packets {
			c.Packet(p.raw, p.at.Add(time.Duration(rng.IntN(2*spread+1)-spread)*time.Microsecond))
		}
		c.Ended(at(9.3))
		v := c.Verdict()
		v.At = time.Time{}
		b, _ := json.Marshal(v)
		return string(b), path(c.Decisions())
	}
	verdict, went := run(0)
	for range 3 {
		if v, w := run(150); v != verdict || w != went {
			t.Errorf("150 µs more or less:\ngot  %s %s\nwant %s %s", w, v, went, verdict)
		}
	}
}

func TestHostilePackets(t *testing.T) {
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 5000 {
		b := make([]byte, rng.IntN(2000))
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		if len(b) > 1 && i%2 == 0 {
			b[0], b[1] = 0x80, 0 // passes for RTP
		}
		c.Packet(b, at(rng.Float64()*3))
	}
	if c.Dropped() < 4000 {
		t.Errorf("%d of 5000 packets in 3 s dropped", c.Dropped())
	}
	if n := len(c.queue.bytes); n > 2*maxSecond*maxPacket {
		t.Errorf("%d bytes wait", n)
	}
	c.Advance(at(4))
	c.Ended(at(4))
	c.Packet([]byte{0x80, 0}, at(5))
	if news := append(c.Advance(at(9)), c.Ended(at(9))...); len(news) > 0 || !c.Verdict().At.Equal(at(4)) {
		t.Error("something happened after the end")
	}
}

func TestYearsOfSilenceCostNothing(t *testing.T) {
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	play(c, newStream(1).room(2).packets, 3)
	begun := time.Now()
	c.Ended(start.AddDate(100, 0, 0))
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("a call of a hundred years took %v", d)
	}
}

// A call of hours keeps nothing of what nobody will hear.
func TestLongCallsKeepNothing(t *testing.T) {
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	packets := newStream(1).room(1).packets
	c.Packet(packets[0].raw, packets[0].at)
	c.Advance(at(2))
	c.ear.full = true // as after maxHeard
	for _, p := range packets[1:] {
		c.Packet(p.raw, p.at)
	}
	if len(c.queue.packets) != 0 {
		t.Errorf("%d packets wait after enough was heard", len(c.queue.packets))
	}
	c, _ = call(t, bench(t, nil), "+4930999999", "")
	for h := range 400 {
		c.Packet(packets[0].raw, start.Add(time.Duration(h)*time.Minute))
	}
	if len(c.queue.packets) != 0 {
		t.Errorf("%d packets wait after six hours", len(c.queue.packets))
	}
}

func TestEndsBeforeTheFirstTick(t *testing.T) {
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	c.Packet(newStream(0.1).room(0.02).packets[0].raw, at(0.1))
	if news := c.Ended(at(0.3)); len(news) > 0 || c.ear.packets != 1 || !c.Verdict().At.Equal(at(0.3)) || len(c.Verdicts()) != 1 {
		t.Errorf("%d packets heard, verdicts %+v", c.ear.packets, c.Verdicts())
	}
}

func FuzzCall(f *testing.F) {
	f.Add(invite("+4930999999", "100", ";automata"), machineKeys(1)[0].raw, uint16(20))
	f.Add([]byte("INVITE sip:a@b SIP/2.0\r\n\r\n"), []byte{0x80, 101, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0x8a, 3, 0x20}, uint16(999))
	b := bench(f, nil)
	f.Fuzz(func(t *testing.T, raw, rtp []byte, ms uint16) {
		c, d, err := b.Open(Arrival{Raw: raw, At: start})
		if err != nil {
			if c != nil || d.Action != policy.ToAgents {
				t.Errorf("decision %+v with error %v", d, err)
			}
			return
		}
		c.Codecs(codecs)
		c.Answered(at(0.5))
		for i := range 100 {
			if len(rtp) > 3 {
				rtp[3]++
			}
			c.Packet(rtp, start.Add(time.Duration(i)*time.Duration(ms)*time.Millisecond))
		}
		c.Ended(start.Add(100 * time.Duration(ms) * time.Millisecond))
		if _, err := json.Marshal([]any{c.Verdicts(), c.Facts()}); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkSecond(b *testing.B) {
	packets := newStream(0).talk(100).packets
	b.ReportAllocs()
	c, _ := call(b, bench(b, nil), "+4930999999", "")
	n := 0
	for b.Loop() {
		if n+50 >= len(packets) {
			c, _ = call(b, bench(b, nil), "+4930999999", "")
			n = 0
		}
		for range 50 {
			c.Packet(packets[n].raw, packets[n].at)
			n++
		}
		c.Advance(packets[n].at)
	}
}

// A copy's INVITE is its client's: its make is no evidence, its From is nobody's
// number, and who calls stands beside it.
func TestCopy(t *testing.T) {
	raw := invite("sbc", "recorder", ";automata")
	own, _, err := bench(t, nil).Open(Arrival{Raw: raw, At: start})
	if err != nil {
		t.Fatal(err)
	}
	copied, _, err := bench(t, nil).Open(Arrival{Raw: raw, At: start, Trunk: "sbc", Copy: &Copy{From: "+34600000001", FromHost: "carrier.example", To: "100"}})
	if err != nil {
		t.Fatal(err)
	}
	f := copied.Facts()
	if f.From != "+34600000001" || f.To != "100" || f.Trunk != "sbc" || f.Automata || f.UserAgent != "" || f.Anonymous {
		t.Errorf("facts %+v", f)
	}
	if len(own.Verdict().Evidence) == 0 || len(copied.Verdict().Evidence) != 0 {
		t.Errorf("evidence %+v of its own, %+v of the copy", own.Verdict().Evidence, copied.Verdict().Evidence)
	}
	own.Abandon()
	copied.Abandon()
}
