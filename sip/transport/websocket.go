package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"go.uber.org/zap"
)

// WebSocket is how a listener takes SIP over WebSocket (RFC 7118).
type WebSocket struct {
	// Path is the path of its URL.
	Path string
	// Origins are the web sites whose pages may connect, as a browser names them
	// (https://phone.example.com); "*" is every site. Whoever sends no Origin is
	// no browser, and may.
	Origins []string
	// TLS makes it WSS.
	TLS *tls.Config
}

// ServeWS accepts WebSockets until the listener is closed.
func (l *Layer) ServeWS(ln net.Listener, o WebSocket) error {
	transport := WS
	if o.TLS != nil {
		transport = WSS
	}
	srv := &http.Server{
		Handler:           &upgrader{layer: l, transport: transport, offer: o},
		ReadHeaderTimeout: l.limits.First,
		WriteTimeout:      l.limits.First,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // each peer's faults are counted
	}
	srv.SetKeepAlivesEnabled(false)
	if !l.onClose(srv.Close) {
		_ = ln.Close()
		return ErrClosed
	}
	ln = &admitting{Listener: ln, layer: l, transport: transport}
	if o.TLS != nil {
		cfg := o.TLS.Clone()
		cfg.NextProtos = []string{"http/1.1"}
		ln = tls.NewListener(ln, cfg)
	}
	err := srv.Serve(ln)
	if errors.Is(err, http.ErrServerClosed) {
		return net.ErrClosed
	}
	return err
}

// admitting is a listener whose connections are counted from accept to close.
type admitting struct {
	net.Listener
	layer     *Layer
	transport string
}

func (a *admitting) Accept() (net.Conn, error) {
	for {
		c, err := a.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			a.layer.handler.Refused("accept_error")
			time.Sleep(10 * time.Millisecond)
			continue
		}
		leave, ok := a.layer.admit(a.transport, c)
		if !ok {
			_ = c.Close()
			continue
		}
		return &admitted{Conn: c, leave: leave}, nil
	}
}

type admitted struct {
	net.Conn
	leave func()
}

func (a *admitted) Close() error {
	defer a.leave()
	return a.Conn.Close()
}

// upgrader makes WebSockets of HTTP requests, and streams of WebSockets.
type upgrader struct {
	layer     *Layer
	transport string
	offer     WebSocket
}

// ServeHTTP implements http.Handler.
func (u *upgrader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := u.layer
	l.wg.Add(1) // the connection itself still counts: Close has not passed
	defer l.wg.Done()
	if code, why := u.refusal(r); code != 0 {
		l.handler.Refused("websocket_handshake")
		l.log.Info("a WebSocket is refused", zap.String("peer", r.RemoteAddr), zap.String("why", why))
		http.Error(w, why, code)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // refusal has looked at the Origin
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		l.handler.Refused("websocket_handshake")
		l.log.Info("a WebSocket is refused", zap.String("peer", r.RemoteAddr), zap.Error(err))
		return
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		_ = c.CloseNow()
		return
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	c.SetReadLimit(int64(l.limits.Message))
	conn := newWebConn(c, &l.limits)
	conn.silent = func() { l.handler.Refused("no_pong") }
	s, err := l.add(u.transport, addrPort(local), netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), conn)
	if err != nil {
		_ = conn.close()
		return
	}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		conn.keepAlive()
	}()
	s.read()
}

// subprotocol is that of SIP (RFC 7118 section 4).
const subprotocol = "sip"

// refusal says why a request for a WebSocket is not granted, and with which
// status.
func (u *upgrader) refusal(r *http.Request) (code int, why string) {
	if r.URL.Path != u.offer.Path {
		return http.StatusNotFound, "no SIP here"
	}
	offered := false
	for _, v := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(v, ",") {
			offered = offered || strings.EqualFold(strings.TrimSpace(p), subprotocol)
		}
	}
	if !offered {
		return http.StatusBadRequest, "the WebSocket subprotocol sip is wanted (RFC 7118 section 4)"
	}
	if origin := r.Header.Get("Origin"); origin != "" && !u.allows(origin) {
		return http.StatusForbidden, "pages of that origin may not call here"
	}
	return 0, ""
}

func (u *upgrader) allows(origin string) bool {
	for _, o := range u.offer.Origins {
		if o == "*" || strings.EqualFold(o, origin) {
			return true
		}
	}
	return false
}

// CheckOrigin says what is wrong with an entry of WebSocket.Origins, if anything is.
func CheckOrigin(o string) error {
	if o == "*" {
		return nil
	}
	u, err := url.Parse(o)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("an origin is like https://phone.example.com, without a path; * is every site")
	}
	return nil
}

// webConn is a WebSocket: each of its messages, text or binary, in however many
// frames, is one message of SIP (RFC 7118 section 5).
type webConn struct {
	conn   *websocket.Conn
	limits *Limits
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	silent func() // a pong is missing
	buf    []byte
}

func newWebConn(c *websocket.Conn, limits *Limits) *webConn {
	w := &webConn{conn: c, limits: limits}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

func (c *webConn) read(first bool) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	if first {
		defer time.AfterFunc(c.limits.First, func() { cancel(errLate) }).Stop()
	}
	_, r, err := c.conn.Reader(ctx)
	if err == nil {
		late := time.AfterFunc(c.limits.Whole, func() { cancel(errLate) })
		err = c.fill(r)
		late.Stop()
	}
	switch {
	case err == nil:
		return c.buf, nil
	case context.Cause(ctx) == errLate:
		return nil, errLate
	case c.ctx.Err() != nil:
		return nil, net.ErrClosed
	case websocket.CloseStatus(err) != -1: // it said goodbye
		return nil, io.EOF
	}
	return nil, err
}

// fill reads one message.
func (c *webConn) fill(r io.Reader) error {
	if cap(c.buf) > 16<<10 {
		c.buf = nil // a rare large message is not remembered for ever
	}
	c.buf = c.buf[:0]
	for {
		if len(c.buf) == cap(c.buf) {
			c.buf = append(make([]byte, 0, 2*cap(c.buf)+2048), c.buf...)
		}
		n, err := r.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errLate is the end of a peer that took too long.
var errLate = &lateError{}

type lateError struct{}

func (*lateError) Error() string   { return "transport: a message took too long" }
func (*lateError) Timeout() bool   { return true }
func (*lateError) Temporary() bool { return false }

func (c *webConn) write(data []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, c.limits.Write)
	defer cancel()
	typ := websocket.MessageText
	if !utf8.Valid(data) { // a text must be UTF-8, or browsers hang up
		typ = websocket.MessageBinary
	}
	return c.conn.Write(ctx, typ, data)
}

func (c *webConn) close() error {
	c.cancel()
	return c.conn.CloseNow()
}

// keepAlive pings until the connection ends, and ends it when a pong is missing.
func (c *webConn) keepAlive() {
	tick := time.NewTicker(c.limits.WebSocketPing)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.limits.Pong)
		err := c.conn.Ping(ctx)
		cancel()
		if err != nil {
			if c.ctx.Err() == nil {
				c.silent()
			}
			_ = c.conn.CloseNow()
			return
		}
	}
}
