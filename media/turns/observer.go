package turns

import (
	"fmt"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

// Observer collects one caller's turns. The zero value is not ready; use New.
// It is not safe for concurrent use.
type Observer struct {
	answered time.Time     // when the caller's leg was answered; zero until then
	begun    time.Time     // start of the first speech after the answer; zero until then
	opening  time.Duration // length of the turn that began then
	early    bool          // there was speech before the answer, so the first start says nothing

	speaking bool
	now      time.Time     // the latest time seen
	turn     time.Time     // start of the present turn: speech with no pause of gap
	quiet    time.Time     // when speech last stopped
	longest  time.Duration // longest turn so far

	keys keys

	weights     *Weights
	caller, far Track
	deaf        bool // what the other side says is not known well enough
}

// gap is the pause that ends a turn: longer than the pauses inside sentences,
// as long as a partner needs to begin.
const gap = 1200 * time.Millisecond

// New gives an observer that has seen nothing and judges by w; nil is the
// built-in weights.
func New(w *Weights) *Observer {
	if w == nil {
		w = DefaultWeights()
	}
	return &Observer{weights: w}
}

// Caller is when the caller spoke, Far when the other side did: the far side and
// Portero's own voice, as the caller heard them. Whoever has the audio tells them.
func (o *Observer) Caller() *Track { return &o.caller }

// Far is the other side's; see Caller.
func (o *Observer) Far() *Track { return &o.far }

// Deaf says whether what the other side says is not known well enough, because
// packets of it were lost or late: then nothing is said of the exchange.
func (o *Observer) Deaf(deaf bool) { o.deaf = deaf }

// Answered says when the caller's leg was answered (the 200 to the INVITE).
// Only the first counts.
func (o *Observer) Answered(at time.Time) {
	if o.answered.IsZero() {
		o.answered = at
		o.early = o.speaking
	}
}

// Speech says whether the caller speaks at a moment. Call it for each frame or
// at each change; times must not go back, those that do are ignored.
func (o *Observer) Speech(at time.Time, speaking bool) {
	if at.Before(o.now) {
		return
	}
	o.now = at
	switch {
	case speaking && !o.speaking:
		if o.turn.IsZero() || at.Sub(o.quiet) >= gap {
			o.turn = at
		}
		if o.begun.IsZero() && !o.answered.IsZero() && !at.Before(o.answered) {
			o.begun = at
		}
	case !speaking && o.speaking:
		o.quiet = at
	}
	o.speaking = speaking
	if speaking {
		if d := at.Sub(o.turn); d > o.longest {
			o.longest = d
		}
		if !o.begun.IsZero() && !o.turn.After(o.begun) {
			o.opening = at.Sub(o.begun)
		}
	}
}

// Echoes says whether the line sends back what the other side says, as far as that
// is known: what is heard of the caller may be the other side's then.
func (o *Observer) Echoes() bool {
	if o.deaf || len(o.far.spans) == 0 {
		return false
	}
	x := exchanged(&o.caller, &o.far, o.answered)
	return x.echo()
}

// Digit says that the caller pressed a key.
func (o *Observer) Digit(d codec.Digit) { o.keys.add(d) }

// Evidence gives what follows from the turns and keys so far.
func (o *Observer) Evidence() []policy.Evidence {
	var e []policy.Evidence
	if o.begun.IsZero() || o.early {
		// Nothing was said since the answer, or the speech runs from before.
	} else if latency := o.begun.Sub(o.answered); latency < atOnce && o.opening >= leastOpening {
		e = append(e, policy.Evidence{
			Name: "turns.answer_latency", LLR: llrAtOnce, Recording: recordingAtOnce,
			Says: fmt.Sprintf("began to speak %s after the call was answered, before any greeting could be heard", rough(float64(latency)/1e6)),
		})
	}
	switch {
	case o.longest >= longMonologue:
		e = append(e, monologue(2*llrMonologue, recordingLong, longMonologue))
	case o.longest >= shortMonologue:
		e = append(e, monologue(llrMonologue, recordingShort, shortMonologue))
	}
	e = o.keys.evidence(e, o.weights)
	if o.deaf || o.answered.IsZero() || len(o.far.spans) == 0 || o.far.full || o.caller.full {
		return e
	}
	x := exchanged(&o.caller, &o.far, o.answered)
	return append(e, x.evidence(o.weights)...)
}

// Thresholds and weights. No public data separates callers by turns on the
// telephone; the weights are small because polite people wait for the greeting
// and hasty ones do not, and because a person leaving a message monologues too.
const (
	atOnce          = 300 * time.Millisecond // a person's reaction to a greeting takes about 200 ms after its end
	leastOpening    = 2 * time.Second        // a cough or "hello?" is shorter
	llrAtOnce       = 0.6
	recordingAtOnce = 0.6

	shortMonologue = 12 * time.Second
	longMonologue  = 25 * time.Second
	llrMonologue   = 0.3
	recordingShort = 1.0
	recordingLong  = 2.0
)

func monologue(llr, recording float64, over time.Duration) policy.Evidence {
	return policy.Evidence{
		Name: "turns.monologue", LLR: llr, Recording: recording,
		Says: "spoke for more than " + over.String() + " without leaving room for an answer",
	}
}
