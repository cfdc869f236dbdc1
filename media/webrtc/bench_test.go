package webrtc

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"go.uber.org/zap"
)

// pairOf is keyedPeer at a Mux of its own.
func pairOf(b *testing.B, profile dtls.SRTPProtectionProfile) (*Mux, *Peer, *srtp.Context) {
	return keyedPeer(b, newMux(b), profile)
}

// keyedPeer is a peer with keys, and the browser's context for what it sends.
func keyedPeer(b testing.TB, m *Mux, profile dtls.SRTPProtectionProfile) (*Mux, *Peer, *srtp.Context) {
	p, err := m.Open(zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	k := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	n, _ := k.Profile.KeyLen()
	salt, _ := k.Profile.SaltLen()
	k.Keys.LocalMasterKey, k.Keys.LocalMasterSalt = make([]byte, n), make([]byte, salt)
	k.Keys.RemoteMasterKey, k.Keys.RemoteMasterSalt = make([]byte, n), make([]byte, salt)
	a := &association{p: p, cancel: func() {}, in: nil}
	p.association = a
	if err := p.keyed(a, &k, profileName(profile)); err != nil {
		b.Fatal(err)
	}
	p.association = nil
	out, err := srtp.CreateContext(k.Keys.RemoteMasterKey, k.Keys.RemoteMasterSalt, k.Profile)
	if err != nil {
		b.Fatal(err)
	}
	return m, p, out
}

// BenchmarkReceive is what a packet of 20 ms from a browser costs from the socket
// to the relay; reading the socket is not in it.
func BenchmarkReceive(b *testing.B) {
	for _, profile := range profiles {
		b.Run(profileName(profile), func(b *testing.B) {
			m, p, out := pairOf(b, profile)
			s, src := m.sockets[0], netip.MustParseAddrPort("127.0.83.9:9")
			heard := 0
			p.Watch(func([]byte, netip.AddrPort, int64) { heard++ })
			var made [1024][]byte
			var h rtp.Header
			plain, _ := packet(0).Marshal()
			b.ReportAllocs()
			for i := range b.N {
				if i%len(made) == 0 {
					b.StopTimer()
					for j := range made {
						binary.BigEndian.PutUint16(plain[2:], uint16(i+j))
						made[j], _ = out.EncryptRTP(made[j][:0], plain, &h)
					}
					b.StartTimer()
				}
				p.media(made[i%len(made)], s.plain[:0], src, 0)
			}
			if heard != b.N {
				b.Fatalf("%d of %d packets heard", heard, b.N)
			}
		})
	}
}

// BenchmarkSend is what a packet to a browser costs, the system call included.
func BenchmarkSend(b *testing.B) {
	for _, profile := range profiles {
		b.Run(profileName(profile), func(b *testing.B) {
			m, p, _ := pairOf(b, profile)
			sink := newMux(b, "127.0.83.3:0")
			p.way.Store(&way{socket: m.sockets[0], addr: sink.sockets[0].addr})
			plain, _ := packet(0).Marshal()
			b.ReportAllocs()
			for i := range b.N {
				binary.BigEndian.PutUint16(plain[2:], uint16(i))
				if err := p.Send(plain); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLeg is what a browser costs from its offer to its keys and its end,
// the work of the client, which is of about the same size, included.
func BenchmarkLeg(b *testing.B) {
	m := newMux(b)
	b.ReportAllocs()
	for range b.N {
		c, p := called(b, m)
		p.Close()
		c.close()
	}
}
