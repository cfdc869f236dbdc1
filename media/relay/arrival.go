package relay

import (
	"net"
	"time"
)

// The arrival of a packet is when the kernel had it, not when a goroutine got
// round to reading it: on a busy machine the two differ by milliseconds, and
// what the analysis says of a sender's pacing must not depend on our own load.
// A capture of the call bears the same times.

// maxBehind is how old a packet may be by the kernel's clock. An older (or a
// future) one means that the wall clock was set meanwhile.
const maxBehind = time.Second

// arrival is when a packet came, ns after the session's start, by the kernel's
// stamp if it has one.
func (s *Session) arrival(wall int64) int64 {
	at := s.now()
	if wall == 0 {
		return at
	}
	// The session's start has both clocks; now as wall clock is start + at.
	if behind := s.start.UnixNano() + at - wall; behind > 0 && behind < int64(maxBehind) {
		at -= behind
	}
	return at
}

// WantStamps, StampIn and StampSpace are for carriers, which read sockets of
// their own: WantStamps asks the kernel to tell when each packet arrived, which
// StampIn finds in the packet's control messages, read into StampSpace bytes.
func WantStamps(c *net.UDPConn) { wantStamps(c) }

// StampIn is the arrival in ns since 1970, 0 if the kernel did not tell.
func StampIn(oob []byte) int64 {
	ns, _ := stampIn(oob)
	return ns
}

// StampSpace is what one stamp takes.
const StampSpace = stampSpace
