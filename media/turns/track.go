package turns

import (
	"time"

	"github.com/portero/portero/media/voice"
)

// Track is when one side spoke: spans of speech with pauses of 200 ms and more
// between them (voice.Activity's). It looks at times, never at samples.
type Track struct {
	spans []span
	open  bool      // the last span may go on
	floor time.Time // nothing that is heard now began before: there was a gap
	full  bool      // more than maxSpans: what followed is not known
}

type span struct{ from, to time.Time }

// maxSpans bounds what is kept of a side: with pauses, that is more than the two
// minutes that are heard.
const maxSpans = 256

// Heard takes what the detector says at a moment, the end of the audio that it has
// taken so far.
func (t *Track) Heard(at time.Time, a *voice.Activity) {
	if !a.Active() {
		t.open = false
		return
	}
	ago := func(s float64) time.Time { return at.Add(-time.Duration((a.Seconds() - s) * 1e9)) }
	if !t.open {
		if len(t.spans) == maxSpans {
			t.full = true
			return
		}
		from := ago(a.Started())
		if from.Before(t.floor) {
			from = t.floor
		}
		if t.spans == nil {
			t.spans = make([]span, 0, 32)
		}
		t.spans = append(t.spans, span{from, from})
		t.open = true
	}
	last := &t.spans[len(t.spans)-1]
	if to := ago(a.Ended()); to.After(last.to) {
		last.to = to
	}
}

// Gap says that nothing was sent until a moment: that is silence too.
func (t *Track) Gap(until time.Time) { t.open, t.floor = false, until }

// seconds is how long this side has spoken since a moment.
func (t *Track) seconds(since time.Time) float64 {
	sum := 0.0
	for _, s := range t.spans {
		sum += both(s, span{since, s.to}).Seconds()
	}
	return sum
}

// both is how long two spans last together.
func both(a, b span) time.Duration {
	from, to := a.from, a.to
	if b.from.After(from) {
		from = b.from
	}
	if b.to.Before(to) {
		to = b.to
	}
	return max(0, to.Sub(from))
}
