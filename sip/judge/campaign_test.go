package judge

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/campaign"
	"github.com/portero/portero/policy/rules"
)

// message is a passage that no other seed gives: syllables of noise and voice
// through changing resonances, as speech is to a print.
func (l *stream) message(seed uint64, seconds float64) *stream {
	rng := rand.New(rand.NewPCG(seed, 7))
	var n, left, length int
	var pitch, phase, loud float64
	var f, glide [3]float64 // resonances: frequency, and its change a sample
	bandwidth := [3]float64{60, 80, 120}
	var y [3][2]float64
	return l.sound(seconds, func() float64 {
		if left--; left <= 0 {
			left = 500 + rng.IntN(900)
			length = left
			loud = math.Exp(rng.NormFloat64()/2) * map[bool]float64{true: 0, false: 1}[rng.IntN(8) == 0]
			pitch = 90 + 120*rng.Float64()
			f = [3]float64{250 + 600*rng.Float64(), 900 + 1200*rng.Float64(), 2200 + 1000*rng.Float64()}
			for i := range glide {
				glide[i] = 0.25 * f[i] * rng.NormFloat64() / float64(length)
			}
		}
		n++
		phase += pitch * (1 + 0.03*math.Sin(float64(n)/900)) / 8000
		x := 0.15 * rng.NormFloat64()
		if phase >= 1 {
			phase--
			x += 8
		}
		out := 0.0
		for i := range f {
			f[i] += glide[i]
			r := math.Exp(-math.Pi * bandwidth[i] / 8000)
			v := x + 2*r*math.Cos(2*math.Pi*f[i]/8000)*y[i][0] - r*r*y[i][1]
			y[i] = [2]float64{v, y[i][0]}
			out += v
		}
		rise := math.Sin(math.Pi * float64(left) / float64(length))
		return 300*loud*rise*rise*out + 6*l.rng.NormFloat64()
	})
}

func campaignBench(t *testing.T) *Bench {
	b := bench(t, func(rc *rules.Config, jc *Config) {
		jc.ListenFor = 20 * time.Second
		rc.Rules = []rules.Rule{{Name: "repeated", When: `campaign > 0 && has("campaign.same_speech")`, Action: policy.ToCallback}}
	})
	b.Campaigns = campaign.New(campaign.Defaults())
	return b
}

// hear plays packets to a call from a number; from is when the call begins.
func hear(t *testing.T, b *Bench, number string, from float64, s *stream, end float64) *Call {
	t.Helper()
	c, _, err := b.Open(Arrival{Raw: invite(number, "100", ""), At: at(from)})
	if err != nil {
		t.Fatal(err)
	}
	c.Answered(at(from + 0.5))
	c.FarAnswered(at(from + 0.5))
	for _, p := range s.packets {
		c.Packet(p.raw, p.at)
	}
	c.Advance(at(end))
	return c
}

func TestRepeatedMessage(t *testing.T) {
	b := campaignBench(t)
	first := hear(t, b, "+4930111111", 0, newStream(0.6).room(0.4).message(1, 8), 9)
	first.Ended(at(9.2))
	if got := path(first.Decisions()); strings.Contains(got, "callback") {
		t.Errorf("the first call went %s", got)
	}
	second := hear(t, b, "+4930222222", 20, newStream(20.9).room(0.73).message(1, 8), 29.5)
	if got := path(second.Decisions()); !strings.Contains(got, "repeated>callback") {
		t.Errorf("the second call went %s, campaign %d, evidence %v", got, second.Facts().Campaign, second.Verdict().Evidence)
	} else if d := second.Decisions()[1]; d.At.After(at(29)) {
		t.Errorf("recognised only at %v", d.At.Sub(start))
	}
	second.Ended(at(29.6))
	if v := second.Verdict(); v.Class != policy.Recording {
		t.Errorf("verdict %+v", v)
	}
	third := hear(t, b, "+4930333333", 40, newStream(40.9).room(0.73).message(2, 8), 49.5)
	if third.Facts().Campaign != 0 {
		t.Errorf("another message was taken for the same: %+v", third.Verdict().Evidence)
	}
	third.Ended(at(50))
	if n := len(b.hops.calls); n != 0 {
		t.Errorf("%d calls are kept after their end", n)
	}
}

// A capture at a B2BUA holds both legs of a call: no campaign.
func TestOneCallAtTwoPlaces(t *testing.T) {
	b := campaignBench(t)
	run := func(numberB string, delay float64) (*Call, *Call) {
		open := func(number string, from float64) *Call {
			c, _, err := b.Open(Arrival{Raw: invite(number, "100", ""), At: at(from)})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		seed := uint64(100 * (delay + 1))
		one, two := open("+4930111111", 0), open(numberB, 0.01)
		a, z := newStream(0.6).room(0.4).message(seed, 8).packets, newStream(0.6+delay).room(0.4).message(seed, 8).packets
		z = z[25:] // the far leg is up half a second later
		for len(a)+len(z) > 0 {
			if len(z) == 0 || len(a) > 0 && a[0].at.Before(z[0].at) {
				one.Packet(a[0].raw, a[0].at)
				a = a[1:]
				continue
			}
			two.Packet(z[0].raw, z[0].at)
			z = z[1:]
		}
		one.Ended(at(10))
		two.Ended(at(10))
		return one, two
	}
	for _, delay := range []float64{0.0003, 0.02} {
		one, two := run("030111111", delay) // the number rewritten on the way
		if one.Facts().Campaign != 0 || two.Facts().Campaign != 0 {
			t.Errorf("%v s apart: campaigns of %d and %d", delay, one.Facts().Campaign, two.Facts().Campaign)
		}
	}
	one, two := run("+4930222222", 1.3) // two calls of one message, nearly at once
	if one.Facts().Campaign != 1 || two.Facts().Campaign != 1 {
		t.Errorf("1.3 s apart: campaigns of %d and %d, want 1 each", one.Facts().Campaign, two.Facts().Campaign)
	}
}

func TestAbandon(t *testing.T) {
	b := campaignBench(t)
	c := hear(t, b, "+4930111111", 0, newStream(0.6).message(1, 8), 8)
	if len(b.hops.calls) != 1 {
		t.Fatal("the call is not known: mend this test")
	}
	c.Abandon()
	c.Packet([]byte{0x80, 0}, at(9))
	if len(b.hops.calls) != 0 || len(c.Ended(at(10))) > 0 || len(c.Decisions()) != 1 {
		t.Error("an abandoned call lives on")
	}
}
