//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"fmt"
	"time"
)

// invite begins a call.
func (l *load) invite(call int) {
	m := l.writeInvite(call)
	l.state[call].sent = time.Now().UnixNano()
	l.uac.send(m, l.peerAddr)
	l.again(call, (*load).inviteAgain)
}

// inviteAgain is timer A of RFC 3261: until anything comes back.
func (l *load) inviteAgain(call int) bool {
	c := &l.state[call]
	if c.rang != 0 || c.answered != 0 {
		return false
	}
	l.uac.send(l.writeInvite(call), l.peerAddr)
	return true
}

func (l *load) writeInvite(call int) []byte {
	b := l.begin("INVITE", call, nil)
	b = fmt.Appendf(b, "CSeq: 1 INVITE\r\nContact: <sip:caller@%s>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"+
		"User-Agent: sipload\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n", l.caller, len(l.offer))
	l.out = append(b, l.offer...)
	return l.out
}

// begin writes a request up to its CSeq. With uri it belongs to the dialog.
func (l *load) begin(method string, call int, uri []byte) []byte {
	c := &l.state[call]
	b := append(l.out[:0], method...)
	b = append(b, ' ')
	to := c.to
	if uri == nil {
		b = append(b, "sip:"...)
		b = appendUser(b, l.run, call)
		b = fmt.Appendf(b, "@%s", l.peer)
		to = appendUser([]byte("<sip:"), l.run, call)
		to = fmt.Appendf(to, "@%s>", l.peer)
	} else {
		b = append(b, uri...)
	}
	branch := method
	if method == "ACK" && c.refused != 0 {
		branch = "INVITE" // RFC 3261 section 17.1.1.3
	}
	b = fmt.Appendf(b, " SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s-", l.caller, branch)
	b = appendUser(b, l.run, call)
	b = append(b, ";rport\r\nMax-Forwards: 70\r\n"...)
	if uri != nil {
		b = append(b, c.routes...)
	}
	b = fmt.Appendf(b, "From: <sip:+3460%07d@%s>;tag=c%d\r\nTo: %s\r\nCall-ID: ", call, l.caller, call, to)
	b = appendUser(b, l.run, call)
	return append(b, "@sipload\r\n"...)
}

// inDialog writes a request without a body after the INVITE.
func (l *load) inDialog(method string, call, cseq int) []byte {
	uri := l.state[call].contact
	if l.state[call].refused != 0 {
		uri = nil
	}
	b := l.begin(method, call, uri)
	l.out = fmt.Appendf(b, "CSeq: %d %s\r\nContent-Length: 0\r\n\r\n", cseq, method)
	return l.out
}

// bye ends a call from the caller's side.
func (l *load) bye(call int) {
	m := l.inDialog("BYE", call, 2)
	l.state[call].byeSent = time.Now().UnixNano()
	l.uac.send(m, l.peerAddr)
	l.again(call, (*load).byeAgain)
}

// byeAgain is timer E.
func (l *load) byeAgain(call int) bool {
	if l.state[call].ended != 0 {
		return false
	}
	l.uac.send(l.inDialog("BYE", call, 2), l.peerAddr)
	return true
}

// atCaller takes a message that reached the caller at a moment.
func (l *load) atCaller(m []byte, at int64) {
	code := status(m)
	run, call, ok := readUser(header(m, "Call-ID"))
	if code <= 100 || !ok || run != l.run%10000 || call >= len(l.state) {
		return
	}
	c := &l.state[call]
	switch method := method(m); {
	case method == "BYE" && code >= 200:
		if c.ended != 0 {
			l.repeated++
			return
		}
		c.ended = at
		l.finish(call)
	case method != "INVITE":
	case code < 200:
		switch {
		case c.rang != 0:
			l.repeated++
		case c.answered != 0:
			l.reordered++ // a ring after the answer
		default:
			c.rang = at
		}
	case code >= 300:
		if c.refused == 0 {
			c.refused = code
			l.finish(call)
		}
		c.to = bytes.Clone(header(m, "To"))
		l.uac.send(l.ackRefusal(call), l.peerAddr)
	case c.answered != 0:
		l.repeated++
		l.uac.send(l.inDialog("ACK", call, 1), l.peerAddr)
	default:
		c.answered = at
		c.toPeer[0] = mediaAt(m)
		c.to, c.contact, c.routes = bytes.Clone(header(m, "To")), bytes.Clone(address(header(m, "Contact"))), routes(m)
		l.uac.send(l.inDialog("ACK", call, 1), l.peerAddr)
		if l.hold == 0 {
			l.bye(call)
		}
	}
}

// ackRefusal has the INVITE's Request-URI and branch (RFC 3261 section 17.1.1.3).
func (l *load) ackRefusal(call int) []byte {
	b := l.begin("ACK", call, nil)
	l.out = append(b, "CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"...)
	return l.out
}
