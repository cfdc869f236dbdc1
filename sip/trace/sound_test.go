package trace

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/judge"
)

// TestTextTelephone: a capture of somebody who types on a TTY is judged as such a call
// is, and shows where a rule sends it.
func TestTextTelephone(t *testing.T) {
	cfg := rules.Defaults()
	cfg.Rules = []rules.Rule{{Name: "typists", When: "text_telephone", Action: policy.ToAgents, Destination: "desk"}}
	set, err := rules.Compile(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := newFilm(t)
	s := newScript(f, "tty")
	s.say("INVITE+sdp", "180", "200+sdp", "ACK")
	// "TEST TEST GA", five bits a letter at 45.45 baud, 1400 Hz for a one and 1800 for a
	// zero, with a start and two stops.
	bits := strings.Repeat("1", 20)
	for _, code := range []int{16, 1, 5, 16, 4, 16, 1, 5, 16, 4, 26, 3} {
		bits += "0"
		for i := range 5 {
			bits += string(rune('0' + code>>i&1))
		}
		bits += "11"
	}
	bits += strings.Repeat("1", 20)
	phase := 0.0
	for n := 0; n*160 < int(float64(len(bits))/45.45*8000); n++ {
		p := rtpPacket(9, 0, uint16(n), uint32(160*n))
		for i := range p[12:] {
			hz := 1800.0
			if bits[min(int(float64(n*160+i)*45.45/8000), len(bits)-1)] == '1' {
				hz = 1400
			}
			phase += 2 * math.Pi * hz / 8000
			p[12+i] = g711.EncodeUlawFrame(int16(5000 * math.Sin(phase)))
		}
		f.udp(aRTP, bRTP, string(p))
		f.wait(20 * time.Millisecond)
	}
	s.say("!BYE", "200")
	c := f.judged(Options{Bench: &judge.Bench{Rules: set, Config: judge.Defaults(), Mode: policy.Observe}})[0]
	var said Evidence
	for _, e := range c.Verdict.Evidence {
		if e.LLR > 0 {
			t.Errorf("%+v", e)
		}
		if e.Name == "sound.text_telephone" {
			said = e
		}
	}
	if !strings.Contains(said.Says, "TTY, 45 baud") || said.Frame == 0 || c.Verdict.Class != policy.Unknown || c.Decision.Rule != "typists" || c.Decision.Destination != "desk" {
		t.Errorf("verdict %+v, decision %+v", c.Verdict, c.Decision)
	}
}
