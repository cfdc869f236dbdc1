package judge

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/sdp"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// at is a moment s seconds after the INVITE.
func at(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }

// invite is an INVITE as a plain telephone sends it, with more in its Contact.
func invite(from, to, contact string) []byte {
	return fmt.Appendf(nil, "INVITE sip:%s@portero.example SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds\r\n"+
		"Max-Forwards: 70\r\n"+
		"From: \"Ana\" <sip:%s@trunk.example>;tag=1928301774\r\n"+
		"To: <sip:%s@portero.example>\r\n"+
		"Call-ID: a84b4c76e66710@192.0.2.1\r\n"+
		"CSeq: 314159 INVITE\r\n"+
		"Contact: <sip:ana@192.0.2.1>%s\r\n"+
		"User-Agent: Telephone 1.0\r\n"+
		"Content-Length: 0\r\n\r\n", to, from, to, contact)
}

// packet is an RTP packet and when it arrives.
type packet struct {
	raw []byte
	at  time.Time
}

const eventType = 101

var codecs = map[uint8]sdp.Codec{0: {PT: 0, Name: "PCMU", Clock: 8000}, eventType: {PT: eventType, Name: "telephone-event", Clock: 8000}}

// stream makes the RTP stream of a caller, in order of arrival: 20 ms packets on a
// grid with some ms of jitter.
type stream struct {
	rng     *rand.Rand
	now     time.Time
	seq     uint16
	ts      uint32
	phase   float64
	packets []packet
}

func newStream(from float64) *stream {
	return &stream{rng: rand.New(rand.NewPCG(1, 2)), now: at(from), seq: 4711, ts: 123456}
}

func (l *stream) send(pt uint8, ts uint32, payload []byte) {
	raw := make([]byte, 12, 12+len(payload))
	raw[0], raw[1] = 0x80, pt
	binary.BigEndian.PutUint16(raw[2:], l.seq)
	binary.BigEndian.PutUint32(raw[4:], ts)
	binary.BigEndian.PutUint32(raw[8:], 0xDECAFBAD)
	jitter := time.Duration(l.rng.IntN(3000)) * time.Microsecond
	l.packets = append(l.packets, packet{raw: append(raw, payload...), at: l.now.Add(jitter)})
	l.seq++
	l.ts += 160
	l.now = l.now.Add(20 * time.Millisecond)
}

// sound sends samples for some seconds.
func (l *stream) sound(seconds float64, sample func() float64) *stream {
	pcm := make([]int16, 160)
	for range int(math.Round(seconds * 50)) {
		for i := range pcm {
			pcm[i] = int16(max(-30000, min(30000, sample())))
		}
		l.send(0, l.ts, codec.MuLaw.Encode(nil, pcm))
	}
	return l
}

// room is the noise of a room.
func (l *stream) room(seconds float64) *stream {
	return l.sound(seconds, func() float64 { return 12 * l.rng.NormFloat64() })
}

// talk is something between a voice and a buzzer: harmonics that come and go.
func (l *stream) talk(seconds float64) *stream {
	n := 0.0
	return l.sound(seconds, func() float64 {
		n++
		l.phase += 2 * math.Pi * (120 + 30*math.Sin(n/2600)) / 8000
		x := 0.0
		for h := 1.0; h < 12; h++ {
			x += math.Sin(h*l.phase) / h
		}
		return 2500*x*math.Max(0, math.Sin(n/1100)) + 12*l.rng.NormFloat64()
	})
}

// key presses a key (RFC 4733) for some ms and is silent until the next one,
// gap ms after its beginning.
func (l *stream) key(key byte, ms, gap int) *stream {
	ts := l.ts
	event := byte(key - '0')
	for d := 20; d <= ms; d += 20 {
		l.send(eventType, ts, []byte{event, 10, byte(d * 8 >> 8), byte(d * 8)})
	}
	for range 3 {
		raw := []byte{event, 0x80 | 10, byte(ms * 8 >> 8), byte(ms * 8)}
		l.send(eventType, ts, raw)
	}
	return l.room(float64(gap-ms-60) / 1000)
}

// keys presses keys with gaps of ms from one to the next.
func (l *stream) keys(gaps ...int) *stream {
	for i, g := range gaps {
		l.key(byte('1'+i%9), 100, g)
	}
	return l
}

// bench judges by a policy with something of everything.
func bench(t testing.TB, change func(*rules.Config, *Config)) *Bench {
	t.Helper()
	rc, jc := rules.Defaults(), Defaults()
	jc.ListenFor = 6 * time.Second // shorter scripts do
	rc.Lists = map[string][]string{"vip": {"+4930123456"}, "relay": {"+1711*"}}
	rc.Allow, rc.Relay = []string{"vip"}, []string{"relay"}
	rc.Rules = []rules.Rule{
		{Name: "declared", When: "automata", Action: policy.ToAutomation, Destination: "bots"},
		{Name: "machine", When: `class in ["assistant", "recording"]`, Action: policy.ToAutomation, Destination: "bots"},
	}
	if change != nil {
		change(&rc, &jc)
	}
	set, err := rules.Compile(rc, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Bench{Rules: set, Config: jc, Mode: policy.Enforce}
}

// rule puts rules before the bench's.
func rule(first ...rules.Rule) func(*rules.Config, *Config) {
	return func(rc *rules.Config, _ *Config) { rc.Rules = append(first, rc.Rules...) }
}

// call opens a call from a number.
func call(t testing.TB, b *Bench, from, contact string) (*Call, policy.Decision) {
	t.Helper()
	c, d, err := b.Open(Arrival{Raw: invite(from, "100", contact), At: start, Trunk: "carrier"})
	if err != nil {
		t.Fatal(err)
	}
	c.Codecs(codecs)
	return c, d
}

// play gives the packets to the call and advances it once a second.
func play(c *Call, packets []packet, until float64) (news []policy.Decision) {
	next := 1.0
	for _, p := range packets {
		for ; next <= until && !at(next).After(p.at); next++ {
			news = append(news, c.Advance(at(next))...)
		}
		c.Packet(p.raw, p.at)
	}
	return append(news, c.Advance(at(until))...)
}

// path is where a call went: the decisions as text.
func path(decisions []policy.Decision) string {
	out := ""
	for _, d := range decisions {
		out += fmt.Sprintf("%s@%g:%s>%s%s ", d.Stage, d.At.Sub(start).Seconds(), d.Rule, d.Action, map[bool]string{true: "/" + d.Destination}[d.Destination != ""])
	}
	return out
}
