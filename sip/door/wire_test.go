package door_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/judge"
)

// Where everybody is on loopback in the tests over real sockets.
const (
	doorIP   = "127.0.88.1"
	callerIP = "127.0.88.2"
	pbxIP    = "127.0.88.10"
)

// given are the places that listen has told: the kernel may choose one again.
var given sync.Map

// listen is a place on loopback that nobody has, over UDP nor over TCP: the
// kernel chose its port.
func listen(t *testing.T, ip string) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			t.Fatal(err)
		}
		at := ln.Addr().String()
		pc, err := net.ListenPacket("udp", at)
		ln.Close()
		if err != nil {
			continue
		}
		pc.Close()
		if _, before := given.LoadOrStore(at, true); !before {
			return at
		}
	}
	t.Fatalf("no port of %s is free over UDP and TCP", ip)
	return ""
}

// files are certificates on disk, made by one authority.
type files struct {
	t    *testing.T
	dir  string
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	next int64
}

func makeCA(t *testing.T) *files {
	t.Helper()
	f := &files{t: t, dir: t.TempDir(), pool: x509.NewCertPool(), next: 2}
	var err error
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, f.key.Public(), f.key)
	if err != nil {
		t.Fatal(err)
	}
	if f.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	f.pool.AddCert(f.ca)
	f.write("ca.pem", "CERTIFICATE", der)
	return f
}

func (f *files) path(name string) string { return filepath.Join(f.dir, name) }

func (f *files) write(name, kind string, der []byte) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// issue makes name.pem and name.key for names and addresses.
func (f *files) issue(name string, hosts ...string) (door.Certificate, tls.Certificate) {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(f.next), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	f.next++
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, f.ca, key.Public(), f.key)
	if err != nil {
		f.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(name+".pem", "CERTIFICATE", der)
	f.write(name+".key", "EC PRIVATE KEY", private)
	return door.Certificate{Cert: f.path(name + ".pem"), Key: f.path(name + ".key")}, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// openDoor runs a door over real sockets until the test ends; with may give it
// other surroundings.
func openDoor(t *testing.T, change func(*door.Config), with ...func(*door.Deps)) *door.Door {
	t.Helper()
	cfg := door.Defaults()
	cfg.Sockets, cfg.Drain = 2, 0
	cfg.Trunks = []door.Trunk{{Name: "carrier", Addresses: []string{callerIP, "::1"}}}
	change(&cfg)
	destinations := map[string]bool{}
	for name := range cfg.Destinations {
		destinations[name] = true
	}
	r := rules.Defaults()
	set, err := rules.Compile(r, destinations)
	if err != nil {
		t.Fatal(err)
	}
	prompts, err := prompt.New(prompt.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	media := relay.Defaults()
	media.CallerAddress = doorIP
	media.Ports = relay.Ports{Min: 26000, Max: 27999}
	log := zap.NewNop()
	if os.Getenv("PORTERO_SCENARIO_LOG") != "" {
		log, _ = zap.NewDevelopment()
	}
	rel, err := relay.New(media, log)
	if err != nil {
		t.Fatal(err)
	}
	deps := door.Deps{Log: log, Relay: rel, Prompts: prompts, Surge: surge.New(surge.Defaults()),
		Bench: &judge.Bench{Rules: set, Config: judge.Defaults(), Mode: policy.Observe}, Records: func(store.Record) {}}
	for _, f := range with {
		f(&deps)
	}
	d, err := door.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("the door ended with: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the door does not close")
		}
		if err := rel.Close(); err != nil {
			t.Error(err)
		}
	})
	for !d.Serving() {
		select {
		case err := <-served:
			served <- err
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	return d
}

// msg is a message as it came.
type msg struct {
	start  string
	header textproto.MIMEHeader
	body   string
}

func (m msg) status() int {
	if rest, ok := strings.CutPrefix(m.start, "SIP/2.0 "); ok {
		n, _ := strconv.Atoi(rest[:3])
		return n
	}
	return 0
}

func (m msg) method() string {
	method, _, _ := strings.Cut(m.start, " ")
	return method
}

// contact is the URI of the Contact.
func (m msg) contact() string {
	_, u, _ := strings.Cut(m.header.Get("Contact"), "<")
	u, _, _ = strings.Cut(u, ">")
	return u
}

func readMsg(r *bufio.Reader) (m msg, err error) {
	tp := textproto.NewReader(r)
	for m.start == "" { // keep-alives
		if m.start, err = tp.ReadLine(); err != nil {
			return m, err
		}
	}
	if m.header, err = tp.ReadMIMEHeader(); err != nil {
		return m, err
	}
	n, _ := strconv.Atoi(m.header.Get("Content-Length"))
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	m.body = string(b)
	return m, err
}

// element is a SIP element over one transport, without any transaction of its own.
type element struct {
	t         *testing.T
	name      string
	transport string // as in a Via
	sentBy    string
	port      int // that a caller connects from
	in        chan msg

	mu    sync.Mutex
	send  func([]byte) error // to whoever was heard last, or the door
	leave func()             // ends the connection, if there is one
}

func newElement(t *testing.T, name, transport, sentBy string) *element {
	return &element{t: t, name: name, transport: transport, sentBy: sentBy, in: make(chan msg, 64)}
}

func (e *element) write(text string) {
	e.t.Helper()
	e.mu.Lock()
	send := e.send
	e.mu.Unlock()
	if err := send([]byte(text)); err != nil {
		e.t.Fatalf("%s: %v", e.name, err)
	}
}

// expect returns the next message that is no repeat-by-nature: a request of a
// method, or a status.
func (e *element) expect(what string) msg {
	e.t.Helper()
	end := time.After(10 * time.Second)
	for {
		select {
		case m := <-e.in:
			switch {
			case m.method() == what || strconv.Itoa(m.status()) == what:
				return m
			case m.status() == 100 || m.method() == "INVITE" || m.method() == "OPTIONS": // repeats
			default:
				e.t.Fatalf("%s got %q, not %s", e.name, m.start, what)
			}
		case <-end:
			e.t.Fatalf("%s waited in vain for %s", e.name, what)
		}
	}
}

// final returns the next final response.
func (e *element) final() msg {
	e.t.Helper()
	end := time.After(10 * time.Second)
	for {
		select {
		case m := <-e.in:
			if m.status() >= 200 {
				return m
			}
		case <-end:
			e.t.Fatalf("%s waited in vain for a final response", e.name)
		}
	}
}

func (e *element) packets(pc net.PacketConn, peer net.Addr) *element {
	e.send = func(b []byte) error { _, err := pc.WriteTo(b, peer); return err }
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if m, err := readMsg(bufio.NewReader(strings.NewReader(string(buf[:n])))); err == nil {
				e.mu.Lock()
				e.send = func(b []byte) error { _, err := pc.WriteTo(b, from); return err }
				e.mu.Unlock()
				e.in <- m
			}
		}
	}()
	e.t.Cleanup(func() { pc.Close() })
	return e
}

