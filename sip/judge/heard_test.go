package judge

import (
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/sdp"
)

// conversation is five questions of the far side, each answered after delays, s.
func conversation(delays ...float64) (caller, far []packet) {
	f, c := newStream(1), newStream(1)
	f.room(0.5)
	c.room(0.5)
	for _, d := range delays {
		f.talk(2).room(d + 2)
		c.room(2 + d).talk(1).room(1)
	}
	return c.packets, f.packets
}

// converse plays both sides to a call in order of time.
func converse(t testing.TB, b *Bench, caller, far []packet) *Call {
	c, _ := call(t, b, "+4930999999", "")
	c.Answered(at(1))
	c.FarAnswered(at(1))
	for len(caller)+len(far) > 0 {
		if len(far) == 0 || len(caller) > 0 && caller[0].at.Before(far[0].at) {
			c.Packet(caller[0].raw, caller[0].at)
			caller = caller[1:]
		} else {
			c.Heard(far[0].raw, far[0].at)
			far = far[1:]
		}
	}
	c.Ended(at(40))
	return c
}

func said(c *Call, name string) (policy.Evidence, bool) {
	for _, e := range c.Verdict().Evidence {
		if e.Name == name {
			return e, true
		}
	}
	return policy.Evidence{}, false
}

var even = []float64{0.8, 0.8, 0.8, 0.8, 0.8}

func TestFarSideIsHeard(t *testing.T) {
	caller, far := conversation(even...)
	c := converse(t, bench(t, nil), caller, far)
	latency, ok := said(c, "turns.latency")
	spread, ok2 := said(c, "turns.spread")
	if !ok || !ok2 || !strings.HasPrefix(latency.Says, "answered 5 times, ") || spread.LLR < 1 {
		t.Errorf("evidence %+v", c.Verdict().Evidence)
	}
	t.Log(latency.Says, "/", spread.Says)
	caller, far = conversation(even...)
	c = converse(t, bench(t, nil), caller, wide(far))
	if e, ok := said(c, "turns.latency"); !ok || !strings.HasPrefix(e.Says, "answered 5 times, ") || math.Abs(e.LLR-latency.LLR) > 0.02 {
		t.Errorf("in G.722: %+v", c.Verdict().Evidence)
	}
	caller, far = conversation(0.2, 1.5, 0.5, 0.9, 0.3)
	c = converse(t, bench(t, nil), caller, far)
	if spread, ok = said(c, "turns.spread"); !ok || spread.LLR > 0 {
		t.Errorf("evidence %+v", c.Verdict().Evidence)
	}
}

// wide makes packets of µ-law ones of G.722.
func wide(in []packet) (out []packet) {
	var e codec.G722Encoder
	for _, p := range in {
		raw := slices.Clone(p.raw[:12])
		raw[1] = codec.PayloadG722
		out = append(out, packet{raw: e.Encode(raw, codec.MuLaw.Decode(nil, p.raw[12:])), at: p.at})
	}
	return out
}

// TestFarSideOrder: the evidence does not hang on which side was handed over first,
// nor on how long the way was that a packet took to whoever wrote its time down.
func TestFarSideOrder(t *testing.T) {
	caller, far := conversation(0.3, 0.9, 0.6, 1.2, 0.5)
	want := converse(t, bench(t, nil), caller, far).Verdict()
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	c.Answered(at(1))
	c.FarAnswered(at(1))
	slow := slices.Clone(far)
	for i := range slow {
		slow[i].at = slow[i].at.Add(time.Duration(i%7) * time.Millisecond)
	}
	for tick := 1.0; tick < 40; tick++ {
		for ; len(slow) > 0 && slow[0].at.Before(at(tick)); slow = slow[1:] {
			c.Heard(slow[0].raw, slow[0].at)
		}
		for ; len(caller) > 0 && caller[0].at.Before(at(tick)); caller = caller[1:] {
			c.Packet(caller[0].raw, caller[0].at)
		}
		c.Advance(at(tick))
	}
	c.Ended(at(40))
	got := c.Verdict()
	if len(got.Evidence) != len(want.Evidence) {
		t.Fatalf("%d items, want %d", len(got.Evidence), len(want.Evidence))
	}
	for i, e := range got.Evidence {
		if w := want.Evidence[i]; e.Name != w.Name || e.LLR-w.LLR > 0.02 || w.LLR-e.LLR > 0.02 {
			t.Errorf("%+v, want %+v", e, w)
		}
	}
}

