package relay

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portero/portero/media/codec"
)

// youngSplice is how many packets after a splice one from before it could still
// come out of order.
const youngSplice = 64

// outbound is the stream of RTP that a caller receives. As long as one far side
// is its only source, packets pass untouched. When the source changes (another
// far side, or Portero itself speaks) the new one is spliced to the old: SSRC
// kept, sequence numbers continued, timestamp moved on by the time that passed,
// marker on the first packet (RFC 3550 sections 5.1 and 7.1; a jump would make the
// phone's jitter buffer start over, and a change of SSRC can make it fall silent).
//
// mu is taken by the goroutine of the active far side for each packet, and by a
// Speaker; only in the moment of a change do two of them want it.
type outbound struct {
	to    *endpoint
	clock int64 // Hz
	tap   *Tap  // of what is sent; nil for none

	mu      sync.Mutex
	active  *Far
	speaker *Speaker // speaks instead of active; nil for nobody
	from    any      // *Far or *Speaker of the last packet

	begun bool   // the fields of the last packet are valid
	ssrc  uint32 //
	seq   uint16 // highest sent
	ts    uint32 // of the last packet with a new timestamp
	at    int64  // when that was sent, ns
	step  uint32 // timestamp units from packet to packet

	spliced bool   // packets are rewritten by the next four
	inSSRC  uint32 //
	seqOff  uint16 //
	tsOff   uint32 //
	inFirst uint16 // sequence number of the first packet after the splice
	young   int    // packets since then, up to youngSplice

	packets, octets uint32 // sent under ssrc, for sender reports
	reports         reporter

	paused, splices atomic.Uint64
}

// activate makes f the source.
func (o *outbound) activate(f *Far) {
	o.mu.Lock()
	o.active = f
	o.mu.Unlock()
}

// turn sends to another endpoint from now on.
func (o *outbound) turn(to *endpoint) {
	o.mu.Lock()
	o.to = to
	o.mu.Unlock()
}

// end lets nobody speak any more.
func (o *outbound) end() {
	o.mu.Lock()
	o.active, o.speaker = nil, nil
	o.mu.Unlock()
}

// forward sends a packet of f to the caller, if f is who the caller should hear.
// It may rewrite b.
func (o *outbound) forward(f *Far, b []byte, p *codec.RTP, rtp bool, now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f != o.active {
		return
	}
	if rtp {
		f.toCaller.Load().apply(b, p)
	}
	if o.speaker != nil {
		o.paused.Add(1)
		return
	}
	if !rtp {
		o.to.send(b)
		return
	}
	marker := false
	if o.from != any(f) {
		if o.begun {
			o.splice(p.SSRC, p.Seq, p.Timestamp, now)
			marker = true
		}
		o.from = f
	} else if o.spliced && p.SSRC != o.inSSRC {
		o.splice(p.SSRC, p.Seq, p.Timestamp, now)
		marker = true
	}
	seq, ts, ssrc := p.Seq, p.Timestamp, p.SSRC
	if o.spliced {
		if o.young < youngSplice {
			o.young++
			if int16(p.Seq-o.inFirst) < 0 {
				return // its number was already used before the splice
			}
		}
		seq, ts, ssrc = seq+o.seqOff, ts+o.tsOff, o.ssrc
		if marker {
			b[1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[2:], seq)
		binary.BigEndian.PutUint32(b[4:], ts)
		binary.BigEndian.PutUint32(b[8:], ssrc)
	}
	o.note(ssrc, seq, ts, len(p.Payload), now)
	o.emit(b, now)
}

// splice lets the packet (seq, ts) of a new source follow the last one sent.
func (o *outbound) splice(ssrc uint32, seq uint16, ts uint32, now int64) {
	o.inSSRC, o.inFirst, o.young = ssrc, seq, 0
	o.seqOff = o.seq + 1 - seq
	o.tsOff = o.nextTS(now) - ts
	o.spliced = true
	o.splices.Add(1)
}

// nextTS is the timestamp of a packet sent now: the last one and the time since,
// at least the length of the last packet.
func (o *outbound) nextTS(now int64) uint32 {
	passed := uint32((now - o.at) * o.clock / int64(time.Second))
	step := o.step
	if step == 0 {
		step = uint32(o.clock / 50)
	}
	return o.ts + max(passed, step)
}

// note remembers where the stream stands.
func (o *outbound) note(ssrc uint32, seq uint16, ts uint32, payload int, now int64) {
	if !o.begun || ssrc != o.ssrc {
		o.begun, o.ssrc, o.seq, o.ts, o.at = true, ssrc, seq, ts, now
		o.packets, o.octets = 0, 0
	} else if ahead := seq - o.seq; ahead != 0 && ahead < 1<<15 {
		if d := ts - o.ts; d != 0 {
			if ahead == 1 && d <= uint32(o.clock/10) {
				o.step = d
			}
			o.ts, o.at = ts, now
		}
		o.seq = seq
	}
	o.packets++
	o.octets += uint32(payload)
}

// originate makes the stream's beginning out of nothing, random as RFC 3550
// section 5.1 asks, below 2^15 as RFC 3711 section 3.3.1 does.
func (o *outbound) originate(now int64) {
	o.begun, o.ssrc, o.seq, o.ts, o.at = true, rand.Uint32(), uint16(rand.Uint32())>>1, rand.Uint32(), now
	o.packets, o.octets = 0, 0
}

// report sends RTCP of f to the caller.
func (o *outbound) report(f *Far, b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f != o.active || o.speaker != nil {
		return
	}
	if b = o.translate(f, b); b != nil {
		o.to.sendRTCP(b)
	}
}

// translate makes RTCP of f speak of the caller's stream, in place; nil when
// there is nothing to send.
func (o *outbound) translate(f *Far, b []byte) []byte {
	if o.begun && o.from != any(f) {
		return nil // nothing of its stream was sent yet
	}
	if !o.spliced {
		return b
	}
	return rewriteSender(b, o.inSSRC, o.ssrc, o.tsOff)
}

// untranslate makes the caller's RTCP speak of f's stream, in place.
func (o *outbound) untranslate(f *Far, b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.spliced && o.from == any(f) {
		rewriteReports(b, o.ssrc, o.inSSRC, o.seqOff)
	}
}
