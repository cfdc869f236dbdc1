package webrtc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"go.uber.org/zap"
)

// ErrClosed says that the Mux or the Peer was closed.
var ErrClosed = errors.New("webrtc: closed")

// Mux owns the UDP sockets that all browsers share. Its methods are safe for
// concurrent use.
type Mux struct {
	log         *zap.Logger
	certificate tls.Certificate
	fingerprint string // of certificate, for SDP
	candidates  []candidate
	sockets     []*socket
	wg          sync.WaitGroup // readers, and handshakes of peers

	opened, secured, failed atomic.Uint64

	mu     sync.Mutex // of opening, closing and checks, never of media
	peers  map[string]*Peer
	closed bool
}

// New binds the sockets. The certificate that browsers learn of is made anew each
// time (RFC 8827 section 6.5: none must be usable for tracking). Port 0 is any.
func New(c Config, log *zap.Logger) (*Mux, error) {
	m := &Mux{log: log, peers: map[string]*Peer{}}
	var err error
	if m.certificate, err = selfsign.GenerateSelfSigned(); err != nil {
		return nil, fmt.Errorf("media.webrtc: making a certificate: %w", err)
	}
	if m.fingerprint, err = fingerprintOf("sha-256", m.certificate.Certificate[0]); err != nil {
		return nil, err
	}
	for _, s := range c.Listen {
		l, err := parseListen(s)
		if err != nil {
			_ = m.Close()
			return nil, err
		}
		sock, err := m.listen(l.addr)
		if err != nil {
			_ = m.Close()
			return nil, fmt.Errorf("media.webrtc: listening on %s: %w", l.addr, err)
		}
		m.sockets = append(m.sockets, sock)
		for _, a := range l.told {
			m.candidates = append(m.candidates, candidate{netip.AddrPortFrom(a, sock.addr.Port()), priority(len(m.candidates))})
		}
	}
	for _, s := range m.sockets {
		m.wg.Go(s.read)
	}
	return m, nil
}

// Open makes a place for one browser. Close it, or give it to a session of the
// relay, which does.
func (m *Mux) Open(log *zap.Logger) (*Peer, error) {
	p := &Peer{m: m, log: log}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	p.now = newCredentials()
	m.peers[p.now.ufrag] = p
	m.opened.Add(1)
	return p, nil
}

// Counts are the figures of all browsers.
type Counts struct {
	Now     int
	Opened  uint64 // since the start
	Secured uint64 // of these, ICE and DTLS were through
	Failed  uint64 // handshakes that failed
}

// Counts is taken at the moment of the call.
func (m *Mux) Counts() Counts {
	return Counts{m.Browsers(), m.opened.Load(), m.secured.Load(), m.failed.Load()}
}

// Browsers is how many there are.
func (m *Mux) Browsers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[*Peer]bool{}
	for _, p := range m.peers {
		seen[p] = true
	}
	return len(seen)
}

// Close closes all peers and sockets, and waits until nothing is read any more.
func (m *Mux) Close() error {
	m.mu.Lock()
	m.closed = true
	var open []*Peer
	for _, p := range m.peers {
		open = append(open, p)
	}
	m.mu.Unlock()
	for _, p := range open {
		p.Close()
	}
	for _, s := range m.sockets {
		_ = s.conn.Close()
	}
	m.wg.Wait()
	return nil
}

// peer is whose check has this username fragment of ours.
func (m *Mux) peer(ufrag string) *Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[ufrag]
}

// register has checks with a fragment find a peer.
func (m *Mux) register(ufrag string, p *Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.peers[ufrag] = p
	}
}

func (m *Mux) forget(ufrag string) {
	m.mu.Lock()
	delete(m.peers, ufrag)
	m.mu.Unlock()
}
