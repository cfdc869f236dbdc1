//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// atAnswerer takes a message that reached the answerer at a moment.
func (l *load) atAnswerer(m []byte, from unix.Sockaddr, at int64) {
	if status(m) != 0 {
		return
	}
	_, uri, _ := bytes.Cut(m[:min(len(m), 200)], []byte(" sip:"))
	run, call, ok := readUser(uri)
	method := method(m)
	if method == "OPTIONS" { // whoever looks whether somebody is there
		l.uas.send(reply(m, "200 OK", ""), from)
		return
	}
	if !ok || run != l.run%10000 || call >= len(l.state) {
		return
	}
	c := &l.state[call]
	switch method {
	case "INVITE":
		if c.arrived != 0 {
			l.repeated++
			if c.ok != nil {
				l.uas.send(c.ok, from)
			}
			return
		}
		c.arrived = at
		c.toPeer[1] = mediaAt(m)
		l.takeCall(call, m, from)
	case "ACK":
		if c.acked != 0 {
			l.repeated++
			return
		}
		c.acked = at
		c.ok = nil
	case "BYE":
		if c.byeGot != 0 {
			l.repeated++
		} else {
			c.byeGot = at
			if c.acked == 0 {
				l.reordered++
			}
		}
		l.uas.send(reply(m, "200 OK", ""), from)
	}
}

// takeCall rings and answers at once.
func (l *load) takeCall(call int, m []byte, from unix.Sockaddr) {
	c := &l.state[call]
	contact := appendUser([]byte("Contact: <sip:"), l.run, call)
	contact = fmt.Appendf(contact, "@%s>\r\n", l.answerer)
	ring := reply(m, "180 Ringing", string(contact))
	c.ringSent = time.Now().UnixNano()
	l.uas.send(ring, from)
	body := fmt.Appendf(contact, "Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(l.answer), l.answer)
	c.ok, c.okTo = reply(m, "200 OK", string(body)), from
	l.uas.send(c.ok, from)
	l.again(call, (*load).okAgain)
}

// okAgain repeats the 200 until its ACK (RFC 3261 section 13.3.1.4).
func (l *load) okAgain(call int) bool {
	c := &l.state[call]
	if c.acked != 0 {
		return false
	}
	l.uas.send(c.ok, c.okTo)
	return true
}

// reply makes a response; rest are further headers, with the body if there is
// one.
func reply(m []byte, status, rest string) []byte {
	b := append(make([]byte, 0, 1024), "SIP/2.0 "...)
	b = append(append(b, status...), crlf...)
	b = copyHeaders(b, m, "Via", "Record-Route", "From")
	to := header(m, "To")
	b = append(append(b, "To: "...), to...)
	if !bytes.Contains(to, []byte(";tag=")) {
		b = append(b, ";tag=answerer"...)
	}
	b = append(b, crlf...)
	b = copyHeaders(b, m, "Call-ID", "CSeq")
	b = append(b, rest...)
	if !bytes.Contains(b[len(b)-len(rest):], []byte("\r\n\r\n")) {
		b = append(b, "Content-Length: 0\r\n\r\n"...)
	}
	return b
}
