package transaction

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/transport"
)

// hopIP is where the next hop of large requests is.
const hopIP = "127.0.91.20"

// long is a request that exceeds the MTU.
func long(t *testing.T, method sipmsg.RequestMethod, branch string) *sipmsg.Request {
	t.Helper()
	req := ours(t, method, branch)
	req.AppendHeader(sipmsg.NewHeader("Identity", strings.Repeat("x", MTU)))
	return req
}

// tcpPeer is a next hop that takes TCP: its one connection.
type tcpPeer struct {
	t    *testing.T
	addr netip.AddrPort
	conn chan net.Conn
	c    net.Conn
	r    *bufio.Reader
}

func newTCPPeer(t *testing.T) *tcpPeer {
	t.Helper()
	ln, err := net.Listen("tcp", hopIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p := &tcpPeer{t: t, addr: ln.Addr().(*net.TCPAddr).AddrPort(), conn: make(chan net.Conn, 1)}
	go func() {
		if c, err := ln.Accept(); err == nil {
			p.conn <- c
		}
	}()
	return p
}

// read returns the next message: its first line and its headers.
func (p *tcpPeer) read() (string, textproto.MIMEHeader) {
	p.t.Helper()
	if p.c == nil {
		select {
		case p.c = <-p.conn:
		case <-time.After(10 * time.Second):
			p.t.Fatal("nobody connects")
		}
		p.t.Cleanup(func() { p.c.Close() })
		p.r = bufio.NewReader(p.c)
		if err := p.c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			p.t.Fatal(err)
		}
	}
	tp := textproto.NewReader(p.r)
	line, err := tp.ReadLine()
	if err != nil {
		p.t.Fatal(err)
	}
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		p.t.Fatal(err)
	}
	n, _ := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if _, err := io.CopyN(io.Discard, p.r, n); err != nil {
		p.t.Fatal(err)
	}
	return line, h
}

func (p *tcpPeer) write(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.c, text); err != nil {
		p.t.Fatal(err)
	}
}

// A large request goes by TCP to a next hop that takes it, says so in its Via, and
// everything of its transaction goes that way; the next small one goes by UDP.
func TestLargeByTCP(t *testing.T) {
	b := newBench(t)
	p := newTCPPeer(t)
	to := transport.Target{Transport: transport.UDP, Addr: p.addr}
	for i, c := range []struct {
		method sipmsg.RequestMethod
		status int
	}{{sipmsg.MESSAGE, 200}, {sipmsg.INVITE, 486}, {sipmsg.INVITE, 200}} {
		branch, u := fmt.Sprintf("z9hG4bKlarge%d", i), &told{}
		if _, err := b.Layer.Request(long(t, c.method, branch), to, 0, u); err != nil {
			t.Fatal(err)
		}
		line, h := p.read()
		if !strings.HasPrefix(line, string(c.method)+" ") || !strings.HasPrefix(h.Get("Via"), "SIP/2.0/TCP 192.0.2.1") || !strings.Contains(h.Get("Via"), branch) {
			t.Fatalf("the peer got %q with the Via %q", line, h.Get("Via"))
		}
		p.write(strings.Replace(response(string(c.method), branch, c.status), "SIP/2.0/UDP", "SIP/2.0/TCP", 1))
		b.until("the response", func() bool { return u.String() == (&told{statuses: []int{c.status}}).String() })
		if c.method == sipmsg.INVITE && c.status >= 300 {
			if line, h := p.read(); !strings.HasPrefix(line, "ACK ") || !strings.HasPrefix(h.Get("Via"), "SIP/2.0/TCP ") || !strings.Contains(h.Get("Via"), branch) {
				t.Errorf("the refusal is followed by %q with the Via %q", line, h.Get("Via"))
			}
		}
	}
	if n := len(b.wire.sent("")); n != 0 {
		t.Errorf("%d datagrams went out:\n%s", n, b.wire)
	}
	small(b, to)
	b.gone()
}

// small sends a request that is not large, which goes by UDP at once.
func small(b *bench, to transport.Target) {
	b.t.Helper()
	if _, err := b.Layer.Request(ours(b.t, sipmsg.OPTIONS, "z9hG4bKsmall"), to, 0, &told{}); err != nil {
		b.t.Fatal(err)
	}
	if got := b.wire.sent("OPTIONS "); len(got) == 0 || got[0].peer != to.Addr || !strings.Contains(got[0].data, "Via: SIP/2.0/UDP ") {
		b.t.Errorf("the small request did not go by UDP:\n%s", b.wire)
	}
}

