package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// dial is a connection being made. Whoever wants the same one waits for it.
type dial struct {
	done   chan struct{}
	cancel context.CancelFunc
	stream *stream
	err    error
}

// dial connects to a target. Calls for the same target share one attempt, which
// lasts as long as the ctx of whoever began it.
func (l *Layer) dial(ctx context.Context, t Target) (*stream, error) {
	for {
		s, err := l.dialOnce(ctx, t)
		// Whoever waited for an attempt with less time than its own tries again.
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return s, err
		}
	}
}

func (l *Layer) dialOnce(ctx context.Context, t Target) (*stream, error) {
	k := streamKey{t.Transport, t.Addr}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	if s := l.streams[k]; s != nil {
		l.mu.Unlock()
		return s, nil
	}
	d := l.dialing[k]
	if d == nil {
		dctx, cancel := context.WithCancel(ctx)
		d = &dial{done: make(chan struct{}), cancel: cancel}
		l.dialing[k] = d
		l.wg.Add(1)
		go l.connect(dctx, t, k, d)
	}
	l.mu.Unlock()
	select {
	case <-d.done:
		return d.stream, d.err
	case <-ctx.Done():
		return nil, fmt.Errorf("transport: connecting to %s over %s: %w", t.Addr, t.Transport, ctx.Err())
	}
}

// connect runs one attempt and then the connection's reader.
func (l *Layer) connect(ctx context.Context, t Target, k streamKey, d *dial) {
	defer l.wg.Done()
	s, err := l.open(ctx, t)
	d.stream, d.err = s, err
	l.mu.Lock()
	delete(l.dialing, k)
	l.mu.Unlock()
	close(d.done)
	d.cancel()
	if err != nil {
		return
	}
	if l.limits.Ping > 0 {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			s.keepAlive()
		}()
	}
	s.read()
}

func (l *Layer) open(ctx context.Context, t Target) (*stream, error) {
	fail := func(err error) (*stream, error) {
		return nil, fmt.Errorf("transport: connecting to %s over %s: %w", t.Addr, t.Transport, err)
	}
	if t.Transport != TCP && t.Transport != TLS {
		return fail(fmt.Errorf("%w, and nobody connects to a peer over %s", ErrNoRoute, t.Transport))
	}
	var nd net.Dialer
	if reaches(t.Local.Addr(), t.Addr.Addr()) { // from the address that peers know, though not its port
		nd.LocalAddr = &net.TCPAddr{IP: t.Local.Addr().AsSlice(), Zone: t.Local.Addr().Zone()}
	}
	var c net.Conn
	c, err := nd.DialContext(ctx, network("tcp", t.Addr), t.Addr.String())
	if err != nil {
		return fail(err)
	}
	if t.Transport == TLS {
		tc := tls.Client(c, l.clientTLS(t))
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return fail(err)
		}
		c = tc
	}
	s, err := l.add(t.Transport, addrPort(c.LocalAddr()), t.Addr, &framed{Conn: c, limits: &l.limits, dialled: true})
	if err != nil {
		_ = c.Close()
		return fail(err)
	}
	return s, nil
}

// reaches says whether a connection to a peer can be made from a local address:
// not from one of the other family, nor from loopback to another machine.
func reaches(local, peer netip.Addr) bool {
	local, peer = local.Unmap(), peer.Unmap()
	return local.IsValid() && !local.IsUnspecified() && local.Is4() == peer.Is4() && (!local.IsLoopback() || peer.IsLoopback())
}

func (l *Layer) clientTLS(t Target) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.client != nil {
		cfg = l.client(t)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = t.Name
	}
	if cfg.ServerName == "" {
		cfg.ServerName = t.Addr.Addr().String()
	}
	return cfg
}
