package fingerprint

import (
	"bytes"
	"strconv"
)

// message is a request taken apart as far as its print needs.
type message struct {
	method   []byte
	via      []byte // the last Via: the sender's own, whatever proxies put above it
	branch   []byte // its branch
	from     Address
	fromTag  []byte
	to       Address
	contact  Address
	contacts []byte // the whole Contact
	callID   []byte
	cseq     uint64
	agent    []byte
	allow    []byte
	support  []byte
	subject  []byte
	sdp      sdp
	marks    marks

	order  [512]byte // names of the headers as spelled, commas between
	norder int
	lines  [512]byte // order of the SDP's lines
}

// marks are the headers that name a platform.
type marks struct {
	twilio, telnyx, connect, chime, jambonz bool
	folded, gap, tight, padded              bool // habits of spelling
}

// skip has headers that come and go with the path or the errand of a call, not
// with the stack that makes it.
func skip(h Header) bool {
	for _, name := range [...]string{
		"Record-Route", "Route", "Authorization", "Proxy-Authorization", "Diversion", "History-Info",
		"Privacy", "P-Asserted-Identity", "Identity", "User-to-User", "Reason", "Referred-By", "Replaces",
		"P-Charging-Vector", "P-Charge-Info", "Resource-Priority", "Priority", "X-Portero-Raw",
	} {
		if h.Is(name) {
			return true
		}
	}
	return false
}

// read fills m from raw. Everything in m points into raw.
func (m *message) read(raw []byte) {
	m.method, _, _ = bytes.Cut(StartLine(raw), []byte{' '})
	for h := range Headers(raw) {
		m.marks.folded = m.marks.folded || h.Folded
		m.marks.gap = m.marks.gap || h.Gap
		m.marks.tight = m.marks.tight || h.Blanks == 0 && len(h.Value) > 0
		seenVia := m.via != nil
		m.header(h)
		if !skip(h) && !(seenVia && h.Is("Via")) {
			m.note(h.Name)
		}
	}
	if body := Body(raw); len(body) > 0 {
		m.sdp = parseSDP(body, m.lines[:0])
	}
}

func (m *message) header(h Header) {
	switch {
	case h.Is("Via"):
		m.via = h.Value
		// A list in one line: the last is the sender's.
		for {
			i := unquoted(m.via, ',')
			if i == len(m.via) {
				break
			}
			m.via = bytes.TrimLeft(m.via[i+1:], " \t")
		}
		if m.via == nil {
			m.via = []byte{}
		}
		if i := bytes.IndexByte(m.via, ';'); i >= 0 {
			m.branch, _ = Param(m.via[i:], "branch")
		}
	case h.Is("From"):
		m.from = ParseAddress(h.Value)
		m.fromTag, _ = Param(m.from.Params, "tag")
	case h.Is("To"):
		m.to = ParseAddress(h.Value)
	case h.Is("Contact"):
		m.contacts = h.Value
		m.contact = ParseAddress(h.Value)
	case h.Is("Call-ID"):
		m.callID = h.Value
	case h.Is("CSeq"):
		number, _, _ := bytes.Cut(h.Value, []byte{' '})
		m.cseq, _ = strconv.ParseUint(string(number), 10, 64)
	case h.Is("User-Agent"):
		m.agent = h.Value
	case h.Is("Allow"):
		m.allow = h.Value
	case h.Is("Supported"):
		m.support = h.Value
	case h.Is("Subject"):
		m.subject = h.Value
	case h.Is("Content-Length"):
		// SIPp and pjsip leave room to fill the length in later.
		m.marks.padded = h.Blanks > 1
	case len(h.Name) > 2 && h.Name[1] == '-' && h.Name[0]|0x20 == 'x':
		m.platform(h)
	}
}

// platform notes the headers by which a platform gives itself away.
func (m *message) platform(h Header) {
	switch {
	case h.Is("X-Twilio-CallSid"), h.Is("X-Twilio-AccountSid"):
		m.marks.twilio = true
	case h.Is("X-call_leg_id"), h.Is("X-call_session_id"):
		m.marks.telnyx = true
	case h.Is("X-Amzn-ConnectContactId"), h.Is("X-Amzn-ConnectInitialContactId"):
		m.marks.connect = true
	case h.Is("X-VoiceConnector-ID"), h.Is("X-SMA-Max-Forwards"):
		m.marks.chime = true
	case h.Is("X-Application-Sid"):
		m.marks.jambonz = true
	}
}

// note adds a header's name to the order, as spelled.
func (m *message) note(name []byte) {
	if m.norder+len(name)+1 > len(m.order) {
		return
	}
	b := m.order[:m.norder]
	if m.norder > 0 {
		b = append(b, ',')
	}
	m.norder = len(clean(b, name, 32))
}
