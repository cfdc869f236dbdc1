package codec

import (
	"errors"
	"strings"
	"time"
)

// speech decodes the payloads of one codec, in the order in which they were
// sent, into samples at Rate. What it cannot decode is an error; a panic of a
// library is one too.
type speech interface {
	decode(dst []int16, payload []byte) ([]int16, error)
}

func (l Law) decode(dst []int16, payload []byte) ([]int16, error) { return l.Decode(dst, payload), nil }

func (g *G722Decoder) decode(dst []int16, payload []byte) ([]int16, error) {
	return g.Decode(dst, payload), nil
}

// maxBad is how many packets in a row may fail to decode before the codec is
// given up: it is not what the session description called it.
const maxBad = 250

// speaker is what one stream has spoken in one codec so far.
type speaker struct {
	speech speech
	bad    int   // packets in a row that could not be decoded
	broken error // why it is heard no more
}

// Speech decodes the audio of one stream, in whatever codecs it comes, in the
// order in which it was sent. It is not safe for concurrent use.
type Speech struct {
	kinds    [128]kind
	speakers [numKinds]speaker
	pcm      []int16
}

// NewSpeech knows the static payload types PCMU (0), PCMA (8) and G.722 (9).
func NewSpeech() Speech {
	s := Speech{}
	s.kinds[PayloadPCMU], s.kinds[PayloadPCMA], s.kinds[PayloadG722] = muLaw, aLaw, g722
	return s
}

// kindOf is what an encoding name, in any case, and a clock, Hz, mean.
func kindOf(name string, clock int) kind {
	switch strings.ToUpper(name) {
	case "PCMU":
		return muLaw
	case "PCMA":
		return aLaw
	case "G722":
		return g722
	case "OPUS":
		return opusKind
	case "CN":
		if clock > 0 && clock != Rate {
			return quiet
		}
		return noise
	case "TELEPHONE-EVENT":
		return event
	}
	return unknown
}

// Payload tells what a payload type means, as Decoder's does.
func (s *Speech) Payload(pt uint8, name string, clock int) {
	if pt <= 127 {
		s.kinds[pt] = kindOf(name, clock)
	}
}

// Restart begins with another stream.
func (s *Speech) Restart() {
	for k := range s.speakers {
		if s.speakers[k].broken == nil {
			s.speakers[k] = speaker{}
		}
	}
}

// speaker is the decoder of a codec; nil for one that is not decoded here.
func (s *Speech) speaker(k kind) *speaker {
	one := &s.speakers[k]
	if one.speech == nil && one.broken == nil {
		switch k {
		case muLaw:
			one.speech = MuLaw
		case aLaw:
			one.speech = ALaw
		case g722:
			one.speech = &G722Decoder{}
		case opusKind:
			one.speech, one.broken = newOpus()
		default:
			return nil
		}
	}
	return one
}

// Decode is the samples of a packet at Rate, valid until the next call; none for
// what is no audio, or in a codec that is not decoded here. The error says why a
// packet of one that is was not decoded.
func (s *Speech) Decode(pt uint8, payload []byte) ([]int16, error) {
	one := s.speaker(s.kinds[pt&0x7F])
	if one == nil || len(payload) == 0 {
		return nil, nil
	}
	if one.broken != nil {
		return nil, one.broken
	}
	pcm, err := one.speech.decode(s.room(), payload)
	if err == nil {
		one.bad = 0
		s.pcm = pcm
		return pcm, nil
	}
	if one.bad++; one.bad >= maxBad || errors.Is(err, errBroken) {
		one.broken = err
	}
	return nil, err
}

// room is where the samples of a packet go.
func (s *Speech) room() []int16 {
	if s.pcm == nil {
		s.pcm = make([]int16, 0, 60*Rate/1000)
	}
	return s.pcm[:0]
}

// skip counts a packet that is not heard.
func (d *Decoder) skip(pt uint8) {
	d.Skipped++
	d.mute = pt
}

// Unheard says what the packets in Skipped were: the encoding name of the last
// one's payload type, empty if nobody told it, and why it was not decoded, nil
// for a codec that is none of this package's.
func (d *Decoder) Unheard() (name string, err error) {
	if s := d.speech.speakers[d.speech.kinds[d.mute]]; s.broken != nil {
		err = s.broken
	}
	return d.names[d.mute], err
}

// hush is a caller's comfort noise (RFC 3389): what is heard from its packet
// until the next one of audio.
type hush struct {
	on   bool
	ts   uint32
	at   time.Time
	peak int32 // of the noise
	seed uint32
}

const (
	// hushFrame is the length of a frame of comfort noise, samples.
	hushFrame = 20 * Rate / 1000
	// maxHush bounds what one packet of comfort noise is heard for.
	maxHush = 10 * Rate
)

// hushLevels are the peaks of white noise of uniform distribution by its level,
// −dBov: 0 is the mean square of a full-scale square wave (RFC 3389 section 3).
var hushLevels = func() (peaks [128]int32) {
	peak := 32767 * 1.7320508 // √3 of the root mean square
	for i := range peaks {
		peaks[i] = int32(min(peak, 32767))
		peak *= 0.8912509 // 1 dB
	}
	return peaks
}()

// comfort takes a packet of comfort noise. Its spectrum is left aside: it is
// heard as white noise of its level.
func (d *Decoder) comfort(p *RTP, at time.Time, emit func(*Frame)) {
	d.fill(p.Timestamp, at, emit)
	if len(p.Payload) == 0 {
		return
	}
	d.hush = hush{on: true, ts: p.Timestamp, at: at, peak: hushLevels[p.Payload[0]&0x7F], seed: d.hush.seed}
}

// fill hears comfort noise up to a packet that follows it: as long as its
// timestamp says, but not longer than it was on its way.
func (d *Decoder) fill(ts uint32, at time.Time, emit func(*Frame)) {
	h := &d.hush
	if !h.on {
		return
	}
	h.on = false
	n := int32(ts - h.ts)
	if passed := at.Sub(h.at); n > maxHush || passed < time.Duration(n)*time.Second/Rate {
		n = int32(min(max(passed, 0), maxHush*time.Second/Rate) * Rate / time.Second)
		n -= n % hushFrame
	}
	if emit == nil {
		return
	}
	for begin := int32(0); begin < n; begin += hushFrame {
		pcm := d.speech.room()
		for range min(hushFrame, n-begin) {
			h.seed = h.seed*1664525 + 1013904223
			pcm = append(pcm, int16(int64(int32(h.seed))*int64(h.peak)>>31))
		}
		d.frame = Frame{
			At: h.at.Add(time.Duration(begin) * time.Second / Rate), Timestamp: h.ts + uint32(begin), Clock: Rate,
			PCM: pcm, Comfort: true,
		}
		emit(&d.frame)
	}
}
