package fingerprint

import (
	"bytes"
	"strconv"
	"sync"
)

// Message is a SIP message taken apart as far as its print, and the signatures
// that it may bear, need. It points into the bytes that it was read from, and
// into itself: it is used by pointer, and not after those bytes change.
type Message struct {
	method []byte // of a response, the method in its CSeq
	status int    // 0 of a request
	reason []byte // of a response
	within bool   // a request with a tag in its To: inside a dialog

	via       []byte // the last Via: the sender's own, whatever proxies put above it
	viaHost   []byte // its sent-by
	branch    []byte // its branch
	from      Address
	fromRaw   []byte
	fromTag   []byte
	to        Address
	toTag     []byte
	contact   Address
	contacts  []byte // the whole Contact
	callID    []byte
	cseq      uint64
	agent     []byte // User-Agent, of a response Server
	allow     []byte
	support   []byte
	subject   []byte
	diversion []byte
	sdp       sdp

	fromUser, fromHost, contactUser, contactHost []byte

	sofiaIDs, sofiaTokens, decimalIDs bool
	decimal                           bool // the maker writes decimal tokens

	folded, gap, tight, padded bool // habits of spelling

	order      [512]byte // names of the headers as spelled, commas between
	norder     int
	nheaders   int
	last       []byte     // name of the header that was noted last
	lines      [512]byte  // order of the SDP's lines
	extensions [16][]byte // names of the X- headers
	nextension int

	low     [128]byte // the agent in lower case, for who looks for words
	nlow    int
	letters uint64 // of low, as Letters makes them
	buf     [1280]byte
	text    []byte
	parts   [3]span // of text, hashed one by one
	shapes  [4]span // of branch, From tag, To tag and Call-ID
	have    uint64  // a bit for each Field that is not empty
}

type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// messages are kept: each has room for a print of its own.
var messages = sync.Pool{New: func() any { return new(Message) }}

// Examine reads a message and hands it to see; nothing of it may be kept after
// see returns. It allocates nothing.
func Examine(raw []byte, see func(*Message)) {
	m := messages.Get().(*Message)
	m.Read(raw)
	see(m)
	*m = Message{} // raw is not kept
	messages.Put(m)
}

// Read takes raw apart. It never fails: what is missing or broken is part of
// the print.
func (m *Message) Read(raw []byte) {
	m.startLine(StartLine(raw))
	for h := range Headers(raw) {
		m.folded = m.folded || h.Folded
		m.gap = m.gap || h.Gap
		m.tight = m.tight || h.Blanks == 0 && len(h.Value) > 0
		kind := kindOf(h.Name)
		again := kind == viaHeader && m.via != nil
		m.header(kind, h)
		if kind != pathHeader && kind != diversionHeader && !again {
			m.note(h.Name)
		}
	}
	m.within = m.status == 0 && len(m.toTag) > 0
	m.disown()
	if body := Body(raw); len(body) > 0 {
		m.sdp = parseSDP(body, m.lines[:0], m.status == 0)
	}
	_, m.fromUser, m.fromHost, _, _ = SplitURI(m.from.URI)
	_, m.contactUser, m.contactHost, _, _ = SplitURI(m.contact.URI)
	branch, _ := bytes.CutPrefix(m.branch, cookie)
	m.sofiaTokens = sofiaToken(branch) && sofiaToken(m.fromTag)
	m.sofiaIDs, _ = sofiaCallID(m.callID, m.cseq)
	m.decimalIDs = len(branch) > 0 && alphabet(branch) == 'd' && len(m.fromTag) > 0 && alphabet(m.fromTag) == 'd'
	local, _, _ := bytes.Cut(m.callID, []byte{'@'})
	m.decimal = longDecimal(branch) || longDecimal(m.fromTag) || longDecimal(local)
	m.nlow = min(len(m.agent), len(m.low))
	for i, c := range m.agent[:m.nlow] {
		m.low[i] = lower(c)
		m.letters |= 1 << (m.low[i] & 63)
	}
	m.text = m.write(m.buf[:0])
	m.have = m.present()
}

// disown forgets what is not the sender's own: a response repeats the request's
// Via, From, Call-ID and CSeq (RFC 3261 section 8.2.6.2), and inside a dialog the
// Call-ID may be the other side's.
func (m *Message) disown() {
	if m.within || m.status > 0 {
		m.callID = nil
	}
	if m.status > 0 {
		m.via, m.viaHost, m.branch, m.cseq = nil, nil, nil, 0
		m.from, m.fromRaw, m.fromTag, m.diversion = Address{}, nil, nil, nil
	}
}

// startLine reads a request line or a status line (RFC 3261 section 7).
func (m *Message) startLine(line []byte) {
	first, rest, _ := bytes.Cut(line, []byte{' '})
	if len(first) > 4 && foldEqual(first[:4], "SIP/") {
		code, reason, _ := bytes.Cut(rest, []byte{' '})
		if n, err := strconv.ParseUint(string(code), 10, 16); err == nil && n >= 100 && n < 700 {
			m.status, m.reason = int(n), reason
			return
		}
	}
	m.method = first
}

func (m *Message) header(kind headerKind, h Header) {
	switch kind {
	case viaHeader:
		m.via = h.Value
		// A list in one line: the last is the sender's.
		for {
			i := unquoted(m.via, ',')
			if i == len(m.via) {
				break
			}
			m.via = trimLeft(m.via[i+1:])
		}
		if m.via == nil {
			m.via = []byte{}
		}
		sentBy := m.via
		if i := bytes.IndexByte(m.via, ';'); i >= 0 {
			m.branch, _ = Param(m.via[i:], "branch")
			sentBy = m.via[:i]
		}
		sentBy = trimRight(sentBy)
		m.viaHost = sentBy[bytes.LastIndexByte(sentBy, ' ')+1:]
	case fromHeader:
		m.fromRaw = h.Value
		m.from = ParseAddress(h.Value)
		m.fromTag, _ = Param(m.from.Params, "tag")
	case toHeader:
		m.to = ParseAddress(h.Value)
		m.toTag, _ = Param(m.to.Params, "tag")
	case contactHeader:
		m.contacts = h.Value
		m.contact = ParseAddress(h.Value)
	case callIDHeader:
		m.callID = h.Value
	case cseqHeader:
		number, method, _ := bytes.Cut(h.Value, []byte{' '})
		m.cseq, _ = strconv.ParseUint(string(number), 10, 64)
		if m.status > 0 {
			m.method = bytes.TrimSpace(method)
		}
	case agentHeader:
		m.agent = h.Value
	case allowHeader:
		m.allow = h.Value
	case supportedHeader:
		m.support = h.Value
	case subjectHeader:
		m.subject = h.Value
	case diversionHeader:
		m.diversion = h.Value
	case lengthHeader:
		// SIPp and pjsip leave room to fill the length in later.
		m.padded = h.Blanks > 1
	case extensionHeader:
		if m.nextension < len(m.extensions) {
			m.extensions[m.nextension] = h.Name
			m.nextension++
		}
	}
}

// note adds a header's name to the order, as spelled; one that stands several
// times in a row, once.
func (m *Message) note(name []byte) {
	if bytes.Equal(name, m.last) {
		return
	}
	m.last = name
	m.nheaders++
	if m.norder+len(name)+1 > len(m.order) {
		return
	}
	b := m.order[:m.norder]
	if m.norder > 0 {
		b = append(b, ',')
	}
	m.norder = len(clean(b, name, 32))
}
