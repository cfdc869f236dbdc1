package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// stream is one connection of TCP, TLS, WS or WSS: a reader and a writer
// goroutine, which end with it.
type stream struct {
	layer     *Layer
	id        uint64 // of no other connection, ever: not 0
	transport string
	local     netip.AddrPort
	remote    netip.AddrPort
	conn      messageConn
	out       chan []byte
	done      chan struct{}
	once      sync.Once
	hungUp    atomic.Bool // nothing more is read
	heard     atomic.Bool // something was read since the last ping
}

func (s *stream) flow() Flow {
	return Flow{Transport: s.transport, Local: s.local, Remote: s.remote, conn: s}
}

// ServeTCP accepts connections until the listener is closed.
func (l *Layer) ServeTCP(ln net.Listener) error { return l.serveStream(ln, TCP, nil) }

// ServeTLS accepts TLS connections until the listener is closed. cfg's
// GetConfigForClient lets certificates change while it serves.
func (l *Layer) ServeTLS(ln net.Listener, cfg *tls.Config) error { return l.serveStream(ln, TLS, cfg) }

func (l *Layer) serveStream(ln net.Listener, transport string, cfg *tls.Config) error {
	if !l.onClose(ln.Close) {
		_ = ln.Close()
		return ErrClosed
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of descriptors, or a peer that left: the listener lives on.
			l.handler.Refused("accept_error")
			time.Sleep(10 * time.Millisecond)
			continue
		}
		leave, ok := l.admit(transport, c)
		if !ok {
			_ = c.Close()
			continue
		}
		go func() {
			defer leave()
			l.accepted(transport, c, cfg)
		}()
	}
}

func (l *Layer) accepted(transport string, c net.Conn, cfg *tls.Config) {
	remote := addrPort(c.RemoteAddr())
	if cfg != nil {
		t := tls.Server(c, cfg)
		ctx, cancel := context.WithTimeout(l.ctx, l.limits.First)
		err := t.HandshakeContext(ctx)
		cancel()
		if err != nil {
			if l.ctx.Err() == nil {
				l.handler.Refused("tls_handshake")
				l.log.Info("a TLS handshake failed", zap.Stringer("peer", remote), zap.Error(err))
			}
			_ = c.Close()
			return
		}
		c = t
	}
	s, err := l.add(transport, addrPort(c.LocalAddr()), remote, &framed{Conn: c, limits: &l.limits})
	if err != nil {
		_ = c.Close()
		return
	}
	s.read()
}

// add enters a connection in the books and starts its writer.
func (l *Layer) add(transport string, local, remote netip.AddrPort, c messageConn) (*stream, error) {
	s := &stream{layer: l, id: max(rand.Uint64(), 1), transport: transport, local: local, remote: remote, conn: c,
		out: make(chan []byte, l.limits.Queue), done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	l.all[s] = struct{}{}
	l.streams[streamKey{transport, remote}] = s
	l.wg.Add(1)
	go s.write()
	return s, nil
}

// read hands messages on until the connection ends, and tells of its end.
func (s *stream) read() {
	defer func() {
		s.shut()
		if s.layer.gone != nil {
			s.layer.gone(s.flow())
		}
	}()
	first := true
	for {
		data, err := s.conn.read(first)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				var ne net.Error
				switch {
				case errors.Is(err, errTooLarge), errors.Is(err, errLength):
					s.layer.received(Received{Flow: s.flow(), Data: data, At: time.Now()})
					s.hangUp()
				case errors.As(err, &ne) && ne.Timeout():
					s.layer.handler.Refused("stream_timeout")
				default:
					s.layer.handler.Refused("stream_error")
				}
				// A certificate that the peer of TLS 1.3 does not take is known only now,
				// after the handshake.
				say := s.layer.log.Debug
				if f, ok := s.conn.(*framed); ok && f.dialled && first {
					say = s.layer.log.Warn
				}
				say("a connection ends", zap.String("transport", s.transport), zap.Stringer("peer", s.remote), zap.Error(err))
			}
			return
		}
		s.heard.Store(true)
		if KeepAlive(data) {
			if len(data) == 4 { // a ping; a pong is two (RFC 5626 section 4.4.1)
				_ = s.send(pong)
			}
			continue
		}
		first = false
		s.layer.received(Received{Flow: s.flow(), Data: data, At: time.Now()})
		if s.hungUp.Load() {
			<-s.done
			return
		}
	}
}

// hangUp closes the connection once what waits was written, and waits for that.
func (s *stream) hangUp() {
	s.hungUp.Store(true)
	s.flush()
	<-s.done
}

// A keep-alive and its answer (RFC 5626 section 4.4.1).
var (
	ping = []byte("\r\n\r\n")
	pong = []byte("\r\n")
)

// keepAlive pings until the connection ends, and ends it when the peer says
// nothing for too long after a ping. The intervals differ, so that connections
// made at once are not pinged at once.
func (s *stream) keepAlive() {
	for {
		every := s.layer.limits.Ping
		if !s.rest(every - rand.N(every/5+1)) {
			return
		}
		s.heard.Store(false)
		if s.send(ping) != nil {
			return
		}
		if !s.rest(s.layer.limits.Pong) {
			return
		}
		if !s.heard.Load() {
			s.layer.handler.Refused("no_pong")
			s.layer.log.Info("a peer does not answer keep-alives, its connection is closed", zap.String("transport", s.transport), zap.Stringer("peer", s.remote))
			s.shut()
			return
		}
	}
}

// rest waits; false: the connection has ended.
func (s *stream) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.done:
		return false
	}
}

// send queues a message. A peer that does not read is disconnected: it must not
// hold what others wait for.
func (s *stream) send(data []byte) error {
	b := bytes.Clone(data)
	select {
	case <-s.done:
		return fmt.Errorf("%w to %s over %s", ErrNoRoute, s.remote, s.transport)
	default:
	}
	select {
	case s.out <- b:
		return nil
	default:
		s.layer.handler.Refused("slow_peer")
		s.shut()
		return fmt.Errorf("%w: %s over %s", ErrSlow, s.remote, s.transport)
	}
}

func (s *stream) write() {
	defer s.layer.wg.Done()
	for {
		select {
		case b := <-s.out:
			if b == nil { // flushed
				s.shut()
				return
			}
			if s.layer.tap != nil && !KeepAlive(b) {
				s.layer.tap(false, s.flow(), b, time.Now())
			}
			if err := s.conn.write(b); err != nil {
				if !errors.Is(err, net.ErrClosed) {
					s.layer.handler.Refused("slow_peer")
				}
				s.shut()
				return
			}
		case <-s.done:
			return
		}
	}
}

// flush closes the connection once what waits was written.
func (s *stream) flush() {
	select {
	case s.out <- nil:
	default:
		s.shut()
	}
}

func (s *stream) isClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// shut closes the connection and takes it out of the books.
func (s *stream) shut() {
	s.once.Do(func() {
		close(s.done)
		_ = s.conn.close()
		l := s.layer
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.all, s)
		k := streamKey{s.transport, s.remote}
		if l.streams[k] == s {
			delete(l.streams, k)
		}
	})
}
