package relay

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// faxAge forgets a candidate that has stopped: a fax machine listens for seconds
// between what it sends.
const faxAge = int64(10 * time.Second)

// noRTP is the payload type of a candidate whose packets are not RTP.
const noRTP = 0xff

// fax judges a packet that is not RTP and not from where the SDP says. UDPTL
// (T.38 section 9.1) begins with a sequence number and has nothing else to know
// a stream by, so only a host whose RTP was latched before in this call may go
// on with it: a gateway behind NAT that switches from voice to fax, at another
// port.
func (l *latch) fax(b []byte, src netip.AddrPort, r rank, now int64) (admission, *candidate) {
	if l.rank != nobody || src.Addr() != l.spoke || len(b) < 3 {
		return refuse, nil
	}
	c := l.candidate(src, now)
	if c == nil {
		return refuse, nil
	}
	seq := binary.BigEndian.Uint16(b)
	step := seq - c.seq
	switch {
	case c.count == 0 || c.pt != noRTP || step > candidateStep || now-c.at > faxAge:
		c.count, c.kept = 0, 0
	case step == 0: // UDPTL may repeat; STUN and keep-alives always do
		c.at = now
		return refuse, nil
	}
	c.ssrc, c.pt, c.seq, c.at = 0, noRTP, seq, now
	c.count++
	if c.count < l.need {
		c.keep(b, now)
		return keep, nil
	}
	c.count = 0
	l.source, l.rank, l.flowing = src, r, false
	return latched, c
}
