package scenario

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Network carries packets between addresses in memory, in order and without
// loss. What is sent to an address that nobody has is lost, as on UDP.
type Network struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*conn
	cut   map[netip.AddrPort]bool
	log   []packet
	mute  bool // nothing is logged
}

// A packet is one datagram as it was sent.
type packet struct {
	at       time.Time
	from, to netip.AddrPort
	data     []byte
}

// NewNetwork is a network with nobody in it.
func NewNetwork() *Network {
	return &Network{conns: map[netip.AddrPort]*conn{}, cut: map[netip.AddrPort]bool{}}
}

// Cut has everything fail that is sent to an address, as if there were no route
// to it, until it is mended.
func (n *Network) Cut(addr netip.AddrPort, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[addr] = cut
}

// Listen takes an address. The error says when somebody has it already.
func (n *Network) Listen(addr netip.AddrPort) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns[addr] != nil {
		return nil, fmt.Errorf("scenario: %s is taken", addr)
	}
	c := &conn{network: n, addr: addr, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	n.conns[addr] = c
	return c, nil
}

// Mute has the network keep nothing of what is sent from now on.
func (n *Network) Mute() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mute, n.log = true, nil
}

// Free says whether nobody has an address.
func (n *Network) Free(addr netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conns[addr] == nil
}

// packets is all that was sent so far.
func (n *Network) packets() []packet {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log[:len(n.log):len(n.log)]
}

// conn is one address. Its queue has no bound: a script sends little, and a
// bounded one would lose what the script did not lose.
type conn struct {
	network *Network
	addr    netip.AddrPort
	wake    chan struct{}
	closed  chan struct{}

	queue    []packet // guarded by network.mu
	deadline time.Time
}

func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c.network.mu.Lock()
		select {
		case <-c.closed:
			c.network.mu.Unlock()
			return 0, nil, &net.OpError{Op: "read", Net: "udp", Source: c.LocalAddr(), Err: net.ErrClosed}
		default:
		}
		deadline := c.deadline
		if len(c.queue) > 0 {
			p := c.queue[0]
			c.queue = c.queue[1:]
			c.network.mu.Unlock()
			return copy(b, p.data), net.UDPAddrFromAddrPort(p.from), nil
		}
		c.network.mu.Unlock()
		if err := c.sleep(deadline); err != nil {
			return 0, nil, err
		}
	}
}

// sleep waits for a packet, the end or the deadline.
func (c *conn) sleep(deadline time.Time) error {
	var late <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		late = t.C
	}
	select {
	case <-c.wake:
	case <-c.closed:
	case <-late:
		return &net.OpError{Op: "read", Net: "udp", Source: c.LocalAddr(), Err: os.ErrDeadlineExceeded}
	}
	return nil
}

// Waiting is how many packets are to be read.
func (c *conn) Waiting() int {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	return len(c.queue)
}

func (c *conn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("scenario: %v (%T) is no UDP address", to, to)
	}
	select {
	case <-c.closed:
		return 0, &net.OpError{Op: "write", Net: "udp", Source: c.LocalAddr(), Err: net.ErrClosed}
	default:
	}
	dst := netip.AddrPortFrom(u.AddrPort().Addr().Unmap(), u.AddrPort().Port())
	p := packet{at: time.Now(), from: c.addr, to: dst, data: append([]byte(nil), b...)}
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.network.cut[dst] {
		return 0, &net.OpError{Op: "write", Net: "udp", Source: c.LocalAddr(), Addr: to, Err: syscall.EHOSTUNREACH}
	}
	if !c.network.mute {
		c.network.log = append(c.network.log, p)
	}
	if peer := c.network.conns[dst]; peer != nil {
		peer.queue = append(peer.queue, p)
		peer.stir()
	}
	return len(b), nil
}

func (c *conn) stir() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) Close() error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.network.conns[c.addr] != c {
		return &net.OpError{Op: "close", Net: "udp", Source: c.LocalAddr(), Err: net.ErrClosed}
	}
	delete(c.network.conns, c.addr)
	close(c.closed)
	return nil
}

// LocalAddr is a *net.UDPAddr, as SIP libraries expect of a UDP listener.
func (c *conn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.addr) }

func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.deadline = t
	c.stir()
	return nil
}

func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// netUDP is an address as net writes it.
func netUDP(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }
