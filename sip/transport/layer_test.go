package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

// desk is a Handler that answers each message with one of its own.
type desk struct {
	layer *Layer

	mu      sync.Mutex
	got     []string
	refused map[string]int
	gone    int
}

func (d *desk) Admit(string, netip.AddrPort, netip.AddrPort) bool { return true }

func (d *desk) Receive(r Received) {
	d.mu.Lock()
	d.got = append(d.got, string(r.Data))
	d.mu.Unlock()
	_ = d.layer.Reply(r.Flow, []byte("SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"))
}

func (d *desk) Refused(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused[reason]++
}

func (d *desk) count(reason string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused[reason]
}

func (d *desk) messages() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.got)
}

func (d *desk) ends() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

const options = "OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"

// open runs a layer with one listener of a transport, at the address returned.
func open(t *testing.T, over string, change func(*Limits)) (*desk, string, *tls.Config) {
	t.Helper()
	limits := DefaultLimits()
	limits.Message = 4096
	if change != nil {
		change(&limits)
	}
	d := &desk{refused: map[string]int{}}
	d.layer = New(d, limits, zap.NewNop())
	d.layer.Gone(func(Flow) { d.mu.Lock(); d.gone++; d.mu.Unlock() })
	ln, err := ListenTCP(netip.MustParseAddrPort("127.0.88.3:0"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler()) // for its certificate
	srv.StartTLS()
	server := &tls.Config{Certificates: srv.TLS.Certificates}
	client := srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName = "example.com"
	srv.Close()
	served := make(chan error, 1)
	go func() {
		switch over {
		case TCP:
			served <- d.layer.ServeTCP(ln)
		case TLS:
			served <- d.layer.ServeTLS(ln, server)
		case WS:
			served <- d.layer.ServeWS(ln, WebSocket{Path: "/sip", Origins: []string{"https://phone.example.com"}})
		case WSS:
			served <- d.layer.ServeWS(ln, WebSocket{Path: "/sip", TLS: server})
		}
	}()
	t.Cleanup(func() {
		began := time.Now()
		d.layer.Close()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("closing took %v", took)
		}
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener ended with %v", err)
		}
		if n := d.layer.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if len(d.layer.came) != 0 {
			t.Errorf("connections are left in the books: %v", d.layer.came)
		}
		goleak.VerifyNone(t)
	})
	return d, ln.Addr().String(), client
}

// peer is a client of any stream transport.
type peer struct {
	t    *testing.T
	raw  net.Conn // nil over WebSocket
	r    *bufio.Reader
	web  *websocket.Conn
	http *http.Transport
}