func (e *element) stream(c net.Conn) *element {
	e.mu.Lock()
	e.send = func(b []byte) error { _, err := c.Write(b); return err }
	e.leave = func() { c.Close() }
	e.mu.Unlock()
	go func() {
		r := bufio.NewReader(c)
		for {
			m, err := readMsg(r)
			if err != nil {
				return
			}
			e.in <- m
		}
	}()
	e.t.Cleanup(func() { c.Close() })
	return e
}

func (e *element) webSocket(c *websocket.Conn) *element {
	c.SetReadLimit(65535)
	ctx, cancel := context.WithCancel(context.Background())
	e.send = func(b []byte) error { return c.Write(ctx, websocket.MessageText, b) }
	e.leave = func() { c.CloseNow() }
	go func() {
		for {
			_, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			if m, err := readMsg(bufio.NewReader(strings.NewReader(string(b)))); err == nil {
				e.in <- m
			}
		}
	}()
	e.t.Cleanup(func() { cancel(); c.CloseNow() })
	return e
}

// pbx listens over a transport; it returns its address.
func pbx(t *testing.T, transport, ip string, cfg *tls.Config) (*element, netip.AddrPort) {
	t.Helper()
	at := net.JoinHostPort(ip, "0")
	if transport == "UDP" {
		pc, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		a := pc.LocalAddr().(*net.UDPAddr).AddrPort()
		return newElement(t, "pbx", transport, a.String()).packets(pc, nil), a
	}
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	a := ln.Addr().(*net.TCPAddr).AddrPort()
	if transport == "TLS" {
		ln = tls.NewListener(ln, cfg)
	}
	e := newElement(t, "pbx", transport, a.String())
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			// A PBX knows the door by its address, not by the one that the kernel picks.
			if from := c.RemoteAddr().(*net.TCPAddr).IP.String(); from == "127.0.0.1" {
				t.Errorf("the door connects from %s, where it does not listen", from)
			}
			e.stream(c)
		}
	}()
	return e, a
}

// caller connects to a listener of the door.
func caller(t *testing.T, transport, listener string, cfg *tls.Config) *element {
	t.Helper()
	return callerFrom(t, transport, listener, cfg, 0)
}

