package relay

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
)

// maxPacket is the longest packet relayed, bytes; anything longer is no audio
// over a telephone line and is dropped.
const maxPacket = 2048

// place is the ports of a local address and what peers are told it is.
type place struct {
	ports     *ports
	advertise netip.Addr
}

// endpoint is a pair of sockets and the one peer it talks to.
type endpoint struct {
	s    *Session
	side Side
	sock pair
	from *ports // nil with a carrier

	onRTP, onRTCP watcher

	carrier  Carrier        // instead of sockets; may be nil
	addr     netip.AddrPort // for SDP
	security security

	// aim is the peer's address by its SDP; learnt* what it turned out to be. The
	// learnt ones count only for the aim they were learnt under, so that a packet
	// loop still busy with the old peer cannot undo a new aim.
	aim        atomic.Pointer[aim]
	deaf       atomic.Bool // the peer wants no packets now
	learnt     atomic.Pointer[learnt]
	learntRTCP atomic.Pointer[learnt]

	latch latch // of the RTP goroutine
	seen  *aim  // the aim that latch was told
	stats codec.Stats
	ssrc  uint32 // that stats is about
	past  int    // lost packets of earlier SSRCs

	report func(b []byte) // takes the peer's RTCP
	trip   trip

	reception reception
	count     counters
	once      sync.Once
}

// aim is a peer by its SDP.
type aim struct{ rtp, rtcp netip.AddrPort }

type learnt struct {
	under *aim
	addr  netip.AddrPort
}

// counters are written by packet loops and read by Stats.
type counters struct {
	packets, bytes, other, rtcp atomic.Uint64
	refused, refusedRTCP        atomic.Uint64
	sent, unsent, sentRTCP      atomic.Uint64
	lost                        atomic.Uint64
	forged, replayed            atomic.Uint64
	jitter                      atomic.Uint64 // float64 bits, ms
	first, last                 atomic.Int64  // ns after the session's start, 0 for none
}

func newEndpoint(s *Session, side Side, advertise netip.Addr, sock pair, from *ports) *endpoint {
	cfg := &s.relay.cfg
	e := &endpoint{
		s: s, side: side, sock: sock, from: from,
		addr:  netip.AddrPortFrom(advertise, uint16(sock.port)),
		latch: newLatch(cfg.Latch, cfg.LatchPackets),
	}
	e.security.stand(e)
	return e
}

// setRemote aims at a peer. The same addresses again change nothing: a session
// refresh must not throw away what was learnt, nor a hold by c=0.0.0.0 (RFC 3264
// section 8.4), whose end names them again as a rule.
func (e *endpoint) setRemote(rtp, rtcp netip.AddrPort) {
	if e.carrier != nil {
		return
	}
	rtp, rtcp = unmapped(rtp), unmapped(rtcp)
	if !rtp.IsValid() || rtp.Port() == 0 || rtp.Addr().IsUnspecified() {
		e.deaf.Store(true) // on hold by c=0.0.0.0, or refused
		return
	}
	e.deaf.Store(false)
	if !rtcp.IsValid() || rtcp.Port() == 0 {
		rtcp = beside(rtp) // RFC 3605: without a=rtcp it is the next port
	}
	if old := e.aim.Load(); old != nil && old.rtp == rtp && old.rtcp == rtcp {
		return
	}
	e.aim.Store(&aim{rtp: rtp, rtcp: rtcp})
}

// to is where the peer's RTP goes now.
func (e *endpoint) to() netip.AddrPort {
	if e.carrier != nil {
		return e.addr // any: the carrier knows
	}
	if e.deaf.Load() {
		return netip.AddrPort{} // wherever it speaks from
	}
	a := e.aim.Load()
	if l := e.learnt.Load(); l != nil && l.under == a {
		return l.addr
	}
	if a == nil {
		return netip.AddrPort{}
	}
	return a.rtp
}

// toRTCP is where the peer's RTCP goes now.
func (e *endpoint) toRTCP() netip.AddrPort {
	if e.carrier != nil {
		return e.addr
	}
	if e.deaf.Load() {
		return netip.AddrPort{}
	}
	a := e.aim.Load()
	rtp := e.to()
	if a != nil && a.rtcp == a.rtp { // on one port (RFC 5761)
		return rtp
	}
	if l := e.learntRTCP.Load(); l != nil && l.under == a {
		return l.addr
	}
	if a != nil && a.rtcp.Addr() == rtp.Addr() || !rtp.IsValid() {
		if a == nil {
			return netip.AddrPort{}
		}
		return a.rtcp
	}
	return beside(rtp)
}

// read has each packet that is admitted given to forward, and RTCP to report,
// until the sockets are closed; p is meaningful if rtp is true.
func (e *endpoint) read(forward func(b []byte, p codec.RTP, rtp bool, now int64), report func(b []byte)) {
	e.report = report
	e.readRTP(forward)
	e.readRTCP()
}

func (e *endpoint) readRTP(forward func(b []byte, p codec.RTP, rtp bool, now int64)) {
	e.onRTP = watcher{e: e, name: "rtp", f: func(b []byte, src netip.AddrPort, wall int64) {
		if len(b) > maxPacket {
			e.count.refused.Add(1)
			return
		}
		e.receive(b, src, e.s.arrival(wall), forward)
	}}
	e.onRTP.watch(e.sock.rtp)
}

