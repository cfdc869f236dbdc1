//go:build linux && (amd64 || arm64)

package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// stamped is a UDP socket that tells when the kernel had a datagram, not when
// somebody got round to reading it: how far behind the door is shows in the
// difference.
type stamped struct {
	*net.UDPConn
	oob [64]byte // of the one reader
}

// withStamps asks for the kernel's stamps. Without its consent the reader's
// clock serves.
func withStamps(c *net.UDPConn) packetConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return anyUDP{c}
	}
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	})
	if err != nil {
		return anyUDP{c}
	}
	return &stamped{UDPConn: c}
}

func (c *stamped) read(b []byte) (int, netip.AddrPort, time.Time, error) {
	n, control, _, from, err := c.ReadMsgUDPAddrPort(b, c.oob[:])
	now := time.Now()
	if wall, ok := stampIn(c.oob[:control]); ok {
		// A stamp of the future, or of long ago, means that the clock was set.
		if behind := now.UnixNano() - wall; behind > 0 && behind < int64(time.Minute) {
			now = now.Add(-time.Duration(behind))
		}
	}
	return n, from, now, err
}

// stampIn is the arrival in an SCM_TIMESTAMPNS control message, ns since 1970: a
// header of 16 bytes and a timespec of 16 (socket(7), cmsg(3)).
func stampIn(oob []byte) (ns int64, ok bool) {
	if len(oob) < 32 || int32(binary.NativeEndian.Uint32(oob[8:])) != unix.SOL_SOCKET ||
		int32(binary.NativeEndian.Uint32(oob[12:])) != unix.SCM_TIMESTAMPNS {
		return 0, false
	}
	return int64(binary.NativeEndian.Uint64(oob[16:]))*1e9 + int64(binary.NativeEndian.Uint64(oob[24:])), true
}
