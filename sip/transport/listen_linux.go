package transport

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenUDP opens n sockets of one address (SO_REUSEPORT): the kernel spreads
// peers over them, all datagrams of one peer to one socket, so that their order
// holds.
func ListenUDP(addr netip.AddrPort, n int) ([]net.PacketConn, error) {
	if n > 1 { // shared addresses would hide that another server is there
		probe, err := listenOne(addr, false)
		if err != nil {
			return nil, err
		}
		if addr.Port() == 0 {
			addr = probe.LocalAddr().(*net.UDPAddr).AddrPort()
		}
		_ = probe.Close()
	}
	var out []net.PacketConn
	for range max(n, 1) {
		pc, err := listenOne(addr, n > 1)
		if err != nil {
			for _, o := range out {
				_ = o.Close()
			}
			return nil, err
		}
		out = append(out, pc)
	}
	return out, nil
}

func listenOne(addr netip.AddrPort, shared bool) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) {
			if shared {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
			// Past net.core.rmem_max where that is allowed, else up to it.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, ReceiveBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, ReceiveBuffer)
			}
		})
		if cerr != nil {
			return cerr
		}
		return err
	}}
	return lc.ListenPacket(context.Background(), network("udp", addr), addr.String())
}
