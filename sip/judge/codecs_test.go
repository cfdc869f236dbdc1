package judge

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/sdp"
)

// inG722 is the same stream from a phone that speaks G.722.
func inG722(packets []packet) []packet {
	var enc codec.G722Encoder
	out := make([]packet, len(packets))
	for i, p := range packets {
		raw := slices.Clone(p.raw)
		if raw[1]&0x7F == 0 {
			raw[1] = 9
			raw = enc.Encode(raw[:12], codec.MuLaw.Decode(nil, p.raw[12:]))
		}
		out[i] = packet{raw: raw, at: p.at}
	}
	return out
}

// TestG722IsHeard: a call in G.722 is heard as the same call in G.711 is.
func TestG722IsHeard(t *testing.T) {
	s := newStream(0.5)
	s.room(2).talk(3).room(1).keys(450, 450, 450, 450, 450).talk(4).room(2)
	hear := func(packets []packet) *Call {
		c, _ := call(t, bench(t, nil), "+34600000001", "")
		c.Answered(at(0.4))
		play(c, packets, 18)
		c.Ended(at(18))
		return c
	}
	a, b := hear(s.packets), hear(inG722(s.packets))
	f, g := a.Facts(), b.Facts()
	if g.HeardSeconds != f.HeardSeconds || math.Abs(g.SpeechSeconds-f.SpeechSeconds) > 0.3 || g.Digits != "12345" {
		t.Errorf("heard %g of %g s, speech %g of %g s, digits %q", g.HeardSeconds, f.HeardSeconds, g.SpeechSeconds, f.SpeechSeconds, g.Digits)
	}
	if d := math.Abs(a.Verdict().PMachine - b.Verdict().PMachine); d > 0.1 {
		t.Errorf("a machine by %.3f in G.722, by %.3f in G.711", b.Verdict().PMachine, a.Verdict().PMachine)
	}
}

// TestComfortNoiseIsHeard: the pauses of a sender that stops for them, after a
// packet of comfort noise, are time heard, and nobody's speech.
func TestComfortNoiseIsHeard(t *testing.T) {
	s := newStream(0.5)
	for range 4 {
		s.talk(1)
		s.send(13, s.ts, []byte{69}) // as loud as the room in talk
		s.now, s.ts = s.now.Add(980*time.Millisecond), s.ts+49*160
	}
	s.talk(1)
	c, _ := call(t, bench(t, nil), "+34600000001", "")
	play(c, s.packets, 12)
	c.Ended(at(12))
	f := c.Facts()
	if f.HeardSeconds < 8.9 || f.HeardSeconds > 9.1 || f.SpeechSeconds < 2 || f.SpeechSeconds > 6 {
		t.Errorf("heard %g s, speech %g s", f.HeardSeconds, f.SpeechSeconds)
	}
	for _, e := range c.Verdict().Evidence {
		if strings.HasPrefix(e.Name, "line.") {
			t.Errorf("noise that nobody sent is evidence: %+v", e)
		}
	}
}

// TestUnheardIsSaid: audio that cannot be decoded is relayed and not heard; the
// verdict says so and is what it was without.
func TestUnheardIsSaid(t *testing.T) {
	s := newStream(0.5)
	for range 250 {
		s.send(18, s.ts, make([]byte, 20))
	}
	c, _ := call(t, bench(t, nil), "+34600000001", "")
	before := c.Verdict()
	c.Codecs(map[uint8]sdp.Codec{18: {PT: 18, Name: "G729\x00", Clock: 8000}})
	play(c, s.packets, 8)
	c.Ended(at(8))
	v := c.Verdict()
	i := slices.IndexFunc(v.Evidence, func(e policy.Evidence) bool { return e.Name == "line.unheard" })
	if i < 0 || !strings.Contains(v.Evidence[i].Says, "G729?, which is relayed and not heard") || v.Evidence[i].LLR != 0 {
		t.Errorf("evidence %+v", v.Evidence)
	}
	if v.PMachine != before.PMachine || c.Facts().HeardSeconds != 0 {
		t.Errorf("a machine by %g, before by %g; heard %g s", v.PMachine, before.PMachine, c.Facts().HeardSeconds)
	}
}

// TestFarSideInG722: what the caller is sent is heard in G.722 too.
func TestFarSideInG722(t *testing.T) {
	caller, far := conversation(even...)
	want, ok := said(converse(t, bench(t, nil), caller, far), "turns.latency")
	got, too := said(converse(t, bench(t, nil), inG722(caller), inG722(far)), "turns.latency")
	if !ok || !too || got != want {
		t.Errorf("in G.711 %+v, in G.722 %+v", want, got)
	}
}
