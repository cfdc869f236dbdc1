package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/portero/portero/media/codec"
)

// Far is one far side of a call, with ports of its own.
type Far struct {
	endpoint *endpoint
	s        *Session

	caller               atomic.Bool                // it has become the caller's side
	fromCaller, toCaller atomic.Pointer[Conversion] // nil: packets pass untouched
}

// ErrGone says that a far side was already dropped or replaced.
var ErrGone = errors.New("far side is gone")

// PrepareFar takes ports for a new far side while the present one goes on: make
// before break. Its packets are taken and latched, but the caller hears it only
// after Switch. With ipv6 they are at its side's IPv6 address, where it has two.
func (s *Session) PrepareFar(ipv6 bool) (*Far, error) { return s.prepare(s.away, ipv6) }

// PrepareFarToward is PrepareFar for a far side that is a trunk, or the PBX,
// whatever the ones before were.
func (s *Session) PrepareFarToward(trunk, ipv6 bool) (*Far, error) {
	if trunk {
		return s.prepare(CallerSide, ipv6)
	}
	return s.prepare(FarSide, ipv6)
}

func (s *Session) prepare(side Side, ipv6 bool) (*Far, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("preparing a far side: %w", ErrClosed)
	}
	e, err := s.relay.endpoint(s, side, ipv6, nil)
	if err != nil {
		return nil, fmt.Errorf("preparing a far side: %w", err)
	}
	f := &Far{endpoint: e, s: s}
	s.fars[f] = struct{}{}
	f.run()
	return f, nil
}

// Switch relays the caller to f from now on and closes the far side before it.
// The caller's stream goes on in one piece: its SSRC stays, its sequence number
// continues, its timestamp moves by the time that passed.
func (s *Session) Switch(f *Far) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("switching the far side: %w", ErrClosed)
	}
	if _, ok := s.fars[f]; !ok {
		return fmt.Errorf("switching the far side: %w", ErrGone)
	}
	old := s.far.Load()
	if old == f {
		return nil
	}
	s.far.Store(f)
	s.out.activate(f)
	if old != nil {
		delete(s.fars, old)
		old.endpoint.close()
	}
	return nil
}

// SwitchCaller makes a prepared far side the caller's from now on, and closes the
// ports that were: whoever takes the caller's place may be on the other side of
// the door. The far side in use hears the new one as it heard the old.
func (s *Session) SwitchCaller(f *Far) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("switching the caller's side: %w", ErrClosed)
	}
	if _, ok := s.fars[f]; !ok || s.far.Load() == f {
		return fmt.Errorf("switching the caller's side: %w", ErrGone)
	}
	delete(s.fars, f)
	old := s.caller.Swap(f.endpoint)
	s.out.turn(f.endpoint)
	f.caller.Store(true)
	old.close()
	return nil
}

// Drop closes a far side that is not needed. The one in use cannot be dropped:
// switch to another, or close the session.
func (s *Session) Drop(f *Far) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.fars[f]; !ok {
		return nil // dropped, replaced or closed before
	}
	if s.far.Load() == f {
		return errors.New("dropping a far side: the caller is relayed to it; switch to another first")
	}
	delete(s.fars, f)
	f.endpoint.close()
	return nil
}

// Suits says whether this far side is where PrepareFar would take ports of that
// IP version.
func (f *Far) Suits(ipv6 bool) bool {
	e := f.endpoint
	return e.carrier != nil || e.from == f.s.relay.place(e.side, ipv6).ports
}

// Addr is the RTP address that goes into the SDP for this far side.
func (f *Far) Addr() netip.AddrPort { return f.endpoint.addr }

// SetRemote is Session.SetRemote for this far side.
func (f *Far) SetRemote(rtp, rtcp netip.AddrPort) { f.endpoint.setRemote(rtp, rtcp) }

// Stats are this far side's own figures; they can be read after it was closed.
func (f *Far) Stats() SideStats { return f.endpoint.snapshot() }

func (f *Far) run() {
	f.endpoint.read(f.rtp, f.rtcp)
}

func (f *Far) rtp(b []byte, p codec.RTP, rtp bool, now int64) {
	if f.caller.Load() {
		f.s.fromCaller(b, p, rtp, now)
		return
	}
	f.s.out.forward(f, b, &p, rtp, now)
}

func (f *Far) rtcp(b []byte) {
	if f.caller.Load() {
		f.s.reportFromCaller(b)
		return
	}
	f.s.out.report(f, b)
}
