package webrtc

import (
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
)

const (
	// maxPacket is the longest packet taken, bytes; it is the relay's bound and an
	// authentication tag.
	maxPacket = 2048 + 64
	// maxSources is from how many addresses one browser is taken: those of its
	// interfaces, and of its NATs. The oldest gives way.
	maxSources = 16
)

// socket is one UDP socket with a reader of its own, which alone knows whose
// packets come from where: no lock is shared by calls.
type socket struct {
	m    *Mux
	conn *net.UDPConn
	addr netip.AddrPort

	// of the reader
	known map[netip.AddrPort]*Peer
	from  map[*Peer][]netip.AddrPort // the same, the oldest first
	check stun.Message
	reply stun.Message
	plain [maxPacket]byte

	left  atomic.Bool // gone is not empty
	mu    sync.Mutex
	gone  []*Peer
	spare []*Peer
}

func (m *Mux) listen(addr netip.AddrPort) (*socket, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	relay.WantStamps(c)
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return &socket{m: m, conn: c, addr: unmapped(a), known: map[netip.AddrPort]*Peer{}, from: map[*Peer][]netip.AddrPort{}}, nil
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// read serves the socket until it is closed.
func (s *socket) read() {
	buf, oob := make([]byte, maxPacket+1), make([]byte, relay.StampSpace)
	for {
		n, control, _, src, err := s.conn.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // a broken socket must not spin
			continue
		}
		if s.left.Load() {
			s.forget()
		}
		if n > 0 && n <= maxPacket {
			s.take(buf[:n], unmapped(src), relay.StampIn(oob[:control]))
		}
	}
}

// take has a fault at one packet cost that packet.
func (s *socket) take(b []byte, src netip.AddrPort, wall int64) {
	defer func() {
		if v := recover(); v != nil {
			s.m.log.Error("a browser's packet failed", zap.Stringer("source", src), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
		}
	}()
	s.serve(b, src, wall)
}

// serve tells a packet's protocol by its first byte (RFC 7983 section 7).
func (s *socket) serve(b []byte, src netip.AddrPort, wall int64) {
	switch {
	case b[0] < 4:
		s.binding(b, src)
	case b[0] >= 20 && b[0] < 64:
		if p := s.known[src]; p != nil {
			p.handshaken(b)
		}
	case b[0] >= 128 && b[0] < 192:
		if p := s.known[src]; p != nil {
			p.media(b, s.plain[:0], src, wall)
		}
	}
}

// know takes packets from an address for a peer's.
func (s *socket) know(src netip.AddrPort, p *Peer) {
	before := s.known[src]
	if before == p {
		return
	}
	if before != nil { // the NAT's port, or the browser's, has a new owner
		s.from[before] = slices.DeleteFunc(s.from[before], func(a netip.AddrPort) bool { return a == src })
	}
	mine := s.from[p]
	if len(mine) == maxSources {
		delete(s.known, mine[0])
		mine = slices.Delete(mine, 0, 1)
	}
	s.known[src] = p
	s.from[p] = append(mine, src)
}

// leave has the reader forget a peer when it gets round to it; the peer itself
// takes nothing any more.
func (s *socket) leave(p *Peer) {
	s.mu.Lock()
	s.gone = append(s.gone, p)
	s.mu.Unlock()
	s.left.Store(true)
}

func (s *socket) forget() {
	s.mu.Lock()
	s.left.Store(false)
	gone := s.gone
	s.gone = s.spare[:0]
	s.mu.Unlock()
	for i, p := range gone {
		for _, a := range s.from[p] {
			delete(s.known, a)
		}
		delete(s.from, p)
		gone[i] = nil
	}
	s.mu.Lock()
	s.spare = gone[:0]
	s.mu.Unlock()
}
