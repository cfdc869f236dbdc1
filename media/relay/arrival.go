package relay

import (
	"net"
	"net/netip"
	"time"
)

// The arrival of a packet is when the kernel had it, not when a goroutine got
// round to reading it: on a busy machine the two differ by milliseconds, and
// what the analysis says of a sender's pacing must not depend on our own load.
// A capture of the call bears the same times.

// maxBehind is how old a packet may be by the kernel's clock. An older (or a
// future) one means that the wall clock was set meanwhile.
const maxBehind = time.Second

// readAt is one datagram and its arrival, ns after the session's start.
func (e *endpoint) readAt(c *net.UDPConn, buf, oob []byte) (n int, src netip.AddrPort, at int64, ok bool) {
	n, control, _, src, err := c.ReadMsgUDPAddrPort(buf, oob)
	at = e.s.now()
	if err != nil {
		n, ok = e.unread(err)
		return n, src, at, ok
	}
	if wall, stamped := stampIn(oob[:control]); stamped {
		// The session's start has both clocks; now as wall clock is start + at.
		if behind := e.s.start.UnixNano() + at - wall; behind > 0 && behind < int64(maxBehind) {
			at -= behind
		}
	}
	return n, plain(src), at, true
}
