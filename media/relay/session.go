package relay

import (
	"fmt"
	"math"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
)

// Session is the media of one call. Its methods are safe for concurrent use.
type Session struct {
	relay  *Relay
	callID string
	log    *zap.Logger
	start  time.Time
	tap    *Tap
	caller atomic.Pointer[endpoint]
	away   Side     // whose addresses far sides get
	out    outbound // the stream to the caller

	far    atomic.Pointer[Far]       // who the caller is forwarded to; nil after Close, and of one who is alone
	copies atomic.Pointer[[]*Copies] // for who records the call; nil for nobody

	mu     sync.Mutex // of the call's control: moving and closing, never a packet
	fars   map[*Far]struct{}
	closed bool
}

// watcher is what a socket of an endpoint receives for. A panic at a packet ends
// this socket's media, not the process.
type watcher struct {
	e      *endpoint
	name   string
	f      func(b []byte, src netip.AddrPort, wall int64)
	broken bool
}

func (w *watcher) watch(c conn) { c.watch(w.receive) }

func (w *watcher) receive(b []byte, src netip.AddrPort, wall int64) {
	if w.broken {
		return
	}
	defer w.guard()
	w.f(b, src, wall)
}

func (w *watcher) guard() {
	if v := recover(); v != nil {
		w.broken = true
		w.e.s.log.Error("packet loop failed", zap.String("loop", w.name), zap.Stringer("side", w.e.side), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	}
}

// now is the time since the session was opened, ns, by the monotonic clock.
func (s *Session) now() int64 { return int64(time.Since(s.start)) }

// at is the moment ns after the session was opened.
func (s *Session) at(ns int64) time.Time { return s.start.Add(time.Duration(ns)) }

// Addr is the RTP address of a side, as it goes into the SDP for its peer; RTCP
// is the next port.
func (s *Session) Addr(side Side) netip.AddrPort {
	if e := s.side(side); e != nil {
		return e.addr
	}
	return netip.AddrPort{}
}

// SetRemote tells a peer's addresses by its SDP. A zero rtcp is the port after
// rtp, the same as rtp is both on one port (RFC 5761); a zero rtp, port 0 or address 0.0.0.0 means that the peer receives nothing
// now. Until its source is latched the peer is sent to there. A new address forgets
// what was latched, the same again does not.
func (s *Session) SetRemote(side Side, rtp, rtcp netip.AddrPort) {
	if e := s.side(side); e != nil {
		e.setRemote(rtp, rtcp)
	}
}

// Far is the far side that the caller is relayed to; nil after Close.
func (s *Session) Far() *Far { return s.far.Load() }

// Tap is the copy of the caller's RTP.
func (s *Session) Tap() *Tap { return s.tap }

// HeardTap is the copy of the RTP that the caller is sent; nil unless asked for in
// Options. Sequence numbers and timestamps go on in one piece over a Switch.
func (s *Session) HeardTap() *Tap { return s.out.tap }

func (s *Session) side(side Side) *endpoint {
	if side == CallerSide {
		return s.caller.Load()
	}
	if f := s.far.Load(); f != nil {
		return f.endpoint
	}
	return nil
}

// fromCaller takes an admitted packet of the caller.
func (s *Session) fromCaller(b []byte, p codec.RTP, rtp bool, now int64) {
	if rtp {
		s.tap.put(b, now)
		if all := s.copies.Load(); all != nil {
			for _, c := range *all {
				c.Caller.put(b, now)
			}
		}
	}
	f := s.far.Load()
	if f == nil {
		s.out.receiverReport(now) // nobody else will
		return
	}
	if rtp {
		f.fromCaller.Load().apply(b, &p)
	}
	f.endpoint.send(b)
}

func (s *Session) reportFromCaller(b []byte) {
	f := s.far.Load()
	if f == nil {
		return
	}
	s.out.untranslate(f, b)
	f.endpoint.sendRTCP(b)
}

// Idle is the time since the caller's last RTP, or since the session was opened.
func (s *Session) Idle(now time.Time) time.Duration {
	return now.Sub(s.at(s.caller.Load().count.last.Load()))
}

// TimedOut says whether the caller has been silent for longer than the
// configured timeout. Whoever put the caller on hold must not ask.
func (s *Session) TimedOut(now time.Time) bool {
	limit := s.relay.cfg.Timeout.Running
	if s.caller.Load().count.last.Load() == 0 {
		limit = s.relay.cfg.Timeout.Initial
	}
	return s.Idle(now) > limit
}

// Close ends the call's media: nothing is relayed any more. The ports rest, then
// serve other calls. It may be called again.
func (s *Session) Close() {
	s.mu.Lock()
	s.closed = true
	s.far.Store(nil)
	s.out.end()
	s.caller.Load().close()
	for f := range s.fars {
		f.endpoint.close()
	}
	clear(s.fars)
	s.mu.Unlock()
	s.relay.forget(s)
}

// SideStats are the figures of one side so far.
type SideStats struct {
	Local   netip.AddrPort // as in the SDP
	Remote  netip.AddrPort // by the peer's SDP; zero before it
	Latched netip.AddrPort // the source learnt from its packets; zero before that

	Packets uint64  // RTP taken from the peer
	Bytes   uint64  // of these, headers included
	Lost    uint64  // by sequence number
	Jitter  float64 // mean of RFC 3550's running estimate, ms; of the latest SSRC
	Other   uint64  // packets that are not RTP, relayed blind
	Refused uint64  // packets from other sources, dropped
	Sent    uint64  // packets to the peer
	Unsent  uint64  // packets for the peer that had no address to go to, or failed

	RTCP, RefusedRTCP, SentRTCP uint64

	// RoundTrip is the mean round trip between the relay and the peer, ms, by the
	// reports in which the peer answers sender reports (RFC 3550 section 6.4.1); 0
	// when it sent none.
	RoundTrip float64

	Forged   uint64 // packets of an encrypted side that the peer did not make, dropped
	Replayed uint64 // packets of it that came before, dropped

	First, Last time.Time // arrival of RTP; zero for none
}

// Stats are the figures of a call's media so far.
type Stats struct {
	Caller, Far SideStats
	Dropped     uint64 // caller's packets that the analysis was too slow for
	Paused      uint64 // far side's packets not passed on because Portero spoke
	Spliced     uint64 // how often the caller's stream was continued by another source
}

// Stats is taken while packets flow; each number is right, their moments differ
// by a packet.
func (s *Session) Stats() Stats {
	st := Stats{Caller: s.caller.Load().snapshot(), Dropped: s.tap.Dropped()}
	if f := s.far.Load(); f != nil {
		st.Far = f.endpoint.snapshot()
	}
	st.Paused, st.Spliced = s.out.paused.Load(), s.out.splices.Load()
	return st
}

func (e *endpoint) snapshot() SideStats {
	c := &e.count
	st := SideStats{
		Local:   e.addr,
		Packets: c.packets.Load(), Bytes: c.bytes.Load(), Other: c.other.Load(),
		Lost: c.lost.Load(), Jitter: math.Float64frombits(c.jitter.Load()),
		Refused: c.refused.Load(), Sent: c.sent.Load(), Unsent: c.unsent.Load(),
		RTCP: c.rtcp.Load(), RefusedRTCP: c.refusedRTCP.Load(), SentRTCP: c.sentRTCP.Load(),
		RoundTrip: e.trip.mean(),
		Forged:    c.forged.Load(), Replayed: c.replayed.Load(),
	}
	a := e.aim.Load()
	if a != nil {
		st.Remote = a.rtp
	}
	if l := e.learnt.Load(); l != nil && l.under == a {
		st.Latched = l.addr
	}
	if ns := c.first.Load(); ns != 0 {
		st.First = e.s.at(ns)
	}
	if ns := c.last.Load(); ns != 0 {
		st.Last = e.s.at(ns)
	}
	return st
}

// String is for logs: who talks to whom.
func (s SideStats) String() string {
	return fmt.Sprintf("%s-%s packets=%d lost=%d refused=%d sent=%d", s.Local, s.Remote, s.Packets, s.Lost, s.Refused, s.Sent)
}
