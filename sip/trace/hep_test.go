package trace

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/portero/portero/sip/hep"
)

func mirrored(t testing.TB, p hep.Packet) []byte {
	t.Helper()
	b, err := p.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHEP(t *testing.T) {
	const text = "OPTIONS sip:b SIP/2.0\r\n\r\n"
	seen := start.Add(-20 * time.Millisecond)
	base := hep.Packet{Protocol: hep.SIP, Transport: hep.UDP, Source: alice, Destination: bob, At: seen, Payload: []byte(text)}
	with := func(f func(*hep.Packet)) []byte { p := base; f(&p); return mirrored(t, p) }
	squeezed := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		out := with(func(p *hep.Packet) { p.Payload = b.Bytes() })
		i := bytes.Index(out, cat(be16(0), be16(15), be16(6+b.Len())))
		out[i+3] = 16
		return out
	}
	var z, g, d bytes.Buffer
	raw, _ := flate.NewWriter(&d, 1)
	zipped := squeezed(zlib.NewWriter(&z), &z)
	gzipped := squeezed(gzip.NewWriter(&g), &g)
	deflated := squeezed(raw, &d)
	var bomb bytes.Buffer
	bz := zlib.NewWriter(&bomb)
	bz.Write(make([]byte, 8<<20)) //nolint:errcheck // to memory
	bz.Close()                    //nolint:errcheck // to memory
	bombed := bytes.Replace(with(func(p *hep.Packet) { p.Payload = bomb.Bytes() }), cat("\x00\x00\x00\x0f"), cat("\x00\x00\x00\x10"), 1)
	old := "\x02\x10\x02\x11\x13\xc4\x13\xc4\xc0\x00\x02\x01\xc0\x00\x02\x02" + strings.Repeat("\x00", 12)
	for _, c := range []struct {
		name      string
		data      []byte
		src       netip.AddrPort
		transport string
		at        time.Time
	}{
		{"UDP", mirrored(t, base), alice, "udp", seen},
		{"TCP", with(func(p *hep.Packet) { p.Transport = hep.TCP }), alice, "tcp", seen},
		{"TLS", with(func(p *hep.Packet) { p.Transport = hep.TLS }), alice, "tls", seen},
		{"SCTP", with(func(p *hep.Packet) { p.Transport = hep.SCTP }), alice, "sctp", seen},
		{"IPv6", with(func(p *hep.Packet) { p.Source, p.Destination = alice6, bob6 }), alice6, "udp", seen},
		{"another clock", with(func(p *hep.Packet) { p.At = start.Add(-time.Hour) }), alice, "udp", start},
		{"zlib", zipped, alice, "udp", seen},
		{"gzip", gzipped, alice, "udp", seen},
		{"deflate", deflated, alice, "udp", seen},
		{"version 2", []byte(old + text), alice, "udp", start},
		{"version 1", []byte("\x01" + old[1:16] + text), alice, "udp", start},
		{"a bomb", bombed, netip.AddrPort{}, "", start},
		{"RTCP as JSON", with(func(p *hep.Packet) { p.Protocol = hep.RTCP }), netip.AddrPort{}, "", start},
		{"version 1 without SIP", []byte("\x01" + old[1:16] + "hello, hello"), netip.AddrPort{}, "", start},
	} {
		t.Run(c.name, func(t *testing.T) {
			// To another port than Homer's, and from where nobody is.
			b := serialize(t, ip(bRTP, aRTP, layers.IPProtocolUDP), &layers.UDP{SrcPort: 40000, DstPort: 9}, gopacket.Payload(c.data))
			var n network
			s, ok := n.decode(Packet{At: start, Link: layers.LinkTypeRaw, Data: b})
			if !c.src.IsValid() {
				if ok && s.dst.Port() != 9 {
					t.Errorf("decoded as %+v", s)
				}
				return
			}
			if !ok || s.src != c.src || s.transport != c.transport || string(s.payload) != text || s.at.Sub(c.at).Abs() > time.Microsecond {
				t.Errorf("got %v, %v over %s at %v: %q", ok, s.src, s.transport, s.at, s.payload)
			}
			for i := range b {
				n.decode(Packet{At: start, Link: layers.LinkTypeRaw, Data: bytes.Clone(b[:i])})
			}
		})
	}
}

// TestMirroredCall: a call of which only the mirror was captured, media too.
func TestMirroredCall(t *testing.T) {
	plain := newFilm(t)
	newScript(plain, "m").say("INVITE+sdp", "180", "200+sdp", "ACK")
	plain.rtp(bRTP, aRTP, 5, 0, 1, 30)
	f := newFilm(t)
	all, err := packets(t, plain.buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range all {
		var n network
		s, ok := n.decode(p)
		if !ok {
			t.Fatalf("packet %d", i)
		}
		f.now = p.At.Add(3 * time.Millisecond)
		kind := hep.SIP
		if s.payload[0] == 0x80 {
			kind = hep.RTP
		}
		f.udp(netip.MustParseAddrPort("203.0.113.1:33333"), netip.MustParseAddrPort("203.0.113.2:9060"), string(mirrored(t, hep.Packet{
			Protocol: kind, Transport: hep.UDP, Source: s.src, Destination: s.dst, At: p.At, Payload: s.payload})))
	}
	want, got := fmt.Sprintf("%+v", plain.one().Streams), f.one()
	if got.Outcome != Answered || got.InviteAt.Sub(start).Abs() > time.Microsecond || len(got.Streams) != 1 || got.Streams[0].Packets != 30 || got.Streams[0].Source != bRTP {
		t.Errorf("got %+v, the call itself has %s", got, want)
	}
}
