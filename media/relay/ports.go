package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// ErrNoPorts says that no pair of ports in the configured range could be bound.
var ErrNoPorts = errors.New("no free RTP ports")

// ports hands out pairs of UDP sockets on one local address: RTP on an even
// port, RTCP on the next (RFC 3550 section 11).
type ports struct {
	addr  netip.Addr
	first int // lowest even port
	pairs int
	rest  time.Duration
	open  func(addr netip.AddrPort, stamped bool) (conn, error)

	mu      sync.Mutex // taken when a call opens or closes, never for a packet
	free    []int      // in no order
	resting []resting  // from head on, the longest-resting first
	head    int
	used    int
}

// resting is a port that served a call a moment ago: what is still on its way to
// that call must not reach another.
type resting struct {
	port  int
	until time.Time
}

func newPorts(addr netip.Addr, p Ports, with sockets) *ports {
	first := p.Min + p.Min%2
	ps := &ports{addr: addr, first: first, pairs: max(0, (p.Max-first+1)/2), rest: p.Rest, open: with.open}
	for i := range ps.pairs {
		ps.free = append(ps.free, first+2*i)
	}
	return ps
}

// pair is an RTP socket and its RTCP socket.
type pair struct {
	rtp, rtcp conn
	port      int // of rtp
}

// take binds a pair from a random place in the range: a port that can be guessed
// is a port that can be sprayed. Ports that another program holds are passed over.
func (p *ports) take(now time.Time) (pair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.head < len(p.resting) && !now.Before(p.resting[p.head].until) {
		p.free = append(p.free, p.wake())
	}
	for untried := len(p.free); untried > 0; untried-- {
		i := rand.IntN(untried)
		port := p.free[i]
		p.free[i], p.free[untried-1] = p.free[untried-1], port
		if got, ok := p.bind(port); ok {
			last := len(p.free) - 1
			p.free[untried-1] = p.free[last]
			p.free = p.free[:last]
			p.used++
			return got, nil
		}
	}
	for p.head < len(p.resting) { // a call goes before a rest
		port := p.wake()
		if got, ok := p.bind(port); ok {
			p.used++
			return got, nil
		}
		p.free = append(p.free, port)
	}
	return pair{}, fmt.Errorf("%w on %s between %d and %d: %d pairs in use by calls, %d held by other programs; widen ports.min to ports.max",
		ErrNoPorts, p.addr, p.first, p.first+2*p.pairs-1, p.used, len(p.free))
}

// wake takes out the port that has rested longest.
func (p *ports) wake() int {
	port := p.resting[p.head].port
	if p.head++; p.head > len(p.resting)/2 {
		p.resting = append(p.resting[:0], p.resting[p.head:]...)
		p.head = 0
	}
	return port
}

func (p *ports) bind(port int) (pair, bool) {
	rtp, err := p.open(netip.AddrPortFrom(p.addr, uint16(port)), true)
	if err != nil {
		return pair{}, false
	}
	rtcp, err := p.open(netip.AddrPortFrom(p.addr, uint16(port+1)), false)
	if err != nil {
		rtp.close()
		return pair{}, false
	}
	return pair{rtp: rtp, rtcp: rtcp, port: port}, true
}

// release lets a closed pair rest.
func (p *ports) release(port int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	p.resting = append(p.resting, resting{port, now.Add(p.rest)})
}

// inUse is how many pairs calls hold.
func (p *ports) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}
