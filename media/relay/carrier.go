package relay

import "net/netip"

// Carrier brings RTP and RTCP to a peer and from it in place of a pair of sockets
// of the relay's own: over ICE and DTLS-SRTP, to a browser. It has made sure
// whose packets they are, so that no source is latched, and the addresses of the
// peer's SDP say nothing.
type Carrier interface {
	// Addr is the address in the SDP for the peer, of RTP and RTCP alike.
	Addr() netip.AddrPort
	// Watch has f called for each packet of the peer, RTP or RTCP, one after
	// another, until Close. b is the reader's buffer, which f may change; wall is the
	// kernel's arrival, ns since 1970, 0 if it does not tell.
	Watch(f func(b []byte, src netip.AddrPort, wall int64))
	// Send sends RTP or RTCP (RFC 5761 section 4 tells which). Several goroutines
	// call it; it does not keep b, and fails as long as there is no way to the peer.
	Send(b []byte) error
	// Close ends it and may be called again. f may be at its last packet still.
	Close()
}

// carried is a Carrier as the two conns of an endpoint.
type carried struct {
	Carrier
	rtp func(b []byte, src netip.AddrPort, wall int64)
}

type carriedRTCP struct{ *carried }

func newCarried(s *Session, side Side, c Carrier) *endpoint {
	m := &carried{Carrier: c}
	return &endpoint{s: s, side: side, carrier: c, sock: pair{rtp: m, rtcp: carriedRTCP{m}}, addr: c.Addr()}
}

// watch implements conn. It is called before the other's.
func (m *carried) watch(f func(b []byte, src netip.AddrPort, wall int64)) { m.rtp = f }

func (m *carried) send(b []byte, _ netip.AddrPort) error { return m.Send(b) }

func (m *carried) close() { m.Close() }

func (m carriedRTCP) watch(f func(b []byte, src netip.AddrPort, wall int64)) {
	m.Watch(func(b []byte, src netip.AddrPort, wall int64) {
		if isRTCP(b) { // RFC 5761 section 4
			f(b, src, wall)
			return
		}
		m.rtp(b, src, wall)
	})
}

func (carriedRTCP) close() {}

// carry takes a packet that the carrier vouches for, and notes where it is from.
func (e *endpoint) carry(src netip.AddrPort) {
	if l := e.learnt.Load(); l == nil || l.addr != src {
		e.learnt.Store(&learnt{under: e.aim.Load(), addr: src})
	}
}
