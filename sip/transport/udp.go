package transport

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// maxDatagram is the largest payload of a UDP datagram.
const maxDatagram = 65535

// ReceiveBuffer is what a listener asks the kernel for, bytes: a burst of
// INVITEs must not be lost there.
const ReceiveBuffer = 8 << 20

// socket is one UDP socket.
type socket struct {
	conn  packetConn
	local netip.AddrPort
}

// packetConn is what a socket needs.
type packetConn interface {
	// serve calls f with each datagram, its sender, its arrival and how many more
	// have been read already, until the socket is closed; failed is told of errors
	// that it outlives.
	serve(f func(b []byte, from netip.AddrPort, at time.Time, more int), failed func()) error
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	Close() error
}

// anyUDP is a UDP socket whose arrivals are those of its reader.
type anyUDP struct{ *net.UDPConn }

func (c anyUDP) serve(f func([]byte, netip.AddrPort, time.Time, int), failed func()) error {
	return serveOne(f, failed, c.ReadFromUDPAddrPort)
}

// anyConn adapts a net.PacketConn that is no UDP socket: a network in memory.
type anyConn struct{ net.PacketConn }

func (c anyConn) serve(f func([]byte, netip.AddrPort, time.Time, int), failed func()) error {
	if w, ok := c.PacketConn.(interface{ Waiting() int }); ok { // it knows how many datagrams are to be read
		take := f
		f = func(b []byte, from netip.AddrPort, at time.Time, _ int) { take(b, from, at, w.Waiting()) }
	}
	return serveOne(f, failed, func(b []byte) (int, netip.AddrPort, error) {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return n, netip.AddrPort{}, err
		}
		return n, addrPort(from), nil
	})
}

func (c anyConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return c.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

// serveOne reads one datagram at a time.
func serveOne(f func([]byte, netip.AddrPort, time.Time, int), failed func(), read func([]byte) (int, netip.AddrPort, error)) error {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := read(buf)
		switch {
		case err == nil:
			f(buf[:n], from, time.Now(), 0)
		case outlived(err):
			failed()
		default:
			return err
		}
	}
}

// outlived says whether a socket lives on after an error: an ICMP error of an
// earlier send, or no memory.
func outlived(err error) bool { return !errors.Is(err, net.ErrClosed) }

// UDP takes a socket to send with, and returns what reads from it until it is
// closed. Several sockets of one address (SO_REUSEPORT) are given one by one.
func (l *Layer) UDP(pc net.PacketConn) (serve func() error, err error) {
	s, err := l.addSocket(pc)
	if err != nil {
		return nil, err
	}
	return func() error { return l.readUDP(s) }, nil
}

func (l *Layer) addSocket(pc net.PacketConn) (*socket, error) {
	s := &socket{local: addrPort(pc.LocalAddr())}
	if u, ok := pc.(*net.UDPConn); ok {
		s.conn = batchOf(u)
	} else {
		s.conn = anyConn{pc}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = pc.Close()
		return nil, ErrClosed
	}
	l.sockets = append(l.sockets, s)
	return s, nil
}

func (l *Layer) readUDP(s *socket) error {
	return s.conn.serve(func(b []byte, from netip.AddrPort, at time.Time, more int) {
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if more >= crowd {
			l.behind.Add(1)
			defer l.behind.Add(-1)
		}
		l.received(Received{Flow: Flow{Transport: UDP, Local: s.local, Remote: from, socket: s}, Data: b, At: at})
	}, func() {
		l.handler.Refused("udp_read_error")
		time.Sleep(time.Millisecond)
	})
}

// crowd is how many datagrams wait behind one before it is worth waking another
// thread for it: for two or three that costs more than it gains, 11 % of a call at
// 300 calls a second.
const crowd = 3

// Behind says whether many datagrams wait that were read already: who takes long
// for a message then does better to take it elsewhere, and let the next one be read.
func (l *Layer) Behind() bool { return l.behind.Load() > 0 }

// socketFor is the UDP socket to send from: the one named, else any of the
// remote's address family.
func (l *Layer) socketFor(local, remote netip.AddrPort) *socket {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var fits *socket
	for _, s := range l.sockets {
		if s.local == local {
			return s
		}
		if fits == nil && s.local.Addr().Is4() == remote.Addr().Is4() {
			fits = s
		}
	}
	return fits
}

func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
