package door

import (
	"time"

	"github.com/portero/portero/media/codec"
	speech "github.com/portero/portero/media/voice"
)

// barge finds a caller who speaks over a prompt of the door's own. The worker that
// hears the call owns it.
type barge struct {
	activity speech.Activity
	enough   time.Duration // of speech
	since    time.Time     // the present speech; zero: there is none, or it was told
	told     bool
}

// bargeLevel is the least level of speech that interrupts, dBFS: a prompt goes out
// at −20, and what a line sends back of it is at least 20 dB lower (ITU-T G.122
// asks networks for more).
const bargeLevel = -40

// frame says whether the caller has now spoken long enough, once for each time
// they do, and since when.
func (b *barge) frame(f *codec.Frame) (since time.Time, ok bool) {
	if !b.activity.Frame(f.PCM) {
		b.since, b.told = time.Time{}, false
		return since, false
	}
	if b.since.IsZero() {
		b.since = f.At
	}
	if b.told || f.At.Sub(b.since) < b.enough || b.activity.Level() < bargeLevel {
		return since, false
	}
	b.told = true
	return b.since, true
}

func (h *hearing) frame(f *codec.Frame) {
	if since, ok := h.barge.frame(f); ok {
		c := h.c
		c.post(func() { c.spoke(since) })
	}
}