// A large request whose CANCEL goes the same way: by TCP.
func TestLargeIsCancelledByTCP(t *testing.T) {
	b := newBench(t)
	p := newTCPPeer(t)
	u := &told{}
	tx, err := b.Layer.Request(long(t, sipmsg.INVITE, "z9hG4bKc"), transport.Target{Transport: transport.UDP, Addr: p.addr}, 0, u)
	if err != nil {
		t.Fatal(err)
	}
	p.read()
	p.write(response("INVITE", "z9hG4bKc", 180))
	b.until("the ringing", func() bool { return u.String() == (&told{statuses: []int{180}}).String() })
	cancel := ours(t, sipmsg.CANCEL, "z9hG4bKc")
	if _, err := b.RequestOn(tx.Flow(), cancel, &told{}); err != nil {
		t.Fatal(err)
	}
	if line, h := p.read(); !strings.HasPrefix(line, "CANCEL ") || !strings.HasPrefix(h.Get("Via"), "SIP/2.0/TCP ") {
		t.Errorf("the peer got %q with the Via %q", line, h.Get("Via"))
	}
	p.write(response("CANCEL", "z9hG4bKc", 200))
	p.write(response("INVITE", "z9hG4bKc", 487))
	if line, _ := p.read(); !strings.HasPrefix(line, "ACK ") {
		t.Errorf("the peer got %q", line)
	}
	b.gone()
}

// byUDP sends a large request that can only go by UDP, in one datagram, and
// another, for which TCP is not tried again.
func byUDP(t *testing.T, b *bench, to transport.Target) {
	t.Helper()
	u := &told{}
	if _, err := b.Layer.Request(long(t, sipmsg.MESSAGE, "z9hG4bKfirst"), to, 0, u); err != nil {
		t.Fatal(err)
	}
	b.until("the datagram", func() bool { return len(b.wire.sent("MESSAGE ")) > 0 })
	got := b.wire.sent("MESSAGE ")[0]
	if got.peer != to.Addr || len(got.data) <= MTU || !strings.Contains(got.data, "Via: SIP/2.0/UDP ") || !strings.HasSuffix(got.data, "\r\n\r\n") {
		t.Errorf("%s got %q", got.peer, got.data)
	}
	b.say(to.Addr, response("MESSAGE", "z9hG4bKfirst", 200))
	b.until("the response", func() bool { return u.String() == (&told{statuses: []int{200}}).String() })

	second := &told{}
	if _, err := b.Layer.Request(long(t, sipmsg.INFO, "z9hG4bKsecond"), to, 0, second); err != nil {
		t.Fatal(err)
	}
	if len(b.wire.sent("INFO ")) == 0 {
		t.Error("the next large request does not go by UDP at once")
	}
	b.say(to.Addr, response("INFO", "z9hG4bKsecond", 200))
	b.until("the response", func() bool { return second.String() == (&told{statuses: []int{200}}).String() })
	small(b, to)
	b.gone()
}

// A next hop that refuses TCP gets large requests by UDP.
func TestLargeTCPRefused(t *testing.T) {
	b := newBench(t)
	ln, err := net.Listen("tcp", hopIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	ln.Close()
	byUDP(t, b, transport.Target{Transport: transport.UDP, Addr: addr})
}

// Something at the next hop accepts connections by TCP and drops them, while the
// peer itself takes UDP only: large requests get there all the same.
func TestLargeTCPHangsUp(t *testing.T) {
	b := newBench(t)
	ln, err := net.Listen("tcp", hopIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	to := transport.Target{Transport: transport.UDP, Addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	u := &told{}
	invite := long(t, sipmsg.INVITE, "z9hG4bKh")
	if _, err := b.Layer.Request(invite, to, 0, u); err != nil {
		t.Fatal(err)
	}
	b.until("the datagram", func() bool { return len(b.wire.sent("INVITE ")) > 0 })
	b.say(to.Addr, response("INVITE", "z9hG4bKh", 486))
	b.until("the refusal", func() bool { return u.String() == (&told{statuses: []int{486}}).String() })
	for _, method := range []string{"INVITE ", "ACK "} {
		if got := b.wire.sent(method); len(got) == 0 || got[0].peer != to.Addr || !strings.Contains(got[0].data, "Via: SIP/2.0/UDP ") {
			t.Errorf("%sdid not go by UDP:\n%s", method, b.wire)
		}
	}
	if invite.Via().Transport != transport.UDP {
		t.Errorf("the user's request has become one over %s", invite.Via().Transport)
	}
	b.gone()
}

// A next hop where TCP connects come to nothing, as behind a firewall that drops
// them, gets large requests by UDP before its caller has waited for long.
func TestLargeTCPDropped(t *testing.T) {
	b := newBench(t)
	byUDP(t, b, transport.Target{Transport: transport.UDP, Addr: deaf(t)})
}

// deaf is a listener that lets connects wait: its queue is full.
func deaf(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	ip := netip.MustParseAddr(hopIP).As4()
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: ip}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(sa.(*syscall.SockaddrInet4).Port))
	for range 16 {
		c, err := net.DialTimeout("tcp", addr.String(), 500*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("this system's queue of connects that nobody accepts does not fill")
	return addr
}