func connect(t *testing.T, over, at string, cfg *tls.Config) *peer {
	t.Helper()
	p := &peer{t: t}
	switch over {
	case WS, WSS:
		p.http = &http.Transport{TLSClientConfig: cfg}
		c, _, err := websocket.Dial(t.Context(), strings.ToLower(over)+"://"+at+"/sip", &websocket.DialOptions{Subprotocols: []string{"sip"}, HTTPClient: &http.Client{Transport: p.http}})
		if err != nil {
			t.Fatal(err)
		}
		p.web = c
	default:
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if over == TLS {
			c = tls.Client(c, cfg)
		}
		p.raw, p.r = c, bufio.NewReader(c)
	}
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() {
	if p.web != nil {
		_ = p.web.CloseNow()
		p.http.CloseIdleConnections()
		return
	}
	_ = p.raw.Close()
}

func (p *peer) write(s string) error {
	if p.web != nil {
		return p.web.Write(context.Background(), websocket.MessageText, []byte(s))
	}
	_, err := io.WriteString(p.raw, s)
	return err
}

// ask sends OPTIONS and wants an answer within so long.
func (p *peer) ask(within time.Duration) error {
	if err := p.write(options); err != nil {
		return err
	}
	got, err := p.read(within)
	if err == nil && !strings.HasPrefix(got, "SIP/2.0 200") {
		err = fmt.Errorf("got %q", got)
	}
	return err
}

func (p *peer) read(within time.Duration) (string, error) {
	if p.web != nil {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		_, b, err := p.web.Read(ctx)
		return string(b), err
	}
	_ = p.raw.SetReadDeadline(time.Now().Add(within))
	var s strings.Builder
	for !strings.HasSuffix(s.String(), "\r\n\r\n") {
		line, err := p.r.ReadString('\n')
		s.WriteString(line)
		if err != nil {
			return s.String(), err
		}
	}
	return s.String(), nil
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

var streams = []string{TCP, TLS, WS, WSS}

// Whoever connects and says nothing, or begins a handshake or a message and
// does not go on, keeps nobody waiting, and is given up.
func TestSilentClients(t *testing.T) {
	for _, over := range streams {
		t.Run(over, func(t *testing.T) {
			d, at, cfg := open(t, over, func(l *Limits) { l.First, l.Whole = 500*time.Millisecond, 500*time.Millisecond })
			var silent []net.Conn
			for _, begin := range []string{"", "\x16\x03\x01\x02\x00\x01", "GET /sip HTTP/1.1\r\nHost: a\r\n", "INVITE sip:a SIP/2.0\r\n"} {
				c, err := net.Dial("tcp", at)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := io.WriteString(c, begin); err != nil {
					t.Fatal(err)
				}
				silent = append(silent, c)
			}
			connected := connect(t, over, at, cfg) // through the handshake, and silent then
			if connected.raw != nil && over == TLS {
				if err := connected.raw.(*tls.Conn).Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			if err := connect(t, over, at, cfg).ask(5 * time.Second); err != nil {
				t.Fatalf("another client is not served: %v", err)
			}
			for i, c := range silent {
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) || err != nil && strings.Contains(err.Error(), "timeout") {
					t.Errorf("client %d was not given up: %v", i, err)
				}
			}
			if _, err := connected.read(5 * time.Second); err == nil || strings.Contains(err.Error(), "deadline exceeded") {
				t.Errorf("the one that connected and said nothing: %v", err)
			}
			until(t, "the ends to be counted", func() bool {
				return d.count("stream_timeout")+d.count("tls_handshake")+d.count("websocket_handshake") > 0
			})
		})
	}
}

// Whoever does not read what it is sent is disconnected, and holds nobody up.
func TestSlowReader(t *testing.T) {
	for _, over := range streams {
		t.Run(over, func(t *testing.T) {
			d, at, cfg := open(t, over, func(l *Limits) { l.Write, l.Queue = 300*time.Millisecond, 64 })
			slow := connect(t, over, at, cfg)
			if err := slow.ask(5 * time.Second); err != nil {
				t.Fatal(err)
			}
			d.layer.mu.RLock()
			var f Flow
			for s := range d.layer.all {
				f = s.flow()
			}
			d.layer.mu.RUnlock()
			big := []byte("MESSAGE sip:a SIP/2.0\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 60000))
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
				if err := d.layer.Reply(f, big); err != nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal("it was never given up")
				}
			}
			if d.count("slow_peer") == 0 {
				t.Error("a slow peer was not counted")
			}
			if err := connect(t, over, at, cfg).ask(5 * time.Second); err != nil {
				t.Errorf("another client is not served: %v", err)
			}
		})
	}
}

// Connections are bounded, those of one peer apart, and room is made when one ends.
func TestConnectionLimits(t *testing.T) {
	for _, over := range streams {
		t.Run(over, func(t *testing.T) {
			d, at, cfg := open(t, over, func(l *Limits) {
				l.PerPeer, l.PerWebSocketPeer = 3, 3
				l.WebSocketPing = time.Hour
			})
			var in []*peer
			for range 3 {
				p := connect(t, over, at, cfg)
				if err := p.ask(5 * time.Second); err != nil {
					t.Fatal(err)
				}
				in = append(in, p)
			}
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
				t.Errorf("a fourth connection: %v", err)
			}
			until(t, "it to be counted", func() bool { return d.count("too_many_connections") == 1 })
			in[0].close()
			until(t, "room", func() bool { return d.layer.Connections() == 2 })
			until(t, "a new connection", func() bool {
				c, err := net.Dial("tcp", at)
				if err != nil {
					return false
				}
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				_, err = c.Read(make([]byte, 1))
				var ne net.Error
				return errors.As(err, &ne) && ne.Timeout() // it is waited for
			})
		})
	}
}

