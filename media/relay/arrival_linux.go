//go:build linux && (amd64 || arm64)

package relay

import (
	"encoding/binary"
	"net"
	"syscall"
)

// stampSpace holds one SCM_TIMESTAMPNS control message: a header of 16 bytes
// and a timespec of 16 (socket(7), cmsg(3)).
const stampSpace = 32

// wantStamps asks the kernel to tell when each packet arrived. Without its
// consent the reading goroutine's clock serves.
func wantStamps(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	})
}

// stampIn is the arrival in a control message, ns since 1970.
func stampIn(oob []byte) (ns int64, ok bool) {
	if len(oob) < stampSpace {
		return 0, false
	}
	level := int32(binary.NativeEndian.Uint32(oob[8:]))
	kind := int32(binary.NativeEndian.Uint32(oob[12:]))
	if level != syscall.SOL_SOCKET || kind != syscall.SCM_TIMESTAMPNS {
		return 0, false
	}
	return int64(binary.NativeEndian.Uint64(oob[16:]))*1e9 + int64(binary.NativeEndian.Uint64(oob[24:])), true
}
