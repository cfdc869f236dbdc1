package line

import (
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

// Observer watches one caller's stream: every packet for its place and time,
// every frame for its sound. It takes constant memory, allocates nothing per
// packet or frame, and is not safe for concurrent use.
type Observer struct {
	start   start
	pacing  pacing
	breaks  breaks
	silence silence
	floor   floor
}

// New gives an observer that has seen nothing.
func New() *Observer { return &Observer{} }

// Packet takes the header of an RTP packet in the order of arrival: sequence
// number, timestamp, SSRC, payload type, marker (RFC 3550 section 5.1), length
// of the payload in bytes, and when it arrived.
func (o *Observer) Packet(seq uint16, ts uint32, ssrc uint32, pt uint8, marker bool, payloadLen int, at time.Time) {
	p := packet{seq, ts, ssrc, pt, at}
	o.start.add(p)
	o.pacing.add(p)
	o.breaks.add(p)
}

// Frame takes the audio of a packet.
func (o *Observer) Frame(f *codec.Frame) {
	if len(f.PCM) == 0 {
		return
	}
	dead := constant(f)
	o.silence.add(len(f.PCM), dead)
	if !dead {
		o.floor.add(f.PCM)
	}
}

// Evidence gives what follows from the stream so far.
func (o *Observer) Evidence() []policy.Evidence {
	var e []policy.Evidence
	for _, one := range [...]func() (policy.Evidence, bool){
		o.start.evidence, o.pacing.evidence, o.breaks.evidence, o.silence.evidence, o.floor.evidence,
	} {
		if x, ok := one(); ok {
			e = append(e, x)
		}
	}
	return e
}

// packet is what is kept of an RTP header.
type packet struct {
	seq  uint16
	ts   uint32
	ssrc uint32
	pt   uint8
	at   time.Time
}

// comfortNoise is the static payload type of RFC 3389.
const comfortNoise = 13
