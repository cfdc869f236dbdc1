package trace

import (
	"bytes"
	"net/netip"
	"strings"
)

// Limits on what is kept of a call's messages.
const (
	maxMessages = 2000      // of one call
	maxRaw      = 512 << 10 // bytes of them, of one call
)

// Message is one SIP message of a call, at one hop. It is what a ladder is
// drawn from.
type Message struct {
	Frame       int            `json:"frame"` // packet of the capture that completed it, from 1
	At          Time           `json:"at"`
	Source      netip.AddrPort `json:"source"`
	Destination netip.AddrPort `json:"destination"`
	Transport   string         `json:"transport"` // udp, tcp, …
	Hop         int            `json:"hop"`       // index in the call's Hops
	Line        string         `json:"line"`      // the start line, without its end, at most 512 bytes
	Method      string         `json:"method"`    // of the transaction: a response has that of its CSeq
	Code        int            `json:"code"`      // 0: a request
	CSeq        int            `json:"cseq"`      // its number, -1 when there is none
	SDP         bool           `json:"sdp"`       // it holds a session description
	Repeat      bool           `json:"repeat"`    // sent again: the same message was seen at this hop before
	Raw         []byte         `json:"-"`         // as captured; nil once the call holds 512 KiB of them
}

// ladder keeps the messages of a call.
type ladder struct {
	messages []Message
	raw      int // bytes held
	left     int // messages not kept
}

func (l *ladder) add(m *message, v Message) {
	if len(l.messages) >= maxMessages {
		l.left++
		return
	}
	line := m.raw
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	v.Line = clip(strings.ToValidUTF8(string(bytes.TrimRight(line, "\r \t")), "\uFFFD"))
	v.Method, v.Code, v.CSeq = strings.Clone(m.method), m.code, m.number()
	if m.code > 0 {
		v.Method = strings.Clone(m.cseqMethod)
	}
	v.SDP = m.description() != nil
	if l.raw += len(m.raw); l.raw <= maxRaw {
		v.Raw = bytes.Clone(m.raw)
	}
	l.messages = append(l.messages, v)
}
