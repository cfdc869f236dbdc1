package relay

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is how long a packet over loopback may take on a busy machine; quiet is
// how long a test listens to be sure that none comes.
const (
	soon  = 2 * time.Second
	quiet = 50 * time.Millisecond
)

func config() Config {
	c := Defaults()
	c.CallerAddress = "127.0.0.1"
	c.FarAddress = "127.0.0.2"
	c.Ports = Ports{Min: 20000, Max: 29999, Rest: time.Second}
	return c
}

func open(t testing.TB, c Config, o Options) *Session {
	t.Helper()
	r, err := New(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	s, err := r.Open("test@call", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// phone is a peer: an RTP socket and an RTCP socket.
type phone struct {
	t    testing.TB
	rtp  *net.UDPConn
	rtcp *net.UDPConn
	ssrc uint32
	seq  uint16
	ts   uint32
}

func newPhone(t testing.TB, host string) *phone {
	t.Helper()
	p := &phone{t: t, ssrc: 0xA0000000, seq: 65533, ts: 0xFFFFFF00}
	for _, c := range []**net.UDPConn{&p.rtp, &p.rtcp} {
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = u.Close() })
		*c = u
	}
	return p
}

func local(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *phone) addr() netip.AddrPort     { return local(p.rtp) }
func (p *phone) rtcpAddr() netip.AddrPort { return local(p.rtcp) }

// next is the phone's next RTP packet.
func (p *phone) next() []byte {
	b := make([]byte, 12+160)
	b[0] = 0x80
	binary.BigEndian.PutUint16(b[2:], p.seq)
	binary.BigEndian.PutUint32(b[4:], p.ts)
	binary.BigEndian.PutUint32(b[8:], p.ssrc)
	for i := range b[12:] {
		b[12+i] = byte(int(p.seq)*7 + i)
	}
	p.seq++
	p.ts += 160
	return b
}

// say sends the next packet and returns it.
func (p *phone) say(to netip.AddrPort) []byte {
	p.t.Helper()
	b := p.next()
	send(p.t, p.rtp, b, to)
	return b
}

func send(t testing.TB, c *net.UDPConn, b []byte, to netip.AddrPort) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(b, to); err != nil {
		t.Fatal(err)
	}
}

// receive is the next datagram within d, and nil if there is none.
func receive(t testing.TB, c *net.UDPConn, d time.Duration) ([]byte, netip.AddrPort) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 4096)
	n, src, err := c.ReadFromUDPAddrPort(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, netip.AddrPort{}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b[:n], src
}

// hear is the next RTP packet, which must come soon.
func (p *phone) hear() codec.RTP {
	p.t.Helper()
	b, _ := receive(p.t, p.rtp, soon)
	if b == nil {
		p.t.Fatal("heard nothing")
	}
	q, err := codec.ParseRTP(b)
	if err != nil {
		p.t.Fatalf("heard %x: %v", b, err)
	}
	return q
}

// deaf fails if anything is heard.
func (p *phone) deaf(why string) {
	p.t.Helper()
	if b, src := receive(p.t, p.rtp, quiet); b != nil {
		p.t.Fatalf("%s: heard %d bytes from %s", why, len(b), src)
	}
}

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
