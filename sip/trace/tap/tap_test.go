package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portero/portero/sip/hep"
	"github.com/portero/portero/sip/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mirrored(t *testing.T, id string) []byte {
	t.Helper()
	p := hep.Packet{Protocol: hep.SIP, Transport: hep.UDP, At: time.Now(),
		Source: netip.MustParseAddrPort("192.0.2.1:5060"), Destination: netip.MustParseAddrPort("192.0.2.2:5060"),
		Payload: []byte("INVITE sip:b@h SIP/2.0\r\nCall-ID: " + id + "\r\nCSeq: 1 INVITE\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\r\n")}
	b, err := p.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCollector(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
			defer stop()
			c, err := OpenCollector(ctx, network+":127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // of a test
			conn, err := net.Dial(network, c.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // of a test
			go func() {
				for i := range 3 {
					conn.Write(mirrored(t, fmt.Sprint("call", i))) //nolint:errcheck // the test times out
				}
			}()
			var got []byte
			for n := 0; n < 3; {
				p, err := c.Next()
				if errors.Is(err, trace.ErrIdle) {
					continue
				}
				if err != nil || p.Link != trace.LinkHEP || time.Since(p.At) > time.Minute {
					t.Fatal(p, err)
				}
				got = append(got, p.Data...)
				n++
			}
			for i := range 3 {
				if !bytes.Contains(got, fmt.Append(nil, "Call-ID: call", i, "\r\n")) {
					t.Errorf("call%d is not in %q", i, got)
				}
			}
			if p, err := c.Next(); !errors.Is(err, trace.ErrIdle) || p.At.IsZero() {
				t.Errorf("with nothing to come: %v at %v", err, p.At)
			}
			stop()
			if _, err := c.Next(); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// TestCollectorRefuses: who speaks something else, and who is one too many.
func TestCollectorRefuses(t *testing.T) {
	c, err := OpenCollector(context.Background(), "tcp:127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // of a test
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "HEP3\x00\x02"} {
		conn, err := net.Dial("tcp", c.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, text)                             //nolint:errcheck // see below
		conn.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // of a test
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q: %v", text, err)
		}
		conn.Close() //nolint:errcheck // of a test
	}
	var all []net.Conn
	for range maxSenders + 5 {
		conn, err := net.Dial("tcp", c.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	for i := 0; c.Refused() < 5 && i < 1000; i++ {
		time.Sleep(5 * time.Millisecond)
	}
	if n := c.Refused(); n != 5 {
		t.Errorf("%d were refused", n)
	}
	for _, conn := range all {
		conn.Close() //nolint:errcheck // of a test
	}
}

func TestNoCollector(t *testing.T) {
	for _, place := range []string{"", "9060", "sctp:127.0.0.1:9060", "udp:nowhere.invalid:1x", "tcp:127.0.0.1:99999"} {
		if c, err := OpenCollector(context.Background(), place); err == nil {
			c.Close() //nolint:errcheck // of a test
			t.Errorf("%q was taken", place)
		}
	}
}

// TestInterface listens on the loopback, where it may; where it may not, the
// error says what is missing.
func TestInterface(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("AF_PACKET is Linux's")
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if _, err := OpenInterface(ctx, "no-such0"); err == nil || !strings.Contains(err.Error(), "ip link") {
		t.Errorf("an interface that is not there: %v", err)
	}
	for _, name := range []string{"lo", "any"} {
		i, err := OpenInterface(ctx, name)
		if err != nil {
			if !strings.Contains(err.Error(), "CAP_NET_RAW") {
				t.Fatal(err)
			}
			return
		}
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		const sent = 200
		go func() {
			for n := range sent {
				conn.WriteToUDPAddrPort(fmt.Appendf(nil, "portero-tap-%03d-%s", n, strings.Repeat("x", 5*n)), to) //nolint:errcheck // the test times out
			}
		}()
		next := 0
		for next < sent {
			p, err := i.Next()
			if errors.Is(err, trace.ErrIdle) {
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v after %d packets, %d dropped", name, err, next, i.Dropped())
			}
			if at := bytes.Index(p.Data, []byte("portero-tap-")); at >= 0 {
				if at != 20+20+8 || !bytes.HasPrefix(p.Data[at:], fmt.Appendf(nil, "portero-tap-%03d-", next)) || p.Data[0] != 8 || time.Since(p.At).Abs() > time.Minute {
					t.Fatalf("%s: packet %d is % x at %v", name, next, p.Data[:60], p.At)
				}
				next++
			}
		}
		conn.Close() //nolint:errcheck // of a test
		if n := i.Dropped(); n > 0 {
			t.Logf("%s: %d dropped", name, n)
		}
		i.Close() //nolint:errcheck // of a test
		i.Close() //nolint:errcheck // twice does no harm
	}
}
