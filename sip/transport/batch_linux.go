//go:build linux && (amd64 || arm64)

package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batched is a UDP socket that is read with recvmmsg(2), as many datagrams as
// there are, and that tells when the kernel had each, not when somebody got round
// to reading it: how far behind the door is shows in the difference.
type batched struct {
	*net.UDPConn
	raw syscall.RawConn
	v6  bool

	mu     sync.RWMutex // keeps the descriptor while something is sent
	fd     int
	closed bool
}

// batchSize is how many datagrams are read at a time.
const batchSize = 16

// batchOf asks for the kernel's stamps. Without its consent the reader's
// clock serves.
func batchOf(c *net.UDPConn) packetConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return anyUDP{c}
	}
	b := &batched{UDPConn: c, raw: raw, v6: !addrPort(c.LocalAddr()).Addr().Is4()}
	_ = raw.Control(func(fd uintptr) {
		b.fd = int(fd)
		_ = unix.SetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	})
	return b
}

// Close implements packetConn.
func (c *batched) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return c.UDPConn.Close()
}

// WriteToUDPAddrPort sends a datagram. As that never waits, the runtime need not
// be told of the system call: for each it would wake the thread that looks after
// those that do. A full buffer is the net package's to wait for.
func (c *batched) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.v6 == to.Addr().Unmap().Is4() || to.Addr().Zone() != "" || len(b) == 0 {
		return c.UDPConn.WriteToUDPAddrPort(b, to)
	}
	errno := c.send(b, to)
	switch errno {
	case 0:
		return len(b), nil
	case unix.EAGAIN, unix.EINTR, unix.EBADF:
		return c.UDPConn.WriteToUDPAddrPort(b, to)
	}
	return 0, &net.OpError{Op: "write", Net: "udp", Source: c.LocalAddr(), Addr: net.UDPAddrFromAddrPort(to), Err: os.NewSyscallError("sendto", errno)}
}

func (c *batched) send(b []byte, to netip.AddrPort) syscall.Errno {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return unix.EBADF
	}
	var name unsafe.Pointer
	var size uintptr
	if c.v6 {
		name, size = unsafe.Pointer(&unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port(to.Port()), Addr: to.Addr().As16()}), unix.SizeofSockaddrInet6
	} else {
		name, size = unsafe.Pointer(&unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port(to.Port()), Addr: to.Addr().Unmap().As4()}), unix.SizeofSockaddrInet4
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(name), size)
	return errno
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// batch is what is received into.
type batch struct {
	msgs [batchSize]mmsghdr
	iovs [batchSize]unix.Iovec
	from [batchSize]unix.RawSockaddrAny
	oob  [batchSize][64]byte
	bufs [batchSize][]byte
}

func newBatch() *batch {
	b := &batch{}
	room := make([]byte, batchSize*maxDatagram) // the pages that no datagram reaches cost nothing
	for i := range b.msgs {
		b.bufs[i] = room[i*maxDatagram : (i+1)*maxDatagram]
		b.iovs[i].Base = &b.bufs[i][0]
		b.iovs[i].SetLen(maxDatagram)
		h := &b.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.from[i]))
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Control = &b.oob[i][0]
	}
	return b
}

func (b *batch) receive(fd uintptr) (int, syscall.Errno) {
	for i := range b.msgs {
		b.msgs[i].hdr.Namelen = unix.SizeofSockaddrAny
		b.msgs[i].hdr.SetControllen(len(b.oob[i]))
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.msgs[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// serve implements packetConn. The socket stays within one Read of the runtime's
// poller: that waits for what arrives after the socket was found empty, and needs
// no further system call to find it so.
func (c *batched) serve(f func(b []byte, from netip.AddrPort, at time.Time, more int), failed func()) error {
	b := newBatch()
	for {
		err := c.raw.Read(func(fd uintptr) bool {
			for { // false waits for more, true begins anew
				n, errno := b.receive(fd)
				switch errno {
				case 0:
				case unix.EAGAIN:
					return false
				case unix.EINTR:
					continue
				default:
					failed()
					return true
				}
				now := time.Now()
				for i := range n {
					m := &b.msgs[i]
					f(b.bufs[i][:m.n], source(&b.from[i]), arrival(b.oob[i][:m.hdr.Controllen], now), n-1-i)
				}
				if n < batchSize {
					return false
				}
			}
		})
		switch {
		case err == nil:
		case outlived(err):
			failed()
		default:
			return err
		}
	}
}

// arrival is when the kernel had a datagram, by its stamp. A stamp of the future,
// or of long ago, means that the clock was set.
func arrival(oob []byte, now time.Time) time.Time {
	if wall, ok := stampIn(oob); ok {
		if behind := now.UnixNano() - wall; behind > 0 && behind < int64(time.Minute) {
			return now.Add(-time.Duration(behind))
		}
	}
	return now
}

// port turns a port from or to network byte order.
func port(p uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], p)
	return binary.BigEndian.Uint16(b[:])
}

func source(a *unix.RawSockaddrAny) netip.AddrPort {
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr), port(in.Port))
	}
	return netip.AddrPort{}
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
