package transport

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// What ends a stream, as nobody can know where the next message begins. The
// bytes are handed on before, so that the sender can be told (RFC 4475 sections
// 3.1.2.3 and 3.3.9).
var (
	errTooLarge = errors.New("transport: message larger than the limit")
	errLength   = errors.New("transport: Content-Length is not a number, or there twice")
)

// KeepAlive says whether bytes are a keep-alive and no message (RFC 5626
// section 4.4.1).
func KeepAlive(data []byte) bool {
	return len(data) <= 4 && len(bytes.Trim(data, "\r\n")) == 0
}

// messageConn reads and writes whole messages.
type messageConn interface {
	// read returns the next message or keep-alive. The bytes are good until the
	// next read. first is how long the very first may take. With errTooLarge and
	// errLength come the bytes in question.
	read(first bool) ([]byte, error)
	write(data []byte) error
	close() error
}

// framed cuts a byte stream into messages by their Content-Length (RFC 3261
// section 18.3), whatever pieces TCP delivers.
type framed struct {
	net.Conn
	limits *Limits
	// dialled: the door connected, so that the peer owes no first message soon
	dialled bool
	buf     []byte
	start   int // of what was not handed out
	seen    int // from start; no end of a head before it
}

func (c *framed) read(first bool) ([]byte, error) {
	wait := c.limits.Idle
	if first && !c.dialled {
		wait = c.limits.First
	}
	partial := false
	deadline := time.Now().Add(wait)
	for {
		n, err := c.next()
		if err != nil {
			return c.buf[c.start:], err
		}
		if n > 0 {
			msg := c.buf[c.start : c.start+n]
			c.start, c.seen = c.start+n, 0
			return msg, nil
		}
		if len(c.buf) > c.start && !partial {
			partial = true
			if d := time.Now().Add(c.limits.Whole); d.Before(deadline) {
				deadline = d
			}
		}
		if err := c.SetReadDeadline(deadline); err != nil {
			return nil, err
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more, making room first.
func (c *framed) fill() error {
	if c.start > 0 {
		c.buf = append(c.buf[:0], c.buf[c.start:]...)
		c.start = 0
		if len(c.buf) == 0 && cap(c.buf) > 16<<10 {
			c.buf = nil // a rare large message is not remembered for ever
		}
	}
	if cap(c.buf)-len(c.buf) < 1024 {
		c.buf = append(make([]byte, 0, 2*cap(c.buf)+4096), c.buf...)
	}
	n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// next returns the length of the first message in the buffer, a keep-alive
// before it being one of its own; 0 if it is not whole yet.
func (c *framed) next() (int, error) {
	b := c.buf[c.start:]
	crlf := 0
	for crlf < len(b) && crlf < 4 && (b[crlf] == '\r' || b[crlf] == '\n') {
		crlf++
	}
	if crlf > 0 {
		return crlf, nil
	}
	i := bytes.Index(b[c.seen:], headEnd)
	if i < 0 {
		c.seen = max(len(b)-len(headEnd)+1, 0)
		if len(b) > c.limits.Message {
			return 0, errTooLarge
		}
		return 0, nil
	}
	head := c.seen + i
	c.seen = head
	body, err := contentLength(b[:head])
	if err != nil {
		return 0, err
	}
	n := head + len(headEnd) + body
	if n > c.limits.Message {
		return 0, errTooLarge
	}
	if len(b) < n {
		return 0, nil
	}
	return n, nil
}

var headEnd = []byte("\r\n\r\n")

// contentLength reads Content-Length from a head without its start line's rest;
// a stream message without one has no body.
func contentLength(head []byte) (int, error) {
	found := -1
	for {
		i := bytes.IndexByte(head, '\n')
		if i < 0 {
			return max(found, 0), nil
		}
		head = head[i+1:]
		if len(head) == 0 || head[0]|0x20 != 'c' && head[0]|0x20 != 'l' {
			continue
		}
		line := head
		if eol := bytes.IndexByte(head, '\n'); eol >= 0 {
			line = head[:eol]
		}
		name, v, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		if !ok || !bytes.EqualFold(name, []byte("Content-Length")) && !bytes.EqualFold(name, []byte("l")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 31)
		if err != nil || found >= 0 {
			return 0, fmt.Errorf("%w: %.20q", errLength, v)
		}
		found = int(n)
	}
}

func (c *framed) write(data []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(c.limits.Write)); err != nil {
		return err
	}
	_, err := c.Conn.Write(data)
	return err
}

func (c *framed) close() error { return c.Conn.Close() }