// TestFarSideAbstains: what is lost or late of the far side silences what is said
// of the exchange; nothing else.
func TestFarSideAbstains(t *testing.T) {
	for name, spoil := range map[string]func(*Call, []packet) []packet{
		"one in ten is lost": func(_ *Call, far []packet) []packet {
			return slices.DeleteFunc(far, func(p packet) bool { return p.raw[3]%10 == 0 })
		},
		"held up, then in a burst": func(_ *Call, far []packet) []packet {
			for i := 100; i < 140; i++ {
				far[i].at = far[140].at
			}
			return far
		},
		"not heard by the analysis": func(c *Call, far []packet) []packet { c.Late(0, 1); return far },
		"in a codec that is not decoded": func(c *Call, far []packet) []packet {
			c.Codecs(map[uint8]sdp.Codec{0: {PT: 0, Name: "G729", Clock: 8000}})
			return far
		},
	} {
		caller, far := conversation(even...)
		c, _ := call(t, bench(t, nil), "+4930999999", "")
		far = spoil(c, slices.Clone(far))
		c.Answered(at(1))
		for _, p := range far {
			c.others.add(p.raw, p.at, p.at.Sub(start))
		}
		play(c, caller, 30)
		c.Ended(at(40))
		for _, e := range c.Verdict().Evidence {
			if strings.HasPrefix(e.Name, "turns.") && e.Name != "turns.monologue" && e.Name != "turns.answer_latency" {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// TestFarSidePauses: a far side that sends only while it speaks, with a clock that
// runs on or stands still, is heard like any other (but for its first words, before
// the detector knows what silence is).
func TestFarSidePauses(t *testing.T) {
	for name, stops := range map[string]bool{"the clock runs on": false, "the clock stands still": true} {
		caller, far := conversation(even...)
		var sent []packet
		ts := uint32(0)
		for _, p := range far {
			pcm := codec.MuLaw.Decode(nil, p.raw[12:])
			loud := slices.ContainsFunc(pcm, func(v int16) bool { return v > 300 })
			if !loud && len(sent) > 0 {
				continue
			}
			p.raw = slices.Clone(p.raw)
			n := uint16(len(sent))
			p.raw[2], p.raw[3] = byte(n>>8), byte(n)
			if stops {
				p.raw[4], p.raw[5], p.raw[6], p.raw[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
				ts += 160
			}
			sent = append(sent, p)
		}
		c := converse(t, bench(t, nil), caller, sent)
		if e, ok := said(c, "turns.latency"); !ok || !strings.HasPrefix(e.Says, "answered 4 times") {
			t.Errorf("%s: %+v", name, c.Verdict().Evidence)
		}
	}
}

// TestLateAnalysisAbstains: the analysis missed packets of the caller: the verdict
// says so, and too many of them leave the signalling's alone.
func TestLateAnalysisAbstains(t *testing.T) {
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	c.Answered(at(1))
	play(c, machineKeys(1), 10)
	before := c.Verdict()
	if before.Class != policy.Assistant {
		t.Fatalf("verdict %+v", before)
	}
	c.Late(2, 0)
	c.Advance(at(11))
	v := c.Verdict()
	if e, ok := said(c, "analysis.late"); !ok || e.LLR != 0 || v.Class != before.Class || v.PMachine != before.PMachine || strings.Contains(e.Says, "not judged") {
		t.Errorf("two packets were missed: %+v", v)
	}
	c.Late(200, 0)
	c.Ended(at(12))
	v = c.Verdict()
	e, ok := said(c, "analysis.late")
	if !ok || v.Class != policy.Unknown || e.Says != "the analysis was late: 200 of the caller's packets were not heard, and what was heard is not judged" {
		t.Errorf("many packets were missed: %+v", v)
	}
	for _, e := range v.Evidence {
		if f := policy.FamilyOf(e.Name); f != "sig" && f != "identity" && f != "analysis" {
			t.Errorf("%+v", e)
		}
	}
	if v.PMachine >= before.PMachine {
		t.Errorf("P(machine) is still %v", v.PMachine)
	}
}

// cpu is what the process has used: on a busy machine the clock says little.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOther is what a second of the other side's audio costs.
func BenchmarkOther(b *testing.B) {
	_, far := conversation(even...)
	b.Run("G.711", func(b *testing.B) { benchmarkOther(b, far) })
	b.Run("G.722", func(b *testing.B) { benchmarkOther(b, wide(far)) })
}

func benchmarkOther(b *testing.B, far []packet) {
	o := newOther(turns.New(nil).Far())
	var raw [12 + 160]byte
	now := start
	b.ReportAllocs()
	seq, ts := uint16(0), uint32(0)
	began := cpu()
	for b.Loop() {
		for i := range 50 {
			copy(raw[:], far[(int(seq)+i)%len(far)].raw)
			raw[2], raw[3] = byte(seq>>8), byte(seq)
			raw[4], raw[5], raw[6], raw[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
			o.packet(raw[:], now)
			now, seq, ts = now.Add(20*time.Millisecond), seq+1, ts+160
		}
	}
	b.ReportMetric(float64((cpu()-began).Microseconds())/float64(b.N), "cpu-µs/s-of-audio")
}

// BenchmarkCaller is what a second of the caller's costs, with the voice's model
// and all, for comparison.
func BenchmarkCaller(b *testing.B) {
	caller, _ := conversation(even...)
	var raw [12 + 160]byte
	now := start
	seq, ts := uint16(0), uint32(0)
	bn := bench(b, nil)
	c, _ := call(b, bn, "+4930999999", "")
	e := c.ear
	began := cpu()
	for b.Loop() {
		for i := range 50 {
			copy(raw[:], caller[(int(seq)+i)%len(caller)].raw)
			raw[2], raw[3] = byte(seq>>8), byte(seq)
			raw[4], raw[5], raw[6], raw[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
			e.full = false
			e.packet(raw[:], now)
			now, seq, ts = now.Add(20*time.Millisecond), seq+1, ts+160
		}
	}
	b.ReportMetric(float64((cpu()-began).Microseconds())/float64(b.N), "cpu-µs/s-of-audio")
}
