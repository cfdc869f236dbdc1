package judge

import (
	"time"

	"github.com/portero/portero/media/acoustic"
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/line"
	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/policy"
)

// ear is what listens to one caller: the decoder and the observers behind it.
type ear struct {
	decoder *codec.Decoder
	voice   *voice.Listener
	turns   *turns.Observer
	line    *line.Observer
	print   *acoustic.Observer
	digits  []byte
	packets int       // RTP packets heard
	began   time.Time // arrival of the first frame
	frameAt time.Time // arrival of the last frame
	next    uint32    // RTP timestamp that the next frame would have without a gap
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
	// maxGap is the longest pause that is believed of a timestamp, samples.
	maxGap = 10 * codec.Rate
)

func newEar(m *voice.Model) *ear {
	e := &ear{decoder: codec.NewDecoder(), voice: voice.NewListener(m), turns: turns.New(), line: line.New(), print: acoustic.New()}
	e.onFrame, e.onDigit = e.frame, e.digit
	return e
}

func (e *ear) packet(b []byte, at time.Time) {
	if e.full {
		return
	}
	p, err := codec.ParseRTP(b)
	if err != nil {
		return
	}
	e.line.Packet(p.Seq, p.Timestamp, p.SSRC, p.PayloadType, p.Marker, len(p.Payload), at)
	if e.decoder.Packet(b, at, e.onFrame, e.onDigit) != nil {
		return
	}
	e.packets++
	e.full = e.heard() >= maxHeard
}

func (e *ear) frame(f *codec.Frame) {
	if e.frameAt.IsZero() {
		e.began = f.At
	} else if f.At.Sub(e.frameAt) > silent {
		e.turns.Speech(e.frameAt, false)
	}
	e.frameAt = f.At
	e.gap(f)
	e.voice.Frame(f.PCM)
	e.line.Frame(f)
	e.print.Frame(f.PCM)
	e.turns.Speech(f.At, e.voice.Activity().Active())
}

// gap keeps the print in step where samples were lost or not sent. A timestamp
// that jumps further belongs to another stream or to a clock set anew.
func (e *ear) gap(f *codec.Frame) {
	if missing := int32(f.Timestamp - e.next); e.next != 0 && missing > 0 && missing < maxGap {
		e.print.Gap(int(missing))
	}
	e.next = f.Timestamp + uint32(len(f.PCM))
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
	ev = append(ev, e.line.Evidence()...)
	return append(ev, e.turns.Evidence()...)
}
