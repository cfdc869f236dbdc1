package door

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// framedListener accepts stream connections from known peers only and cuts
// their bytes into messages, so that the gate sees one message at a time
// whatever pieces TCP delivers (RFC 3261 section 18.3).
type framedListener struct {
	net.Listener
	gate *gate
	max  int
}

// Accept returns the next connection of a known peer; a stranger's is closed
// before a byte of it is read.
func (l *framedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.gate.d.knows(addrPort(c.RemoteAddr()).Addr()) {
			l.gate.d.deps.Metrics.SIPDropped("stranger")
			_ = c.Close()
			continue
		}
		return &framedConn{Conn: c, max: l.max}, nil
	}
}

// framedConn is a connection whose Read returns one whole message, or a keep-alive.
type framedConn struct {
	net.Conn
	max  int
	in   []byte // not yet handed out
	part []byte // of a message larger than the reader's buffer
}

// idleStream is how long a connection may say nothing, or leave a message half
// sent, before it is closed. Peers that want it longer send keep-alives
// (RFC 5626 section 4.4.1).
const idleStream = 10 * time.Minute

var errTooLarge = errors.New("door: message larger than max_message")

// Read implements net.Conn.
func (c *framedConn) Read(p []byte) (int, error) {
	for {
		if len(c.part) > 0 {
			n := copy(p, c.part)
			c.part = c.part[n:]
			return n, nil
		}
		n, err := frame(c.in, c.max)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			c.part = bytes.Clone(c.in[:n])
			c.in = append(c.in[:0], c.in[n:]...)
			continue
		}
		if err := c.SetReadDeadline(time.Now().Add(idleStream)); err != nil {
			return 0, err
		}
		var buf [4096]byte
		r, err := c.Conn.Read(buf[:])
		c.in = append(c.in, buf[:r]...)
		if err != nil && r == 0 {
			return 0, err
		}
	}
}

// frame returns the length of the first message in b, keep-alives before it
// included as one of their own, 0 if it is not whole yet.
func frame(b []byte, limit int) (int, error) {
	if crlf := len(b) - len(bytes.TrimLeft(b, "\r\n")); crlf > 0 {
		return min(crlf, 4), nil
	}
	head := bytes.Index(b, []byte("\r\n\r\n"))
	if head < 0 {
		if len(b) > limit {
			return 0, errTooLarge
		}
		return 0, nil
	}
	body, err := contentLength(b[:head])
	if err != nil {
		return 0, err
	}
	n := head + 4 + body
	if n > limit {
		return 0, errTooLarge
	}
	if len(b) < n {
		return 0, nil
	}
	return n, nil
}

// contentLength reads Content-Length; a stream message without one has no body.
func contentLength(head []byte) (int, error) {
	for _, line := range bytes.Split(head, []byte("\r\n"))[1:] {
		name, v, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		if !ok || !bytes.EqualFold(name, []byte("Content-Length")) && !bytes.EqualFold(name, []byte("l")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 31)
		if err != nil {
			return 0, fmt.Errorf("door: Content-Length %.20q is not a number", v)
		}
		return int(n), nil
	}
	return 0, nil
}
