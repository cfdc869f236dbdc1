package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// conn is one bound UDP socket of a call.
type conn interface {
	// watch has f called for each datagram, one after another, until close. b is
	// the reader's buffer; wall is the kernel's arrival, ns since 1970, 0 if it
	// does not tell.
	watch(f func(b []byte, src netip.AddrPort, wall int64))
	send(b []byte, to netip.AddrPort) error
	// close frees the port. f may be at its last packet still.
	close()
}

// sockets makes conns.
type sockets interface {
	// open binds a socket. stamped asks for the kernel's arrival times.
	open(addr netip.AddrPort, stamped bool) (conn, error)
	// close ends the reading of all conns, which were closed before, and waits for
	// it.
	close()
}

// plainSockets are what every system has.
type plainSockets struct{ wg sync.WaitGroup }

func (ps *plainSockets) close() { ps.wg.Wait() }

// plain is a socket with a goroutine of its own.
type plain struct {
	c  *net.UDPConn
	wg *sync.WaitGroup
}

func (ps *plainSockets) open(addr netip.AddrPort, stamped bool) (conn, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	if stamped {
		wantStamps(c)
	}
	return &plain{c: c, wg: &ps.wg}, nil
}

func (p *plain) watch(f func(b []byte, src netip.AddrPort, wall int64)) {
	p.wg.Go(func() {
		buf, oob := make([]byte, maxPacket+1), make([]byte, stampSpace)
		for {
			n, control, _, src, err := p.c.ReadMsgUDPAddrPort(buf, oob)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(time.Millisecond) // a broken socket must not spin
				continue
			}
			wall, _ := stampIn(oob[:control])
			f(buf[:n], unmapped(src), wall)
		}
	})
}

func (p *plain) send(b []byte, to netip.AddrPort) error {
	_, err := p.c.WriteToUDPAddrPort(b, to)
	return err
}

func (p *plain) close() { _ = p.c.Close() }

// unmapped takes the IPv4 address out of an IPv4-mapped one, so that addresses compare.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
