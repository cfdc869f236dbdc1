//go:build linux && (amd64 || arm64)

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// socketBuffer holds what arrives while the tool is not on a processor. The
// kernel gives less when net.core.rmem_max says so.
const socketBuffer = 4 << 20

// socket is a plain UDP socket. Its packets are stamped by the kernel when they
// arrive, so that a delay ends there and not when the tool comes to look.
type socket struct {
	fd   int
	addr netip.AddrPort
	buf  [64 << 10]byte
	oob  [64]byte
}

func listen(at netip.AddrPort) (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	s := &socket{fd: fd, addr: at}
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, socketBuffer); err != nil {
			s.close()
			return nil, fmt.Errorf("setting the buffers of %s: %w", at, err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		s.close()
		return nil, fmt.Errorf("asking for the arrival times at %s: %w", at, err)
	}
	if err := unix.Bind(fd, sockaddr(at)); err != nil {
		s.close()
		return nil, fmt.Errorf("listening on %s: %w", at, err)
	}
	return s, nil
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

func (s *socket) close() { _ = unix.Close(s.fd) }

// receive reads one packet, if one is there, and says when it arrived, ns since
// 1970. What it returns is valid until the next call.
func (s *socket) receive() (m []byte, from unix.Sockaddr, at int64, ok bool) {
	n, k, _, from, err := unix.Recvmsg(s.fd, s.buf[:], s.oob[:], unix.MSG_DONTWAIT)
	if err != nil {
		return nil, nil, 0, false // nothing there, or an ICMP error of a packet before
	}
	return s.buf[:n], from, stamp(s.oob[:k]), true
}

// stamp is the time in a control message SCM_TIMESTAMPNS (socket(7), cmsg(3)),
// or now.
func stamp(oob []byte) int64 {
	if len(oob) >= 32 && binary.NativeEndian.Uint32(oob[8:]) == unix.SOL_SOCKET && binary.NativeEndian.Uint32(oob[12:]) == unix.SO_TIMESTAMPNS {
		return int64(binary.NativeEndian.Uint64(oob[16:]))*1e9 + int64(binary.NativeEndian.Uint64(oob[24:]))
	}
	return time.Now().UnixNano()
}

// send hands a packet to the kernel. A packet that it does not take is lost, as
// any may be.
func (s *socket) send(m []byte, to unix.Sockaddr) { _ = unix.Sendto(s.fd, m, 0, to) }

// wait returns when one of the sockets has a packet, or after d.
func wait(d time.Duration, a, b *socket) error {
	fds := [2]unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}, {Fd: int32(b.fd), Events: unix.POLLIN}}
	t := unix.NsecToTimespec(int64(max(d, 0)))
	if _, err := unix.Ppoll(fds[:], &t, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for packets: %w", err)
	}
	return nil
}
