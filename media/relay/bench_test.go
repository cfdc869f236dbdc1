package relay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

// BenchmarkPacket is the cost of one packet without the system calls: parsing,
// latch, figures, tap and splice.
func BenchmarkPacket(b *testing.B) {
	s := open(b, config(), Options{})
	p := newPhone(b, "127.0.0.11")
	s.SetRemote(CallerSide, p.addr(), netip.AddrPort{})
	e := s.caller.Load()
	packet := p.next()
	forward := func(b []byte, _ codec.RTP, rtp bool, now int64) {
		if rtp {
			s.tap.put(b, now)
		}
	}
	buf := make([]byte, maxPacket)
	src := p.addr()
	b.ReportAllocs()
	for i := range b.N {
		packet[2], packet[3] = byte(i>>8), byte(i)
		e.receive(packet, src, s.now(), forward)
		s.tap.Next(buf)
	}
}

// BenchmarkRelay sends packets from the caller to the far side through real
// sockets on loopback, one at a time: the benchmark's own send and receive are in it.
func BenchmarkRelay(b *testing.B) {
	c := newCall(b, Options{})
	to := c.s.Addr(CallerSide)
	packet := c.caller.next()
	got := make([]byte, maxPacket)
	buf := make([]byte, maxPacket)
	_ = c.far.rtp.SetReadDeadline(time.Time{})
	b.ReportAllocs()
	for i := range b.N {
		packet[2], packet[3] = byte(i>>8), byte(i)
		if _, err := c.caller.rtp.WriteToUDPAddrPort(packet, to); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.far.rtp.ReadFromUDPAddrPort(got); err != nil {
			b.Fatal(err)
		}
		c.s.tap.Next(buf)
	}
}
