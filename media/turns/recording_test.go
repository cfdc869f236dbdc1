package turns

import (
	"math/rand/v2"
	"testing"
)

// TestRecordingsErrors measures how often a message that is played whatever is said to
// it, and people and assistants in talk, are told apart by who speaks when: the
// fused ratio of a machine, and that of a recording over an assistant. The other side
// asks every 6 to 9 s for 1.5 to 3 s, ten times; the message has sentences of 2 to 7 s
// with pauses of 0.3 to 1.5 s, of its own.
func TestRecordingsErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	between := func(a, b float64) float64 { return a + (b-a)*r.Float64() }
	prompts := func() (far [][2]float64) {
		for at := 0.8; len(far) < 10; at += between(6, 9) {
			far = append(far, [2]float64{at, at + between(1.5, 3)})
		}
		return far
	}
	message := func(far [][2]float64) (out [][2]float64) {
		for at := between(0.1, 2); at < far[9][1]; {
			end := at + between(2, 7)
			out = append(out, [2]float64{at, end})
			at = end + between(0.3, 1.5)
		}
		return out
	}
	answers := func(far [][2]float64, gap func() float64) (out [][2]float64) {
		for i, f := range far {
			at := max(f[1]+gap(), f[0]+0.4)
			end := at + between(1, 3)
			if i+1 < len(far) {
				end = min(end, far[i+1][0]+between(-0.5, 0.3))
			}
			out = append(out, [2]float64{at, max(end, at+0.5)})
		}
		return out
	}
	const runs = 300
	share := func(caller func(far [][2]float64) [][2]float64, is func(llr, rec float64) bool) float64 {
		n := 0
		for range runs {
			far := prompts()
			llr, rec := 0.0, 0.0
			for _, e := range talk(far, caller(far)).Evidence() {
				llr += e.LLR
				rec += e.Recording
			}
			if is(min(max(llr, -2), 2), rec) { // the family's caps
				n++
			}
		}
		return float64(n) / runs
	}
	person := func(far [][2]float64) [][2]float64 {
		return answers(far, func() float64 { return 0.25 + 0.4*r.NormFloat64() })
	}
	assistant := func(far [][2]float64) [][2]float64 {
		return answers(far, func() float64 { return 0.9 + 0.2*r.NormFloat64() })
	}
	found := share(message, func(llr, rec float64) bool { return llr > 0 && rec > 0 })
	people := share(person, func(llr, rec float64) bool { return llr > 0 && rec > 0 })
	badly := share(person, func(llr, rec float64) bool { return llr > 1 && rec > 0 })
	assistants := share(assistant, func(_, rec float64) bool { return rec > 0 })
	t.Logf("told as recordings: %.1f%% of messages, %.1f%% of people (%.1f%% by more than 1), %.1f%% of assistants", 100*found, 100*people, 100*badly, 100*assistants)
	if found < 0.75 || people > 0.02 || assistants > 0.02 {
		t.Error("that is not what is written in media/sound/README.md")
	}
}
