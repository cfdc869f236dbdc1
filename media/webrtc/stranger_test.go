package webrtc

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// stranger is a socket of somebody's.
type stranger struct {
	t testing.TB
	c *net.UDPConn
}

func newStrangerTo(t testing.TB, a netip.AddrPort) *stranger {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &stranger{t, c}
}

func (s *stranger) send(b []byte) {
	s.t.Helper()
	if _, err := s.c.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// ask sends b and returns what comes back, nil for nothing.
func (s *stranger) ask(b []byte) []byte {
	s.t.Helper()
	s.send(b)
	_ = s.c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	buf := make([]byte, 2048)
	n, err := s.c.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// check is a connectivity check.
func check(t testing.TB, username, pwd string, more ...stun.Setter) []byte {
	t.Helper()
	set := []stun.Setter{stun.TransactionID, stun.BindingRequest}
	if username != "" {
		set = append(set, stun.NewUsername(username))
	}
	set = append(set, more...)
	m, err := stun.Build(append(set, stun.NewShortTermIntegrity(pwd), stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}
