package judge

import (
	"slices"
	"time"

	"github.com/portero/portero/media/acoustic"
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/line"
	"github.com/portero/portero/media/sound"
	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/policy"
)

// ear is what listens to one caller: the decoder and the observers behind it.
// Those come with the first packet: they are 120 KB, and many calls end, or are
// refused, before a word was said.
type ear struct {
	model   *voice.Model
	codecs  []payload // told so far
	turns   *turns.Observer
	other   *other         // what the caller hears; nil before the first packet of that
	decoder *codec.Decoder // nil, as the next four, before the first packet
	voice   *voice.Listener
	line    *line.Observer
	print   *acoustic.Observer
	repeats acoustic.Repeats
	sound   *sound.Observer
	digits  []byte
	packets int       // RTP packets heard
	first   rtpStart  // of the first packet
	began   time.Time // arrival of the first frame
	frameAt time.Time // arrival of the last frame
	next    uint32    // RTP timestamp that the next frame would have without a gap
	clock   int       // of next, Hz; 0 before the first frame
	full    bool      // enough was heard

	onFrame func(*codec.Frame) // bound once: a method value allocates
	onDigit func(codec.Digit)
}

// rtpStart is where a stream counts from.
type rtpStart struct {
	sequence  uint16
	timestamp uint32
}

// payload is a payload type and what it means (RFC 3551 section 3).
type payload struct {
	pt    uint8
	name  string
	clock int // Hz
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

func newEar(m *voice.Model, w *turns.Weights) *ear { return &ear{model: m, turns: turns.New(w)} }

// open makes what the first packet needs.
func (e *ear) open() {
	e.decoder, e.voice, e.line, e.print, e.sound = codec.NewDecoder(), voice.NewListener(e.model), line.New(), acoustic.New(), new(sound.Observer)
	e.onFrame, e.onDigit = e.frame, e.digit
	for _, p := range e.codecs {
		e.decoder.Payload(p.pt, p.name, p.clock)
	}
}

// payload tells a payload type of the caller's stream.
func (e *ear) payload(pt uint8, name string, clock int) {
	p := payload{pt, name, clock}
	if i := slices.IndexFunc(e.codecs, func(k payload) bool { return k.pt == pt }); i >= 0 {
		e.codecs[i] = p
	} else {
		e.codecs = append(e.codecs, p)
	}
	if e.decoder != nil {
		e.decoder.Payload(pt, name, clock)
	}
	if e.other != nil {
		e.other.payload(pt, name, clock)
	}
}

// heardPacket takes a packet that the caller is sent.
func (e *ear) heardPacket(b []byte, at time.Time) {
	if e.other == nil {
		e.other = newOther(e.turns.Far())
		for _, p := range e.codecs {
			e.other.payload(p.pt, p.name, p.clock)
		}
	}
	if !e.full && e.other.activity.Seconds() < maxHeard {
		e.other.packet(b, at)
	}
}

func (e *ear) packet(b []byte, at time.Time) {
	if e.full {
		return
	}
	p, err := codec.ParseRTP(b)
	if err != nil {
		return
	}
	if e.decoder == nil {
		e.open()
		e.first = rtpStart{sequence: p.Seq, timestamp: p.Timestamp}
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
		e.turns.Caller().Gap(f.At.Add(-time.Duration(len(f.PCM)) * (time.Second / codec.Rate)))
	}
	e.frameAt = f.At
	e.gap(f)
	e.voice.Frame(f.PCM)
	if f.Comfort { // nothing of the caller's
		e.print.Gap(len(f.PCM))
		e.sound.Gap(len(f.PCM))
	} else {
		e.print.Frame(f.PCM)
		e.sound.Frame(f.PCM)
	}
	if f.Law != codec.NoLaw { // what lies between words was learnt of G.711 and is another codec's own elsewhere
		e.line.Frame(f)
	}
	e.turns.Speech(f.At, e.voice.Activity().Active())
	e.turns.Caller().Heard(f.At, e.voice.Activity())
}

// gap keeps print and sound in step where samples were lost or not sent. A timestamp
// that jumps further belongs to another stream or to a clock set anew.
func (e *ear) gap(f *codec.Frame) {
	if e.clock == f.Clock {
		missing := int64(int32(f.Timestamp-e.next)) * codec.Rate / int64(f.Clock)
		if missing > 0 && missing < maxGap {
			e.print.Gap(int(missing))
			e.sound.Gap(int(missing))
		}
	}
	e.clock = f.Clock
	e.next = f.Timestamp + uint32(len(f.PCM)*f.Clock/codec.Rate)
}

func (e *ear) digit(d codec.Digit) {
	if len(e.digits) < maxDigits {
		e.digits = append(e.digits, d.Key)
	}
	e.turns.Digit(d)
	e.sound.Key(d.Key)
}

func (e *ear) answered(at time.Time) { e.turns.Answered(at) }

// flush hears what still waits: the call is over.
func (e *ear) flush() {
	if !e.full && e.decoder != nil {
		e.decoder.Flush(e.onFrame, e.onDigit)
	}
}

// heard is the length of the caller's audio, s.
func (e *ear) heard() float64 {
	if e.voice == nil {
		return 0
	}
	return e.voice.Activity().Seconds()
}

func (e *ear) spoken() float64 {
	if e.voice == nil {
		return 0
	}
	return e.voice.Activity().SpeechSeconds()
}

// words is the print of the caller's audio so far.
func (e *ear) words() []uint32 {
	if e.print == nil {
		return nil
	}
	return e.print.Print()
}

// kind is what the caller's audio is.
func (e *ear) kind() sound.Kind {
	if e.sound == nil {
		return sound.None
	}
	return e.sound.Kind()
}

// evidence adds what the observers say to ev. dropped is how many packets of the
// other side the analysis was too slow for. Where no voice is heard but something
// else, what they say of voices, turns and the pauses between words is left out; keys
// are pressed all the same, unless it is text that is written with them.
func (e *ear) evidence(ev []policy.Evidence, dropped int) []policy.Evidence {
	if e.other != nil {
		e.turns.Deaf(e.other.deaf(dropped))
	}
	if e.voice != nil {
		ev = append(ev, e.voice.Evidence()...)
		ev = append(ev, e.line.Evidence()...)
		if x, ok := line.Unheard(e.decoder, e.packets); ok {
			ev = append(ev, x)
		}
	}
	ev = append(ev, e.turns.Evidence()...)
	if e.sound == nil {
		return ev
	}
	e.repeats.Look(e.print.Print())
	if again := e.repeats.Evidence(); len(again) > 0 && !e.turns.Echoes() {
		ev = append(ev, again...)
	}
	if e.sound.Speechless() {
		text := e.sound.Kind() == sound.Text
		ev = slices.DeleteFunc(ev, func(x policy.Evidence) bool {
			switch policy.FamilyOf(x.Name) {
			case "voice", "turns", "sound":
				return true
			case "line":
				return x.Name != "line.unheard"
			case "keys":
				return text
			}
			return false
		})
	}
	return append(ev, e.sound.Evidence()...)
}
