package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// conn is a UDP socket in the hands of one call.
type conn interface {
	// watch has f called for each datagram that arrives from now on, one after
	// another, until close. b is the reader's buffer; wall is the kernel's arrival,
	// ns since 1970, 0 if it does not tell.
	watch(f func(b []byte, src netip.AddrPort, wall int64))
	send(b []byte, to netip.AddrPort) error
	// close gives the socket back: nothing is sent by this conn any more. f may be
	// at its last packet still.
	close()
}

// socket is a bound UDP socket, which may serve one call after another.
type socket interface {
	// lend gives it to a call.
	lend() conn
	// again says whether it may be lent once more.
	again() bool
	// stray is when something arrived last that nobody had the socket for, and that
	// was thrown away; zero for never.
	stray() time.Time
	// shut frees the port. Nobody may have it.
	shut()
}

// sockets makes them.
type sockets interface {
	// open binds a socket. stamped asks for the kernel's arrival times.
	open(addr netip.AddrPort, stamped bool) (socket, error)
	// close ends the reading of all sockets, which were shut before, and waits for
	// it.
	close()
}

// plainSockets are what every system has. They serve one call only: nothing
// could be promised about a packet that was read, and not yet looked at, when the
// socket changed hands.
type plainSockets struct{ wg sync.WaitGroup }

func (ps *plainSockets) close() { ps.wg.Wait() }

// plain is a socket with a goroutine of its own.
type plain struct {
	c  *net.UDPConn
	wg *sync.WaitGroup
}

func (ps *plainSockets) open(addr netip.AddrPort, stamped bool) (socket, error) {
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

func (p *plain) lend() conn       { return p }
func (p *plain) again() bool      { return false }
func (p *plain) stray() time.Time { return time.Time{} }
func (p *plain) shut()            { p.close() }

// unmapped takes the IPv4 address out of an IPv4-mapped one, so that addresses compare.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
