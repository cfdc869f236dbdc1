package judge

import (
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/media/voice"
)

// other is what listens to what the caller hears: the far side's audio and
// Portero's own voice, as the caller is sent them. It finds out when there is
// speech and nothing else, and allocates nothing per packet.
//
// Times are those of the RTP timestamps, laid on the clock so that the quickest
// packet is in time: how long a single one took, from here to a capture or to a
// loaded processor, does not matter. A sender may stop its timestamps while it has
// nothing to play; then they are laid anew.
type other struct {
	speech   codec.Speech
	clocks   [128]int32 // Hz; 0 is codec.Rate
	track    *turns.Track
	activity voice.Activity

	begun  bool
	ssrc   uint32
	seq    uint16    // of the next packet
	ts     uint32    // of the next sample without a gap
	base   time.Time // when the sample with timestamp zeroTS was sent, at the earliest
	passed int64     // samples from there to ts

	packets int  // heard
	lost    int  // by sequence number
	laid    bool // anew, after a pause
	late    int  // before packets that were quicker: what was taken for a pause was none
}

const (
	// otherLate is how late a packet of the other side is when there was a pause
	// before it, or a hold-up: then others soon come quicker, by more than
	// otherQuick.
	otherLate  = 200 * time.Millisecond
	otherQuick = 5 * time.Millisecond
	// otherLost is the part of the packets that may be lost or late before the other
	// side's turns are not known well enough.
	otherLost = 0.02
)

func newOther(t *turns.Track) *other {
	return &other{track: t, speech: codec.NewSpeech()}
}

// payload tells a payload type, and its clock, Hz. What is not decoded is not
// listened to.
func (o *other) payload(pt uint8, name string, clock int) {
	if pt > 127 {
		return
	}
	o.speech.Payload(pt, name, clock)
	o.clocks[pt] = int32(clock)
}

// units is how many of a payload type's timestamp units make a sample; Opus has 6.
func (o *other) units(pt uint8) int32 {
	return max(o.clocks[pt]/codec.Rate, 1)
}

func (o *other) packet(b []byte, at time.Time) {
	p, err := codec.ParseRTP(b)
	if err != nil {
		return
	}
	ahead := int16(p.Seq - o.seq)
	switch {
	case !o.begun || p.SSRC != o.ssrc || ahead > maxLeap || ahead < -maxLeap:
		o.begin(&p, at)
	case ahead < 0:
		return // its place is taken: it was counted as lost
	default:
		o.lost += int(ahead)
	}
	o.seq = p.Seq + 1
	o.packets++
	pcm, _ := o.speech.Decode(p.PayloadType, p.Payload)
	if len(pcm) == 0 {
		return
	}
	units := o.units(p.PayloadType)
	switch gap := int32(p.Timestamp-o.ts) / units; {
	case gap > maxGap || gap < 0:
		o.begin(&p, at)
	case gap > 0:
		o.passed += int64(gap)
		if gap > codec.Rate/5 {
			o.track.Gap(o.moment())
		}
	}
	switch behind := at.Sub(o.moment()); {
	case behind > otherLate:
		o.base, o.laid = o.base.Add(behind), true
		o.track.Gap(at)
	case behind < 0: // quicker than any before
		o.base = o.base.Add(behind)
		if o.laid && behind < -otherQuick {
			o.late++
		}
	}
	o.ts = p.Timestamp + uint32(len(pcm))*uint32(units)
	o.passed += int64(len(pcm))
	o.activity.Frame(pcm)
	o.track.Heard(o.moment(), &o.activity)
}

// maxLeap is the leap of a sequence number that is believed of one stream (RFC
// 3550 appendix A.1 has 3000).
const maxLeap = 3000

// begin lays the timestamps on the clock anew.
func (o *other) begin(p *codec.RTP, at time.Time) {
	if o.begun && p.SSRC != o.ssrc {
		o.speech.Restart()
	}
	o.begun, o.ssrc, o.seq, o.ts = true, p.SSRC, p.Seq, p.Timestamp
	o.base, o.passed = at, 0
	o.track.Gap(at)
}

// moment is when the next sample is sent.
func (o *other) moment() time.Time {
	return o.base.Add(time.Duration(o.passed) * (time.Second / codec.Rate))
}

// deaf says whether too much of it was lost or late, or not heard by the analysis.
func (o *other) deaf(dropped int) bool {
	return dropped > 0 || float64(o.lost+o.late) > otherLost*float64(o.packets)
}