// receive judges one packet and passes it on.
func (e *endpoint) receive(b []byte, src netip.AddrPort, now int64, forward func(b []byte, p codec.RTP, rtp bool, now int64)) {
	if a := e.aim.Load(); a != e.seen {
		e.seen = a
		e.latch.aim(a.rtp, now)
	}
	p, err := codec.ParseRTP(b)
	q := &p
	if err != nil {
		q = nil
	}
	verdict, c := pass, (*candidate)(nil)
	if e.carrier != nil {
		e.carry(src)
	} else {
		verdict, c = e.latch.admit(b, q, src, now)
	}
	switch verdict {
	case keep:
		return
	case refuse:
		e.count.refused.Add(1)
		return
	case latched:
		e.learnt.Store(&learnt{under: e.seen, addr: src})
		e.s.log.Debug("media source latched", zap.Stringer("side", e.side), zap.Stringer("source", src), zap.Stringer("sdp", e.latch.sdp))
		for _, h := range c.held[:c.kept] {
			hp, err := codec.ParseRTP(h.b)
			if err == nil {
				e.measure(&hp, len(h.b), h.at)
			} else {
				e.count.other.Add(1)
			}
			forward(h.b, hp, err == nil, h.at)
		}
		c.kept = 0
	}
	if q == nil {
		if isRTCP(b) { // on one port with RTP (RFC 5761)
			e.reported(e.addr, src, b, now)
			return
		}
		e.count.other.Add(1)
	} else {
		e.measure(q, len(b), now)
	}
	forward(b, p, q != nil, now)
}

// measure takes a packet into the figures and publishes them.
func (e *endpoint) measure(p *codec.RTP, size int, now int64) {
	if e.count.packets.Load() == 0 {
		e.count.first.Store(max(now, 1))
		e.ssrc = p.SSRC
	}
	if p.SSRC != e.ssrc {
		e.past += e.stats.Lost()
		e.stats, e.ssrc = codec.Stats{}, p.SSRC
	}
	e.stats.Packet(p.Seq, p.Timestamp, e.s.at(now), codec.Clock(p.PayloadType))
	e.count.packets.Add(1)
	e.count.bytes.Add(uint64(size))
	e.count.last.Store(max(now, 1))
	e.count.lost.Store(uint64(e.past + e.stats.Lost()))
	e.count.jitter.Store(math.Float64bits(e.stats.Jitter()))
	e.reception.received(p.SSRC, e.stats.Highest(), e.stats.Lost(), uint32(e.stats.JitterNow()/1000*float64(codec.Clock(p.PayloadType))))
}

// readRTCP has each packet that is admitted given to forward until the socket is
// closed.
func (e *endpoint) readRTCP() {
	e.onRTCP = watcher{e: e, name: "rtcp", f: func(b []byte, src netip.AddrPort, _ int64) {
		switch {
		case len(b) > maxPacket:
		case !e.admitRTCP(b, src):
			e.count.refusedRTCP.Add(1)
		default:
			local := beside(e.addr)
			if e.carrier != nil {
				local = e.addr
			}
			e.reported(local, src, b, e.s.now())
		}
	}}
	e.onRTCP.watch(e.sock.rtcp)
}

// reported takes RTCP of the peer that came to local.
func (e *endpoint) reported(local, src netip.AddrPort, b []byte, now int64) {
	e.count.rtcp.Add(1)
	e.mirror(local, src, b)
	e.trip.received(b, now)
	e.reception.reported(b, now)
	e.report(b)
}

// mirror shows RTCP to whoever wants to see it, before it is changed.
func (e *endpoint) mirror(local, src netip.AddrPort, b []byte) {
	if f := e.s.relay.rtcp; f != nil {
		f(e.s.callID, local, src, b, time.Now())
	}
}

// admitRTCP takes RTCP from where the SDP says, and from the host that the
// peer's RTP comes from; the port it uses there is learnt.
func (e *endpoint) admitRTCP(b []byte, src netip.AddrPort) bool {
	if e.carrier != nil || src == e.toRTCP() {
		return true
	}
	a := e.aim.Load()
	if a != nil && src == a.rtcp {
		return true
	}
	if !isRTCP(b) || e.s.relay.cfg.Latch == LatchOff || src.Addr() != e.to().Addr() {
		return false
	}
	e.learntRTCP.Store(&learnt{under: a, addr: src})
	return true
}

// send writes an RTP packet to the peer.
func (e *endpoint) send(b []byte) {
	to := e.to()
	if !to.IsValid() {
		e.count.unsent.Add(1)
		return
	}
	if err := e.sock.rtp.send(b, to); err != nil {
		e.count.unsent.Add(1)
		return
	}
	e.count.sent.Add(1)
}

// sendRTCP writes an RTCP packet to the peer.
func (e *endpoint) sendRTCP(b []byte) {
	to := e.toRTCP()
	if !to.IsValid() {
		return
	}
	sock := e.sock.rtcp
	if a := e.aim.Load(); a != nil && a.rtcp == a.rtp { // RFC 5761
		sock = e.sock.rtp
	}
	e.trip.sent(b, e.s.now())
	if err := sock.send(b, to); err == nil {
		e.count.sentRTCP.Add(1)
	}
}

// close gives the sockets back; their ports rest.
func (e *endpoint) close() {
	e.once.Do(func() {
		e.sock.rtp.close()
		e.sock.rtcp.close()
		if e.from != nil {
			e.from.release(e.sock, time.Now())
		}
	})
}

// beside is the next port up: RTCP's, by RFC 3550 section 11.
func beside(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() || a.Port() == 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr(), a.Port()+1)
}
