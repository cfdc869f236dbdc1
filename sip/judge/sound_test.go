package judge

import (
	"math"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
)

// tty types on a text telephone: five bits at 45.45 baud, 1400 Hz for a one and 1800
// for a zero (TIA-825), exactly silent between the words as no telephone is.
func tty(l *stream, text string) {
	letters := map[rune]int{' ': 4, 'A': 3, 'E': 1, 'G': 26, 'H': 20, 'I': 6, 'L': 18, 'N': 12, 'O': 24, 'R': 10, 'S': 5, 'T': 16}
	phase := 0.0
	for _, word := range strings.SplitAfter(text, " ") {
		bits := "1111111"
		for _, r := range word {
			bits += "0"
			for i := range 5 {
				bits += string(rune('0' + letters[r]>>i&1))
			}
			bits += "11"
		}
		bits += "111111111"
		n := 0
		l.sound(float64(len(bits))/45.45, func() float64 {
			hz := 1800.0
			if bits[min(int(float64(n)*45.45/8000), len(bits)-1)] == '1' {
				hz = 1400
			}
			n++
			phase += 2 * math.Pi * hz / 8000
			return 5000 * math.Sin(phase)
		})
		l.sound(0.6, func() float64 { return 0 })
	}
}

// tone is a tone of so many seconds, and then silence.
func (l *stream) tone(hz, on, off float64) *stream {
	n := 0.0
	l.sound(on, func() float64 { n++; return 6000 * math.Sin(2*math.Pi*hz*n/8000) })
	return l.sound(off, func() float64 { return 4 * l.rng.NormFloat64() })
}

// TestTextTelephone: a caller who types is not judged a machine at any moment, be
// the prior, the signalling and the line what they may; rules see the fact, and may
// send them where they are understood.
func TestTextTelephone(t *testing.T) {
	desk := rules.Rule{Name: "typists", When: "text_telephone", Action: policy.ToAgents, Destination: "desk"}
	b := bench(t, func(rc *rules.Config, jc *Config) {
		rule(desk, rules.Rule{Name: "late", When: "p_machine >= 0.5", Stages: []policy.Stage{policy.Listening}, Action: policy.ToAutomation, Destination: "bots"})(rc, jc)
		jc.ListenFor, jc.Prior = 60e9, 0.7
	})
	s := newStream(1.2)
	s.ts, s.seq = 0, 0 // rtp.first_zero
	s.room(2)
	tty(s, "HELLO THIS IS A TTY HELLO GA ")
	c, _, err := b.Open(Arrival{Raw: invite("+4930999999", "100", ""), At: start, Load: policy.Load{Surge: 8, Shift: 2}})
	if err != nil {
		t.Fatal(err)
	}
	c.Codecs(codecs)
	c.Answered(at(1))
	c.FarAnswered(at(1))
	play(c, s.packets, 40)
	c.Ended(at(41))
	v, f := c.Verdict(), c.Facts()
	if !f.TextTelephone || f.Sound != "text_telephone" || v.Class == policy.Assistant || v.Class == policy.Recording || v.PMachine > 0.2 {
		t.Errorf("facts %+v, verdict %+v", f, v)
	}
	sum := c.Prior()
	for _, x := range c.Contributions() {
		sum += x.Effect
	}
	if p := policy.Probability(sum); math.Abs(p-v.PMachine) > 1e-4 {
		t.Errorf("prior and effects make %.4f, the verdict says %.4f", p, v.PMachine)
	}
	for _, e := range v.Evidence {
		if e.LLR > 0 || e.Recording != 0 {
			t.Errorf("%+v counts against a person who types", e)
		}
	}
	if e, ok := said(c, "sound.text_telephone"); !ok || !strings.Contains(e.Says, "TTY, 45 baud") {
		t.Errorf("evidence %+v", v.Evidence)
	}
	// The prior alone moved the caller before a word was typed; then they come to the desk.
	if got := path(c.Decisions()); !strings.HasSuffix(got, ":typists>agents/desk ") {
		t.Errorf("went %s", got)
	}
}

