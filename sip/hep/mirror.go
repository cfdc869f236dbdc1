package hep

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Mirror sends copies to Homer. A nil Mirror is one that is off.
type Mirror struct {
	cfg     Config
	network string
	target  netip.AddrPort
	log     *zap.Logger
	queue   chan *copied
	pool    sync.Pool

	sent, dropped, failed atomic.Uint64
}

// copied is a message on its way to the sender.
type copied struct {
	packet  Packet // Payload points into data
	data    []byte
	encoded []byte
}

// New makes a mirror; nil if the configuration names no target.
func New(cfg Config, log *zap.Logger) (*Mirror, error) {
	if cfg.Target == "" {
		return nil, nil
	}
	network, target, err := parseTarget(cfg.Target)
	if err != nil {
		return nil, err
	}
	m := &Mirror{cfg: cfg, network: network, target: target, log: log, queue: make(chan *copied, cfg.Queue)}
	m.pool.New = func() any { return new(copied) }
	return m, nil
}

// Counts are a mirror's figures.
type Counts struct {
	Sent    uint64 // packets
	Dropped uint64 // because the queue was full, or they cannot be encoded
	Failed  uint64 // because Homer could not be reached
}

// Counts gives what was mirrored so far.
func (m *Mirror) Counts() Counts {
	if m == nil {
		return Counts{}
	}
	return Counts{m.sent.Load(), m.dropped.Load(), m.failed.Load()}
}

// SIP mirrors a SIP message that came in to the socket local from remote, or
// went out the other way, without the SRTP keys in it. It copies what it needs and
// never blocks.
func (m *Mirror) SIP(in bool, local, remote netip.AddrPort, transport string, data []byte, at time.Time) {
	if m == nil {
		return
	}
	ip := TCP
	if transport == "UDP" {
		ip = UDP
	}
	m.put(Packet{Protocol: SIP, Transport: ip, At: at}, in, local, remote, "", data)
}

// RTCP mirrors RTCP of a call in the same way.
func (m *Mirror) RTCP(callID string, local, remote netip.AddrPort, data []byte, at time.Time) {
	if m == nil || !m.cfg.RTCP {
		return
	}
	m.put(Packet{Protocol: RTCP, Transport: UDP, At: at}, true, local, remote, callID, data)
}

func (m *Mirror) put(p Packet, in bool, local, remote netip.AddrPort, callID string, data []byte) {
	if len(m.queue) == cap(m.queue) { // cheaper than copying first
		m.dropped.Add(1)
		return
	}
	c := m.pool.Get().(*copied)
	c.data = append(c.data[:0], data...)
	if p.Protocol == SIP {
		Mask(c.data)
	}
	p.Source, p.Destination = local, remote
	if in {
		p.Source, p.Destination = remote, local
	}
	p.Agent, p.Password, p.Correlation, p.Payload = m.cfg.ID, string(m.cfg.Password), callID, c.data
	c.packet = p
	select {
	case m.queue <- c:
	default:
		m.dropped.Add(1)
		m.pool.Put(c)
	}
}

// How the sender treats a Homer that is away.
const (
	dialTimeout  = 3 * time.Second
	writeTimeout = 2 * time.Second
	retryAfter   = 5 * time.Second
)

// Run sends what is mirrored until ctx is done.
func (m *Mirror) Run(ctx context.Context) {
	if m == nil {
		return
	}
	s := link{m: m}
	defer s.close()
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-m.queue:
			s.send(ctx, c)
			if cap(c.data)+cap(c.encoded) <= 64<<10 {
				m.pool.Put(c)
			}
		}
	}
}

// link is the connection to Homer. UDP is dialled too, so that the kernel
// tells when nobody is there.
type link struct {
	m     *Mirror
	conn  net.Conn
	retry time.Time // not before
	away  bool      // said already
}

func (s *link) send(ctx context.Context, c *copied) {
	if c.packet.Protocol == RTCP {
		if c.packet.Payload = reportOf(c.data); c.packet.Payload == nil {
			s.m.dropped.Add(1)
			return
		}
	}
	var err error
	if c.encoded, err = c.packet.Append(c.encoded[:0]); err != nil {
		s.m.dropped.Add(1)
		return
	}
	if !s.connected(ctx) {
		s.m.failed.Add(1)
		return
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.conn.Write(c.encoded); err != nil {
		s.m.failed.Add(1)
		s.lost(err)
		return
	}
	s.m.sent.Add(1)
	if s.away {
		s.away = false
		s.m.log.Info("Homer is back", zap.Stringer("homer", s.m.target))
	}
}

func (s *link) connected(ctx context.Context) bool {
	if s.conn != nil {
		return true
	}
	if time.Now().Before(s.retry) {
		return false
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, s.m.network, s.m.target.String())
	if err != nil {
		s.lost(err)
		return false
	}
	s.conn = conn
	return true
}

// lost notes that Homer could not be reached. A UDP socket is kept: the error was
// that of a packet before.
func (s *link) lost(err error) {
	if s.m.network == "tcp" {
		s.close()
		s.retry = time.Now().Add(retryAfter)
	}
	if !s.away {
		s.away = true
		s.m.log.Warn("signalling cannot be mirrored", zap.Stringer("homer", s.m.target), zap.Error(err))
	}
}

func (s *link) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}
