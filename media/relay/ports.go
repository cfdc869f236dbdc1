package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// ErrNoPorts says that no pair of ports in the configured range could be bound.
var ErrNoPorts = errors.New("no free RTP ports")

// ports hands out pairs of UDP sockets on one local address: RTP on an even
// port, RTCP on the next (RFC 3550 section 11).
//
// To open and close four sockets is a good part of what a short call costs, so
// pairs stay open after their call. While they rest, and until they are lent
// again, what reaches them is thrown away.
type ports struct {
	addr  netip.Addr
	first int // lowest even port
	pairs int
	rest  time.Duration
	most  int // pairs that may be open; beyond it those that end are closed
	with  sockets

	mu      sync.Mutex // taken when a call opens or closes, never for a packet
	free    []int      // not open, in no order
	ready   []*opened  // open and rested, in no order
	resting []resting  // from head on, the longest-resting first
	head    int
	used    int
	open    int // pairs, used or not
	shedAt  time.Time
	closed  bool
}

// opened is a pair of bound sockets.
type opened struct {
	rtp, rtcp socket
	port      int // of rtp
}

func (o *opened) again() bool { return o.rtp.again() && o.rtcp.again() }

// resting is a port that served a call a moment ago: what is still on its way to
// that call must not reach another.
type resting struct {
	port  int
	until time.Time
	pair  *opened // nil if it was closed
}

// enough is from how many open pairs one is drawn. A port that can be guessed is
// a port that can be sprayed: with fewer at hand a new one is drawn from the
// range. Twice as many are kept.
const enough = 64

func newPorts(addr netip.Addr, p Ports, most int, with sockets) *ports {
	first := p.Min + p.Min%2
	ps := &ports{addr: addr, first: first, pairs: max(0, (p.Max-first+1)/2), rest: p.Rest, most: most, with: with}
	for i := range ps.pairs {
		ps.free = append(ps.free, first+2*i)
	}
	return ps
}

// pair is an RTP socket and its RTCP socket in the hands of a call.
type pair struct {
	rtp, rtcp conn
	port      int // of rtp
	opened    *opened
}

// take lends a pair from a random place in the range. Ports that another program
// holds are passed over.
func (p *ports) take(now time.Time) (pair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.head < len(p.resting) && !now.Before(p.resting[p.head].until) {
		p.rested(now)
	}
	p.shed(now)
	if len(p.ready) >= enough {
		return p.lend(p.draw()), nil
	}
	var short error
	for untried := len(p.free); untried > 0; untried-- {
		i := rand.IntN(untried)
		port := p.free[i]
		p.free[i], p.free[untried-1] = p.free[untried-1], port
		got, err := p.bind(port)
		if scarce(err) {
			short = err
			break
		}
		if err == nil {
			last := len(p.free) - 1
			p.free[untried-1] = p.free[last]
			p.free = p.free[:last]
			return p.lend(got), nil
		}
	}
	if len(p.ready) > 0 {
		return p.lend(p.draw()), nil
	}
	for p.head < len(p.resting) { // a call goes before a rest
		r := p.wake()
		if r.pair == nil && short == nil {
			r.pair, _ = p.bind(r.port)
		}
		if r.pair != nil {
			return p.lend(r.pair), nil
		}
		p.free = append(p.free, r.port)
	}
	if short != nil {
		return pair{}, fmt.Errorf("no socket for media on %s, with %d pairs in use by calls: %w; raise the limit of open files (LimitNOFILE)", p.addr, p.used, short)
	}
	return pair{}, fmt.Errorf("%w on %s between %d and %d: %d pairs in use by calls, %d held by other programs; widen ports.min to ports.max",
		ErrNoPorts, p.addr, p.first, p.first+2*p.pairs-1, p.used, len(p.free))
}

func (p *ports) lend(o *opened) pair {
	p.used++
	return pair{rtp: o.rtp.lend(), rtcp: o.rtcp.lend(), port: o.port, opened: o}
}

// draw takes a random pair out of those that are ready.
func (p *ports) draw() *opened {
	i, last := rand.IntN(len(p.ready)), len(p.ready)-1
	o := p.ready[i]
	p.ready[i], p.ready[last] = p.ready[last], nil
	p.ready = p.ready[:last]
	return o
}

// shed closes, one by one, what a burst of calls has left: the next one may be
// near.
func (p *ports) shed(now time.Time) {
	if len(p.ready) <= 2*enough || now.Sub(p.shedAt) < shedEvery {
		return
	}
	p.shedAt = now
	o := p.draw()
	p.shut(o)
	p.free = append(p.free, o.port)
}

const shedEvery = time.Second / 20

// rested ends the rest of the port that has rested longest. Somebody who still
// sends to it does not get to another call: the pair is closed and the port rests
// anew.
func (p *ports) rested(now time.Time) {
	r := p.wake()
	quiet := now.Add(-p.rest / 2)
	switch {
	case r.pair == nil:
		p.free = append(p.free, r.port)
	case r.pair.again() && !r.pair.rtp.stray().After(quiet) && !r.pair.rtcp.stray().After(quiet):
		p.ready = append(p.ready, r.pair)
	default:
		p.shut(r.pair)
		p.resting = append(p.resting, resting{port: r.port, until: now.Add(p.rest)})
	}
}

// wake takes out the port that has rested longest.
func (p *ports) wake() resting {
	r := p.resting[p.head]
	p.resting[p.head].pair = nil
	if p.head++; p.head > len(p.resting)/2 {
		n := copy(p.resting, p.resting[p.head:])
		clear(p.resting[n:])
		p.resting, p.head = p.resting[:n], 0
	}
	return r
}

// bind opens the pair of an even port.
func (p *ports) bind(port int) (*opened, error) {
	rtp, err := p.with.open(netip.AddrPortFrom(p.addr, uint16(port)), true)
	if err != nil {
		return nil, err
	}
	rtcp, err := p.with.open(netip.AddrPortFrom(p.addr, uint16(port+1)), false)
	if err != nil {
		rtp.shut()
		return nil, err
	}
	p.open++
	return &opened{rtp: rtp, rtcp: rtcp, port: port}, nil
}

// scarce says that no other port would do either.
func scarce(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (p *ports) shut(o *opened) {
	o.rtp.shut()
	o.rtcp.shut()
	p.open--
}

// release lets a pair rest whose conns are closed.
func (p *ports) release(got pair, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	r := resting{port: got.port, until: now.Add(p.rest), pair: got.opened}
	if p.closed || p.open > p.most || !r.pair.again() {
		p.shut(r.pair)
		r.pair = nil
	}
	p.resting = append(p.resting, r)
	p.shed(now)
}

// close closes what is kept open; what calls hold is closed when they end.
func (p *ports) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, o := range p.ready {
		p.shut(o)
		p.free = append(p.free, o.port)
	}
	p.ready = nil
	for i := p.head; i < len(p.resting); i++ {
		if o := p.resting[i].pair; o != nil {
			p.shut(o)
			p.resting[i].pair = nil
		}
	}
}

// load is how many pairs calls hold, and how many are kept open for others.
func (p *ports) load() (used, kept int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, p.open - p.used
}