// TestTextTelephoneComesBack: who was moved as a machine, and types then, goes back to
// the agents, without any rule for them.
func TestTextTelephoneComesBack(t *testing.T) {
	b := bench(t, func(_ *rules.Config, jc *Config) { jc.ListenFor = 60e9 })
	s := newStream(1.2)
	s.room(1).keys(500, 500, 500, 500, 500, 500)
	tty(s, "HELLO THIS IS A TTY GA ")
	c, _ := call(t, b, "+4930999999", "")
	c.Answered(at(1))
	c.FarAnswered(at(1))
	play(c, s.packets, 25)
	c.Ended(at(26))
	if got := path(c.Decisions()); !strings.Contains(got, "machine>automation/bots") || !strings.HasSuffix(got, "default>agents/agents ") {
		t.Errorf("went %s, verdict %+v", got, c.Verdict())
	}
}

// TestNoVoice: fax, modem, ringing and music are neither a person nor an assistant:
// the class is unknown, no voice and no turn is judged, and a rule may ask.
func TestNoVoice(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		play       func(l *stream)
	}{
		{"fax", "fax", func(l *stream) {
			for range 3 {
				l.tone(1100, 0.5, 3)
			}
		}},
		{"modem", "modem", func(l *stream) { l.tone(2100, 3.3, 1) }},
		{"ringing", "tones", func(l *stream) {
			for range 3 {
				l.tone(425, 1, 4)
			}
		}},
		{"music", "music", melody},
	} {
		b := bench(t, rule(rules.Rule{Name: "elsewhere", When: `sound == "` + c.kind + `"`, Stages: []policy.Stage{policy.Listening}, Action: policy.ToAutomation, Destination: "bots"}))
		s := newStream(1.2)
		c.play(s)
		j, _ := call(t, b, "+4930999999", "")
		j.Answered(at(1))
		j.FarAnswered(at(14))
		play(j, s.packets, 30)
		j.Ended(at(31))
		v := j.Verdict()
		if v.Class != policy.Unknown || j.Facts().Sound != c.kind || !strings.Contains(path(j.Decisions()), "elsewhere>automation") {
			t.Errorf("%s: %q, went %s, %+v", c.name, j.Facts().Sound, path(j.Decisions()), v)
		}
		for _, e := range v.Evidence {
			if n := policy.FamilyOf(e.Name); n == "voice" || n == "turns" || n == "line" {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
	}
}

// melody is music as it waits on a line: chords that are held, one after the other,
// with an accent at each.
func melody(l *stream) {
	chords := [][]float64{{262, 330, 392}, {220, 262, 330}, {175, 220, 262}, {196, 247, 294}}
	for i := range 13 {
		n := 0.0
		l.sound(1, func() float64 {
			n++
			v := 0.0
			for _, f := range chords[i%4] {
				for h := 1.0; h <= 5; h++ {
					v += math.Sin(2*math.Pi*f*h*n/8000) / h
				}
			}
			return 1500 * v * (0.4 + 0.6*math.Exp(-n/2000))
		})
	}
}

// TestKeyTonesAreKeys: keys in the audio, held long, are keys and no tones.
func TestKeyTonesAreKeys(t *testing.T) {
	s := newStream(1.2).room(1)
	for i := range 10 {
		n := 0.0
		low, high := []float64{697, 770, 852}[i%3], []float64{1209, 1336, 1477}[i%3]
		s.sound(0.3, func() float64 {
			n++
			return 4000*math.Sin(2*math.Pi*low*n/8000) + 4000*math.Sin(2*math.Pi*high*n/8000)
		}).room(0.2)
	}
	c, _ := call(t, bench(t, nil), "+4930999999", "")
	c.Answered(at(1))
	play(c, s.packets, 10)
	c.Ended(at(11))
	if e, ok := said(c, "keys.regular"); !ok || e.LLR < 3 || c.Verdict().Class != policy.Assistant || c.Facts().Sound != "" {
		t.Errorf("sound %q, verdict %+v", c.Facts().Sound, c.Verdict())
	}
}

// TestTextOffered: real-time text in the INVITE is a fact and a sentence, and weighs
// nothing.
func TestTextOffered(t *testing.T) {
	b := bench(t, nil)
	for offer, want := range map[string]bool{
		"m=audio 4000 RTP/AVP 0\r\nm=text 4002 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n": true,
		"m=audio 4000 RTP/AVP 0\r\nm=text 0 RTP/AVP 98\r\n":                             false,
		"m=audio 4000 RTP/AVP 0 98\r\na=rtpmap:98 t140c/8000\r\n":                       true,
		"m=audio 4000 RTP/AVP 0\r\n":                                                    false,
	} {
		raw := strings.Replace(string(invite("1", "2", "")), "Content-Length: 0\r\n\r\n", "Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"+offer, 1)
		c, _, err := b.Open(Arrival{Raw: []byte(raw), At: start})
		if err != nil {
			t.Fatal(err)
		}
		e, ok := said(c, "sig.text_media")
		if c.Facts().TextOffered != want || ok != want || e.LLR != 0 || c.Verdict().PMachine != 0.2 {
			t.Errorf("%q: facts %+v, verdict %+v", offer, c.Facts(), c.Verdict())
		}
		c.Abandon()
	}
}

// TestLoop: a message that begins anew whatever the other side says is a recording,
// whoever once spoke it.
func TestLoop(t *testing.T) {
	caller, far := newStream(1.1), newStream(1)
	for range 3 {
		caller.message(3, 9).room(0.9)
		far.room(3).talk(2).room(1.5).talk(2).room(1.4)
	}
	c := converse(t, bench(t, nil), caller.packets, far.packets)
	e, ok := said(c, "sound.repeats")
	if v := c.Verdict(); !ok || !strings.Contains(e.Says, "plays in a loop") || v.Class != policy.Recording {
		t.Errorf("%s %.2f, %+v", v.Class, v.PMachine, v.Evidence)
	}
}

// TestSentenceAgain: one sentence that comes twice, as from a speech device that has
// it ready, makes nobody a machine.
func TestSentenceAgain(t *testing.T) {
	caller, far := newStream(1.1), newStream(1)
	for i, seed := range []uint64{3, 4, 5, 3} {
		pause := []float64{0.2, 1.1, -0.3, 0.6}[i]
		caller.room(2.4+pause).message(seed, 6).room(1.6 - pause)
		far.room(0.5).talk(2).room(7.5)
	}
	c := converse(t, bench(t, nil), caller.packets, far.packets)
	e, ok := said(c, "sound.repeats")
	// The sound that stands for a voice here is made by a machine, and heard as such.
	voice, _ := said(c, "voice.synthetic")
	if v := c.Verdict(); !ok || !strings.Contains(e.Says, "again as before") || v.Class == policy.Recording || policy.LogOdds(v.PMachine)-voice.LLR > policy.LogOdds(0.8) {
		t.Errorf("%s %.2f, %+v", v.Class, v.PMachine, v.Evidence)
	}
}

// TestEchoIsNoLoop: what the caller's line sends back of a prompt that is said again is
// not the caller's.
func TestEchoIsNoLoop(t *testing.T) {
	caller, far := newStream(1.1), newStream(1)
	for range 3 {
		caller.room(1).message(3, 6).room(2)
		far.room(1).message(3, 6).room(2)
	}
	c := converse(t, bench(t, nil), caller.packets, far.packets)
	if e, ok := said(c, "sound.repeats"); ok {
		t.Errorf("%+v", e)
	}
}
