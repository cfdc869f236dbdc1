package codec

import (
	"errors"
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

// speaker is the decoder of a codec; nil for one that is not decoded here.
func (d *Decoder) speaker(k kind) *speaker {
	s := &d.speakers[k]
	if s.speech == nil && s.broken == nil {
		switch k {
		case muLaw:
			s.speech = MuLaw
		case aLaw:
			s.speech = ALaw
		case g722:
			s.speech = &G722Decoder{}
		case opusKind:
			s.speech, s.broken = newOpus()
		default:
			return nil
		}
	}
	return s
}

// decode is the samples of a packet, valid until the next call; none if it cannot
// be heard.
func (d *Decoder) decode(p *RTP) []int16 {
	s := d.speaker(d.kinds[p.PayloadType])
	if s == nil || len(p.Payload) == 0 {
		return nil
	}
	if s.broken != nil {
		d.skip(p.PayloadType)
		return nil
	}
	if d.pcm == nil {
		d.pcm = make([]int16, 0, 60*Rate/1000)
	}
	pcm, err := s.speech.decode(d.pcm[:0], p.Payload)
	if err == nil {
		s.bad = 0
		d.pcm = pcm
		return pcm
	}
	if s.bad++; s.bad >= maxBad || errors.Is(err, errBroken) {
		s.broken = err
	}
	d.skip(p.PayloadType)
	return nil
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
	if s := d.speakers[d.kinds[d.mute]]; s.broken != nil {
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
	if d.pcm == nil {
		d.pcm = make([]int16, 0, 60*Rate/1000)
	}
	for begin := int32(0); begin < n; begin += hushFrame {
		d.pcm = d.pcm[:0]
		for range min(hushFrame, n-begin) {
			h.seed = h.seed*1664525 + 1013904223
			d.pcm = append(d.pcm, int16(int64(int32(h.seed))*int64(h.peak)>>31))
		}
		d.frame = Frame{
			At: h.at.Add(time.Duration(begin) * time.Second / Rate), Timestamp: h.ts + uint32(begin), Clock: Rate,
			PCM: d.pcm, Comfort: true,
		}
		emit(&d.frame)
	}
}