// A /64 of IPv6 is one peer.
func TestSite(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::", "2001:db8:0:1::1": "2001:db8:0:1::", "fe80::1%eth0": "fe80::",
	} {
		if got := site(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// What is larger than a message may be ends the connection; over WebSocket too.
func TestOversize(t *testing.T) {
	for _, over := range streams {
		t.Run(over, func(t *testing.T) {
			d, at, cfg := open(t, over, nil)
			p := connect(t, over, at, cfg)
			_ = p.write("MESSAGE sip:a SIP/2.0\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000))
			until(t, "the end of the connection", func() bool { return d.ends() == 1 })
			if err := connect(t, over, at, cfg).ask(5 * time.Second); err != nil {
				t.Errorf("another client is not served: %v", err)
			}
		})
	}
}

// A double CRLF is answered with one (RFC 5626 section 4.4.1), and is no message.
func TestPingIsAnswered(t *testing.T) {
	for _, over := range streams {
		t.Run(over, func(t *testing.T) {
			d, at, cfg := open(t, over, nil)
			p := connect(t, over, at, cfg)
			if err := p.write("\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			got := ""
			if p.web != nil {
				got, _ = p.read(5 * time.Second)
			} else {
				_ = p.raw.SetReadDeadline(time.Now().Add(5 * time.Second))
				got, _ = p.r.ReadString('\n')
			}
			if got != "\r\n" || d.messages() != 0 {
				t.Errorf("got %q, and %d messages came up", got, d.messages())
			}
		})
	}
}

// The door's own pings: a peer that answers stays, one that does not is left.
func TestOwnPings(t *testing.T) {
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprint(answers), func(t *testing.T) {
			d, _, _ := open(t, TCP, func(l *Limits) { l.Ping, l.Pong = 50*time.Millisecond, 200*time.Millisecond })
			ln, err := net.Listen("tcp", "127.0.88.4:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			pings := make(chan struct{}, 64)
			go func() {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				b := make([]byte, 4)
				for {
					if _, err := io.ReadFull(c, b); err != nil || string(b) != "\r\n\r\n" {
						return
					}
					pings <- struct{}{}
					if answers {
						_, _ = io.WriteString(c, "\r\n")
					}
				}
			}()
			if _, err := d.layer.Connect(t.Context(), Target{Transport: TCP, Addr: addrPort(ln.Addr())}); err != nil {
				t.Fatal(err)
			}
			if !answers {
				until(t, "the end", func() bool { return d.ends() == 1 && d.count("no_pong") == 1 })
				return
			}
			for range 3 {
				select {
				case <-pings:
				case <-time.After(5 * time.Second):
					t.Fatal("no ping")
				}
			}
			if d.ends() != 0 || d.count("no_pong") != 0 {
				t.Error("a peer that answers was left")
			}
		})
	}
}

// Connecting ends when its time is over, or the layer's; one attempt serves all
// who want the same peer; and nobody is connected to over WebSocket.
func TestConnect(t *testing.T) {
	d, at, _ := open(t, TCP, nil)
	to := Target{Transport: TCP, Addr: netip.MustParseAddrPort(at)}
	var wg sync.WaitGroup
	flows := make([]Flow, 20)
	for i := range flows {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f, err := d.layer.Connect(context.Background(), to)
			if err != nil {
				t.Error(err)
			}
			flows[i] = f
		}()
	}
	wg.Wait()
	for _, f := range flows {
		if f != flows[0] {
			t.Fatalf("%v and %v", f, flows[0])
		}
	}
	for _, over := range []string{WS, WSS} {
		if _, err := d.layer.Connect(context.Background(), Target{Transport: over, Addr: to.Addr}); !errors.Is(err, ErrNoRoute) {
			t.Errorf("%s: %v", over, err)
		}
	}
	if _, err := d.layer.Connect(context.Background(), Target{Transport: TCP, Addr: netip.MustParseAddrPort("127.0.88.9:9")}); err == nil {
		t.Error("connected to nobody")
	}
	silent, err := net.Listen("tcp", "127.0.88.4:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.layer.Connect(ctx, Target{Transport: TLS, Addr: addrPort(silent.Addr())}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a TLS peer that says nothing: %v", err)
	}
	go func() { // Close must not wait for it
		_, _ = d.layer.Connect(context.Background(), Target{Transport: TLS, Addr: addrPort(silent.Addr())})
	}()
	until(t, "the attempt", func() bool { d.layer.mu.RLock(); defer d.layer.mu.RUnlock(); return len(d.layer.dialing) == 1 })
}

// A connection is made from the address that the target names, where that can be.
func TestConnectFrom(t *testing.T) {
	for _, c := range []struct {
		local, peer string
		want        bool
	}{
		{"192.0.2.1", "198.51.100.1", true},
		{"127.0.88.5", "127.0.88.3", true},
		{"192.0.2.1", "127.0.0.1", true},
		{"::ffff:192.0.2.1", "198.51.100.1", true},
		{"127.0.0.1", "198.51.100.1", false},
		{"::1", "2001:db8::1", false},
		{"192.0.2.1", "2001:db8::1", false},
		{"2001:db8::1", "192.0.2.1", false},
		{"0.0.0.0", "192.0.2.1", false},
	} {
		if got := reaches(netip.MustParseAddr(c.local), netip.MustParseAddr(c.peer)); got != c.want {
			t.Errorf("from %s to %s: %v", c.local, c.peer, got)
		}
	}
	if reaches(netip.Addr{}, netip.MustParseAddr("192.0.2.1")) {
		t.Error("from no address")
	}
	d, at, _ := open(t, TCP, nil)
	f, err := d.layer.Connect(t.Context(), Target{Transport: TCP, Addr: netip.MustParseAddrPort(at), Local: netip.MustParseAddrPort("127.0.88.5:5060")})
	if err != nil {
		t.Fatal(err)
	}
	if f.Local.Addr() != netip.MustParseAddr("127.0.88.5") {
		t.Errorf("connected from %s", f.Local)
	}
}

// Each peer's messages come in its order, and a message that comes in pieces or
// behind another is one.
func TestOrder(t *testing.T) {
	for _, over := range streams {
		t.Run(over, func(t *testing.T) {
			d, at, cfg := open(t, over, nil)
			p := connect(t, over, at, cfg)
			const n = 200
			for i := range n {
				if err := p.write(fmt.Sprintf("MESSAGE sip:%d SIP/2.0\r\nContent-Length: 2\r\n\r\nab", i)); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "all", func() bool { return d.messages() == n })
			for i, m := range d.got {
				if !strings.HasPrefix(m, fmt.Sprintf("MESSAGE sip:%d ", i)) || !strings.HasSuffix(m, "\r\n\r\nab") {
					t.Fatalf("message %d is %q", i, m)
				}
			}
		})
	}
}
