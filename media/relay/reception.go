package relay

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
)

// Where Portero itself is the other end of the caller's stream, it reports on it:
// report blocks in the sender reports of its own voice, and receiver reports while
// nobody speaks to the caller.

// reception is what a report block says of the peer's stream (RFC 3550 section
// 6.4.1). The packet loops write it, whoever reports reads it; a report that mixes
// the figures of two packets is as good as any.
type reception struct {
	highest atomic.Uint64 // SSRC, and the extended highest sequence number
	lost    atomic.Uint64 // of that SSRC, and the jitter in timestamp units
	sender  atomic.Uint64 // middle of the NTP time in the last sender report, and when it came
}

// received takes the figures of the stream after a packet of it.
func (r *reception) received(ssrc, highest uint32, lost int, jitter uint32) {
	r.highest.Store(uint64(ssrc)<<32 | uint64(highest))
	r.lost.Store(uint64(uint32(lost))<<32 | uint64(jitter))
}

// reported takes RTCP of the peer.
func (r *reception) reported(b []byte, now int64) {
	parts(b, func(part []byte) {
		if part[1] == rtcpSR && len(part) >= 28 && binary.BigEndian.Uint32(part[4:]) == uint32(r.highest.Load()>>32) {
			r.sender.Store(uint64(binary.BigEndian.Uint32(part[10:]))<<32 | uint64(units(now)))
		}
	})
}

// reporter is when the next report goes, and what the last one said. Whoever holds
// the outbound stream's lock has it.
type reporter struct {
	due     int64 // ns after the session's start; 0 before the first
	ssrc    uint32
	highest uint32
	lost    uint32
}

// reportEvery is the least interval of RTCP (RFC 3550 section 6.2): with two in a
// call and 64 kbit/s the bandwidth for RTCP asks for none longer.
const reportEvery = 5 * time.Second

// ready says whether a report is due, and sets when the next one is: at random
// around the interval, half of it at first, and less by e−3/2 (sections 6.2, 6.3.1).
func (r *reporter) ready(now int64) bool {
	if r.due != 0 && now < r.due {
		return false
	}
	interval := float64(reportEvery)
	first := r.due == 0
	if first {
		interval /= 2
	}
	r.due = now + int64(interval*(0.5+rand.Float64())/1.21828)
	return !first
}

// block is the report block about the peer's stream; none before its first packet.
func (r *reporter) block(rc *reception, now int64) []rtcp.ReceptionReport {
	highest, figures, sender := rc.highest.Load(), rc.lost.Load(), rc.sender.Load()
	if highest == 0 {
		return nil
	}
	b := rtcp.ReceptionReport{
		SSRC: uint32(highest >> 32), LastSequenceNumber: uint32(highest),
		TotalLost: min(uint32(figures>>32), 1<<23-1), Jitter: uint32(figures),
	}
	if b.SSRC == r.ssrc && b.LastSequenceNumber > r.highest && b.TotalLost > r.lost {
		// Appendix A.3: a share of 256 would not fit.
		b.FractionLost = uint8(min((b.TotalLost-r.lost)*256/(b.LastSequenceNumber-r.highest), 255))
	}
	r.ssrc, r.highest, r.lost = b.SSRC, b.LastSequenceNumber, b.TotalLost
	if sender != 0 {
		b.LastSenderReport, b.Delay = uint32(sender>>32), units(now)-uint32(sender)
	}
	return []rtcp.ReceptionReport{b}
}

// receiverReport reports on the caller's stream, if a report is due and nobody
// speaks to the caller.
func (o *outbound) receiverReport(now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.speaker != nil || !o.reports.ready(now) {
		return
	}
	if !o.begun {
		o.originate(now)
	}
	b, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: o.ssrc, Reports: o.reports.block(&o.to.reception, now)},
		description(o.ssrc, o.to.s.relay.cname),
	})
	if err == nil { // it cannot be otherwise: all fields are in range
		o.to.sendRTCP(b)
	}
}
