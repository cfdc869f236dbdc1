package relay

import (
	"bytes"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// wire is a carrier without a network.
type wire struct {
	addr   netip.AddrPort
	f      func(b []byte, src netip.AddrPort, wall int64)
	sent   chan []byte
	closed atomic.Bool
}

func newWire(addr string) *wire {
	return &wire{addr: netip.MustParseAddrPort(addr), sent: make(chan []byte, 16)}
}

func (w *wire) Addr() netip.AddrPort                                   { return w.addr }
func (w *wire) Watch(f func(b []byte, src netip.AddrPort, wall int64)) { w.f = f }
func (w *wire) Close()                                                 { w.closed.Store(true) }
func (w *wire) Send(b []byte) error {
	if w.closed.Load() {
		return errors.New("closed")
	}
	w.sent <- bytes.Clone(b)
	return nil
}

func (w *wire) hear(t *testing.T) []byte {
	t.Helper()
	select {
	case b := <-w.sent:
		return b
	case <-time.After(soon):
		t.Fatal("the carrier was given nothing")
		return nil
	}
}

// A carrier is one side of a call like any other, but for ports, latching and the
// addresses in its SDP.
func TestCarrier(t *testing.T) {
	w := newWire("192.0.2.1:3478")
	s := open(t, config(), Options{Carrier: w})
	if got := s.Addr(CallerSide); got != w.addr {
		t.Errorf("the caller's SDP has %s", got)
	}
	if n := s.relay.Load().Pairs; n != 1 {
		t.Errorf("%d pairs of ports are held", n)
	}
	far := newPhone(t, "127.0.0.12")
	far.ssrc = 0xF0000000
	s.SetRemote(FarSide, far.addr(), far.rtcpAddr())
	s.SetRemote(CallerSide, netip.MustParseAddrPort("0.0.0.0:9"), netip.AddrPort{}) // as a browser writes it

	caller := &phone{t: t, ssrc: 0xA0000000}
	src := netip.MustParseAddrPort("198.51.100.7:40000")
	up := caller.next()
	w.f(bytes.Clone(up), src, 0) // the very first packet counts
	if got, _ := receive(t, far.rtp, soon); !bytes.Equal(got, up) {
		t.Fatalf("the far side got %x", got)
	}
	down := far.say(s.Addr(FarSide))
	if got := w.hear(t); !bytes.Equal(got, down) {
		t.Errorf("the caller got %x", got)
	}
	report := senderReport(0xA0000000, 1, 2, 3, time.Now(), "x")
	w.f(bytes.Clone(report), src, 0)
	if got, _ := receive(t, far.rtcp, soon); !bytes.Equal(got, report) {
		t.Errorf("the far side's RTCP port got %x", got)
	}
	send(t, far.rtcp, report, beside(s.Addr(FarSide)))
	if got := w.hear(t); !bytes.Equal(got, report) {
		t.Errorf("the caller's RTCP: %x", got)
	}
	buf := make([]byte, 2048)
	if b, _, ok := s.Tap().Next(buf); !ok || !bytes.Equal(b, up) {
		t.Errorf("the tap has %x", b)
	}
	eventually(t, "figures are right", func() bool { // a packet is counted when it is on its way
		st := s.Stats().Caller
		return st.Packets == 1 && st.Sent == 1 && st.RTCP == 1 && st.SentRTCP == 1 && st.Latched == src
	})
	s.Close()
	if !w.closed.Load() {
		t.Error("the session left its carrier open")
	}
}

// A carrier can be the far side's, too.
func TestCarrierFar(t *testing.T) {
	w := newWire("192.0.2.1:3478")
	s := open(t, config(), Options{Outbound: true, FarCarrier: w})
	pbx := newPhone(t, "127.0.0.12")
	s.SetRemote(CallerSide, pbx.addr(), pbx.rtcpAddr())
	up := pbx.say(s.Addr(CallerSide))
	if got := w.hear(t); !bytes.Equal(got, up) || s.Addr(FarSide) != w.addr {
		t.Errorf("the far side got %x at %s", got, s.Addr(FarSide))
	}
	other, err := s.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Switch(other); err != nil || !w.closed.Load() {
		t.Errorf("after a switch: %v, closed %t", err, w.closed.Load())
	}
}
