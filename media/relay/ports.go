package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
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

	mu      sync.Mutex // taken when a call opens or closes, never for a packet
	used    map[int]bool
	resting map[int]time.Time // port to the end of its rest
}

func newPorts(addr netip.Addr, p Ports) *ports {
	first := p.Min + p.Min%2
	return &ports{
		addr: addr, first: first, pairs: max(0, (p.Max-first+1)/2), rest: p.Rest,
		used: map[int]bool{}, resting: map[int]time.Time{},
	}
}

// pair is an RTP socket and its RTCP socket.
type pair struct {
	rtp, rtcp *net.UDPConn
	port      int // of rtp
}

// take binds a pair, starting at a random place in the range: a port that can be
// guessed is a port that can be sprayed. Ports that another program holds are
// passed over.
func (p *ports) take(now time.Time) (pair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	start := 0
	if p.pairs > 0 {
		start = rand.IntN(p.pairs)
	}
	busy := 0
	for i := range p.pairs {
		port := p.first + 2*((start+i)%p.pairs)
		if p.used[port] {
			continue
		}
		if until, ok := p.resting[port]; ok {
			if now.Before(until) {
				continue
			}
			delete(p.resting, port)
		}
		if got, ok := p.bind(port); ok {
			return got, nil
		}
		busy++
	}
	for len(p.resting) > 0 { // a call goes before a rest
		port, oldest := 0, time.Time{}
		for q, until := range p.resting {
			if port == 0 || until.Before(oldest) {
				port, oldest = q, until
			}
		}
		delete(p.resting, port)
		if got, ok := p.bind(port); ok {
			return got, nil
		}
		busy++
	}
	return pair{}, fmt.Errorf("%w on %s between %d and %d: %d pairs in use by calls, %d held by other programs; widen ports.min to ports.max",
		ErrNoPorts, p.addr, p.first, p.first+2*p.pairs-1, len(p.used), busy)
}

func (p *ports) bind(port int) (pair, bool) {
	network := "udp4"
	if p.addr.Is6() {
		network = "udp6"
	}
	rtp, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.addr, uint16(port))))
	if err != nil {
		return pair{}, false
	}
	rtcp, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.addr, uint16(port+1))))
	if err != nil {
		_ = rtp.Close()
		return pair{}, false
	}
	wantStamps(rtp)
	p.used[port] = true
	return pair{rtp: rtp, rtcp: rtcp, port: port}, true
}

// release lets a closed pair rest.
func (p *ports) release(port int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, port)
	if p.rest > 0 {
		p.resting[port] = now.Add(p.rest)
	}
}

// inUse is how many pairs calls hold.
func (p *ports) inUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.used)
}
