package judge

import (
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/policy"
)

// ear is what listens to one caller: the decoder and the observers behind it.
type ear struct {
	decoder *codec.Decoder
	voice   *voice.Listener
	turns   *turns.Observer
	digits  []byte
	packets int       // RTP packets heard
	frameAt time.Time // arrival of the last frame
	full    bool      // enough was heard

	onFrame func(*codec.Frame) // bound once: a method value allocates
	onDigit func(codec.Digit)
}

const (
	// maxHeard is how much of a caller is analysed: what two minutes have not
	// told, the next ones will not, and long calls are most of the minutes.
	maxHeard = 120.0
	// maxDigits bounds the keys kept of a call.
	maxDigits = 64
	// silent is the pause between packets that counts as silence: senders that
	// stop sending in pauses (RFC 3389, or none at all) send no silent frames.
	silent = 200 * time.Millisecond
)

func newEar(m *voice.Model) *ear {
	e := &ear{decoder: codec.NewDecoder(), voice: voice.NewListener(m), turns: turns.New()}
	e.onFrame, e.onDigit = e.frame, e.digit
	return e
}

func (e *ear) packet(b []byte, at time.Time) {
	if e.full {
		return
	}
	if e.decoder.Packet(b, at, e.onFrame, e.onDigit) != nil {
		return // not RTP: the decoder counts it
	}
	e.packets++
	e.full = e.heard() >= maxHeard
}

func (e *ear) frame(f *codec.Frame) {
	if !e.frameAt.IsZero() && f.At.Sub(e.frameAt) > silent {
		e.turns.Speech(e.frameAt, false)
	}
	e.frameAt = f.At
	e.voice.Frame(f.PCM)
	e.turns.Speech(f.At, e.voice.Activity().Active())
}

func (e *ear) digit(d codec.Digit) {
	if len(e.digits) < maxDigits {
		e.digits = append(e.digits, d.Key)
	}
	e.turns.Digit(d)
}

func (e *ear) answered(at time.Time) { e.turns.Answered(at) }

// flush hears what still waits: the call is over.
func (e *ear) flush() {
	if !e.full {
		e.decoder.Flush(e.onFrame, e.onDigit)
	}
}

// heard is the length of the caller's audio, s.
func (e *ear) heard() float64 { return e.voice.Activity().Seconds() }

func (e *ear) spoken() float64 { return e.voice.Activity().SpeechSeconds() }

// evidence adds what the observers say to ev.
func (e *ear) evidence(ev []policy.Evidence) []policy.Evidence {
	ev = append(ev, e.voice.Evidence()...)
	return append(ev, e.turns.Evidence()...)
}
