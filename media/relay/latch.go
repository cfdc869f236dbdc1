package relay

import (
	"net/netip"
	"time"

	"github.com/portero/portero/media/codec"
)

const (
	// candidates is how many unknown sources are followed at once. A flood of
	// sources pushes out only those with one packet.
	candidates = 4
	// candidateStep is the largest step of a sequence number within a candidate.
	candidateStep = 16
	// continuityStep is the largest step from the latched stream's last number to
	// the first one from its new source: 10 s of 20 ms packets.
	continuityStep = 500
	// candidateAge forgets a candidate that has stopped.
	candidateAge = int64(time.Second)
	// barredFor is how long the former source cannot be learnt again after the
	// SDP named a new one: it may still be sending.
	barredFor = int64(2 * time.Second)
)

// rank is how well a source fits the SDP; lower is better.
type rank byte

const (
	exact    rank = iota // address and port of the SDP
	sameHost             // its address, another port
	other                // another address: a peer behind NAT, or an intruder
	nobody               // nothing latched
)

// latch decides which source may speak for a peer. RTP has no authentication:
// whoever sprays the ports ("RTP bleed") would hear the call if its first packet
// decided. So a source must show several consistent packets, one that fits the
// SDP better displaces one that fits worse, and a latched source is followed
// elsewhere only by who knows its SSRC and sequence number.
//
// A latch belongs to the goroutine that reads the socket.
type latch struct {
	need  int
	worst rank // sources of a higher rank are never taken

	sdp     netip.AddrPort
	source  netip.AddrPort // latched
	rank    rank           // of source
	ssrc    uint32
	seq     uint16
	flowing bool  // ssrc and seq are known
	sdpAt   int64 // last RTP from the SDP's own address before latching; 0 never
	barred  netip.AddrPort
	until   int64      // end of barred
	spoke   netip.Addr // host of the source latched last, whatever the SDP said since

	cands [candidates]candidate
}

// candidate is a source on trial.
type candidate struct {
	source netip.AddrPort
	ssrc   uint32
	pt     uint8
	seq    uint16
	count  int
	at     int64
	held   []heldPacket // its packets so far, so that latching loses none
	kept   int          // of held
}

type heldPacket struct {
	b  []byte
	at int64
}

func newLatch(mode string, need int) latch {
	worst := other
	switch mode {
	case LatchAddress:
		worst = sameHost
	case LatchOff:
		worst = exact
	}
	return latch{need: need, worst: worst, rank: nobody}
}

// aim starts anew for a peer at a new address.
func (l *latch) aim(sdp netip.AddrPort, now int64) {
	if l.rank != nobody {
		l.spoke = l.source.Addr()
		if sdp.IsValid() {
			l.barred, l.until = l.source, now+barredFor
		}
	}
	l.sdp, l.source, l.rank, l.flowing, l.sdpAt = sdp, netip.AddrPort{}, nobody, false, 0
	for i := range l.cands {
		l.cands[i].count, l.cands[i].kept = 0, 0
	}
}

// admission is what becomes of a packet.
type admission byte

const (
	refuse  admission = iota
	pass              //
	keep              // held by its candidate until that is latched
	latched           // pass, and first what the returned candidate held
)

// admit judges a packet from src. p is nil when the packet is not RTP. The
// candidate is returned with latched only, and is valid until the next call.
func (l *latch) admit(b []byte, p *codec.RTP, src netip.AddrPort, now int64) (admission, *candidate) {
	if src == l.source && l.rank != nobody {
		if p != nil {
			l.follow(p)
		}
		return pass, nil
	}
	r := l.rate(src)
	if r > l.worst {
		return refuse, nil
	}
	if p == nil { // T.38, STUN, keep-alives: blind, but as a rule only from where the SDP says
		if r == exact {
			return pass, nil
		}
		return l.fax(b, src, r, now)
	}
	switch {
	case r < l.rank && l.rank != nobody:
	case l.rank != nobody:
		if step := p.Seq - l.seq; !l.flowing || p.SSRC != l.ssrc || step == 0 || step > continuityStep {
			return refuse, nil
		}
	case r == exact:
		l.sdpAt = max(now, 1)
	case l.sdpAt != 0 && now-l.sdpAt < candidateAge: // the right one is speaking
		return refuse, nil
	case src == l.barred && now < l.until:
		return refuse, nil
	}
	c := l.candidate(src, now)
	if c == nil {
		return refuse, nil
	}
	if step := p.Seq - c.seq; c.count == 0 || c.ssrc != p.SSRC || c.pt != p.PayloadType ||
		step == 0 || step > candidateStep || now-c.at > candidateAge {
		c.count, c.kept = 0, 0
	}
	c.ssrc, c.pt, c.seq, c.at = p.SSRC, p.PayloadType, p.Seq, now
	c.count++
	if c.count >= l.need {
		c.count = 0
		l.source, l.rank = src, r
		l.flowing = false
		l.follow(p)
		return latched, c
	}
	if r == exact && l.rank == nobody {
		return pass, nil
	}
	c.keep(b, now)
	return keep, nil
}

// rate is how well src fits the SDP.
func (l *latch) rate(src netip.AddrPort) rank {
	switch {
	case src == l.sdp:
		return exact
	case src.Addr() == l.sdp.Addr():
		return sameHost
	}
	return other
}

// follow remembers where the latched stream is.
func (l *latch) follow(p *codec.RTP) {
	if !l.flowing || p.SSRC != l.ssrc || int16(p.Seq-l.seq) > 0 {
		l.ssrc, l.seq, l.flowing = p.SSRC, p.Seq, true
	}
}

// candidate finds the place of a source on trial, or makes one: in a free place,
// of one that has stopped, or of one that has shown a single packet.
func (l *latch) candidate(src netip.AddrPort, now int64) *candidate {
	var free *candidate
	for i := range l.cands {
		c := &l.cands[i]
		if c.count > 0 && c.source == src {
			return c
		}
		gone := c.count == 0 || now-c.at > candidateAge
		switch {
		case gone:
			c.count = 0
			free = c
		case c.count == 1 && (free == nil || free.count == 1 && c.at < free.at):
			free = c
		}
	}
	if free != nil {
		free.source, free.count, free.kept = src, 0, 0
	}
	return free
}

// keep copies a packet aside; the room is used again by the next candidate.
func (c *candidate) keep(b []byte, at int64) {
	if c.kept == len(c.held) {
		c.held = append(c.held, heldPacket{})
	}
	h := &c.held[c.kept]
	h.b, h.at = append(h.b[:0], b...), at
	c.kept++
}