// callerFrom does so from this port, 0: any.
func callerFrom(t *testing.T, transport, listener string, cfg *tls.Config, port int) *element {
	t.Helper()
	ip := callerIP
	if strings.HasPrefix(listener, "[") {
		ip = "::1"
	}
	if transport == "UDP" {
		pc, err := net.ListenPacket("udp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		return newElement(t, "caller", transport, pc.LocalAddr().String()).packets(pc, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(listener)))
	}
	nd := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip), Port: port}}
	c, err := nd.Dial("tcp", listener)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).SetLinger(0) // so that its port is free as soon as it has left
	at := c.LocalAddr().(*net.TCPAddr)
	if transport == "TLS" {
		c = tls.Client(c, cfg)
	}
	var e *element
	if transport == "WS" || transport == "WSS" {
		hc := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}}
		t.Cleanup(hc.CloseIdleConnections)
		ws, _, err := websocket.Dial(t.Context(), strings.ToLower(transport)+"://"+listener+"/sip", &websocket.DialOptions{Subprotocols: []string{"sip"}, HTTPClient: hc})
		if err != nil {
			t.Fatal(err)
		}
		e = newElement(t, "caller", transport, "df7jal23ls0d.invalid").webSocket(ws)
	} else {
		e = newElement(t, "caller", transport, at.String()).stream(c)
	}
	e.port = at.Port
	return e
}

const offer = "v=0\r\no=- 1 1 IN IP4 127.0.88.2\r\ns=-\r\nc=IN IP4 127.0.88.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"

// request makes a request; more are further header lines.
func (e *element) request(method, uri, from, to, callID string, cseq int, body string, more ...string) string {
	contact := "<sip:a@" + e.sentBy + ">"
	if e.transport != "UDP" {
		contact = "<sip:a@" + e.sentBy + ";transport=" + strings.ToLower(e.transport) + ">"
	}
	lines := []string{method + " " + uri + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;rport;branch=z9hG4bK%s%s%d", e.transport, e.sentBy, callID, method, cseq),
		"Max-Forwards: 70", "From: " + from, "To: " + to, "Call-ID: " + callID, fmt.Sprintf("CSeq: %d %s", cseq, method), "Contact: " + contact}
	lines = append(lines, more...)
	if body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	return strings.Join(lines, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// answer makes a response.
func (e *element) answer(req msg, status, tag, body string) string {
	lines := []string{"SIP/2.0 " + status}
	for _, v := range req.header["Via"] {
		lines = append(lines, "Via: "+v)
	}
	to := req.header.Get("To")
	if !strings.Contains(to, "tag=") {
		to += ";tag=" + tag
	}
	contact := "<sip:pbx@" + e.sentBy + ">"
	if e.transport != "UDP" {
		contact = "<sip:pbx@" + e.sentBy + ";transport=" + strings.ToLower(e.transport) + ">"
	}
	lines = append(lines, "From: "+req.header.Get("From"), "To: "+to, "Call-ID: "+req.header.Get("Call-ID"), "CSeq: "+req.header.Get("CSeq"), "Contact: "+contact)
	if body != "" {
		lines = append(lines, "Content-Type: application/sdp")
	}
	return strings.Join(lines, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// call plays a whole call: each side hangs up in turn, as farHangsUp says.
func call(t *testing.T, c, p *element, id string, farHangsUp bool, more ...string) (invite, ok msg) {
	t.Helper()
	invite, ok = answered(c, p, id, more...)
	hangUp(c, p, id, invite, ok, farHangsUp)
	return invite, ok
}

// answered plays a call until it stands.
func answered(c, p *element, id string, more ...string) (invite, ok msg) {
	c.t.Helper()
	from, to := "<sip:+34600000001@"+c.sentBy+">;tag=c1", "<sip:100@portero>"
	c.write(c.request("INVITE", "sip:100@portero", from, to, id, 1, offer, more...))
	invite = p.expect("INVITE")
	p.write(p.answer(invite, "180 Ringing", "p1", ""))
	c.expect("180")
	p.write(p.answer(invite, "200 OK", "p1", offer))
	ok = c.expect("200")
	c.write(c.request("ACK", ok.contact(), from, ok.header.Get("To"), id, 1, ""))
	p.expect("ACK")
	return invite, ok
}

// hangUp ends a call that stands; it returns the door's own BYE.
func hangUp(c, p *element, id string, invite, ok msg, farHangsUp bool) (bye msg) {
	c.t.Helper()
	if farHangsUp {
		p.write(p.request("BYE", invite.contact(), invite.header.Get("To")+";tag=p1", invite.header.Get("From"), invite.header.Get("Call-ID"), 7, ""))
		p.expect("200")
		bye = c.expect("BYE")
		c.write(c.answer(bye, "200 OK", "", ""))
		return bye
	}
	c.write(c.request("BYE", ok.contact(), "<sip:+34600000001@"+c.sentBy+">;tag=c1", ok.header.Get("To"), id, 2, ""))
	c.expect("200")
	bye = p.expect("BYE")
	p.write(p.answer(bye, "200 OK", "", ""))
	return bye
}
