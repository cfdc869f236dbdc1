//go:build linux && (amd64 || arm64)

package relay

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls on media sockets never wait, so the runtime is not told of
// them. Told, it would wake the thread that looks after calls that do wait
// (sysmon) each time it had gone to sleep: at 300 calls a second that is a wake-up
// a message, and was 15 % of what a call cost.

// rawAddr is an address as the kernel wants it.
type rawAddr struct {
	v4   unix.RawSockaddrInet4
	v6   unix.RawSockaddrInet6
	name unsafe.Pointer
	size uintptr
}

func (a *rawAddr) set(to netip.AddrPort, v6 bool) {
	if v6 {
		a.v6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port(to.Port()), Addr: to.Addr().As16()}
		a.name, a.size = unsafe.Pointer(&a.v6), unix.SizeofSockaddrInet6
		return
	}
	a.v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port(to.Port()), Addr: as4(to.Addr())}
	a.name, a.size = unsafe.Pointer(&a.v4), unix.SizeofSockaddrInet4
}

func rawBind(fd int, addr netip.AddrPort) error {
	var a rawAddr
	a.set(addr, addr.Addr().Is6())
	return failure(unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(a.name), a.size))
}

func rawSet(fd, level, option int) error {
	on := int32(1)
	return failure(unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0))
}

func rawSend(fd int, b []byte, to netip.AddrPort, v6 bool) error {
	var a rawAddr
	a.set(to, v6)
	return failure(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(a.name), a.size))
}

// rawDiscard throws a datagram away; false: there was none.
func rawDiscard(fd int) bool {
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno == 0
}

func failure(_, _ uintptr, errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
