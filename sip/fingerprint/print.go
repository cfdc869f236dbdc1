package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Print is what a message tells of its maker.
type Print struct {
	// ID is a short hash of Text in four parts, as p2_inv10s_0f60…_…_…: equal for
	// calls of the same make, and equal part by part for makes that are alike in
	// it (README.md).
	ID string `json:"id"`
	// Text is the make in readable form, the same for every call of one stack in
	// one configuration: no address, number, tag, or anything else of one call.
	Text string `json:"text"`
	// UserAgent is what the sender claims, cleaned and cut to 128 bytes.
	UserAgent string `json:"user_agent"`
	// Automata is the RFC 3840 section 10.8 declaration of a machine.
	Automata bool `json:"automata,omitempty"`
	// Actor is the RFC 3840 section 10.14 declaration: principal, attendant,
	// msg-taker or information; empty if not declared.
	Actor string `json:"actor,omitempty"`
	// TextMedia says that real-time text is offered beside or in the audio (RFC 4103,
	// RFC 4351): phones with text switched on, and relay services, do so.
	TextMedia bool `json:"text_media,omitempty"`
}

// version begins every Text and ID; it changes when the same message would give
// another text.
const version = "p2"

var cookie = []byte("z9hG4bK") // RFC 3261 section 8.1.1.7

// Of takes the print of a message as received. It never fails: what is missing
// or broken is part of the print.
func Of(raw []byte) (p Print) {
	Examine(raw, func(m *Message) { p = m.Print() })
	return p
}

// Print is that of the message.
func (m *Message) Print() Print {
	p := Print{Text: string(m.text), ID: m.id(), UserAgent: printable(m.agent, 128), TextMedia: m.sdp.typed}
	p.Automata, p.Actor = declared(m.contacts)
	return p
}

// id is the print's short form.
func (m *Message) id() string {
	var buf [64]byte
	b := append(buf[:0], version+"_"...)
	if m.status > 0 {
		b = strconv.AppendInt(b, int64(m.status), 10)
	}
	for i := range 3 {
		c := byte('_')
		if i < len(m.method) {
			c = m.method[i] | 0x20
		}
		if c < 'a' || c > 'z' {
			c = '-'
		}
		b = append(b, c)
	}
	b = append(b, byte('0'+m.nheaders/10%10), byte('0'+m.nheaders%10))
	if len(m.sdp.text) > 0 {
		b = append(b, 's')
	} else {
		b = append(b, 'n')
	}
	if m.within {
		b = append(b, 'd')
	}
	for _, part := range m.parts {
		sum := sha256.Sum256(part.of(m.text))
		b = append(b, '_')
		b = hex.AppendEncode(b, sum[:4])
	}
	return string(b)
}

// printable gives at most n bytes of v with control and non-ASCII bytes as '?'.
func printable(v []byte, n int) string {
	if len(v) > n {
		v = v[:n]
	}
	var buf [128]byte
	b := append(buf[:0], v...)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}

// write writes the make: sections of key=value, blank between.
func (m *Message) write(b []byte) []byte {
	b = append(b, version+" m="...)
	if m.status > 0 {
		b = strconv.AppendInt(b, int64(m.status), 10)
		b = append(b, ':')
	}
	b = clean(b, m.method, 12)
	if m.within {
		b = append(b, '+')
	}
	b = append(b, ' ')
	m.parts[0].from = len(b)
	if m.status > 0 {
		b = append(b, "r="...)
		b = clean(b, m.reason, 32)
		b = append(b, ' ')
	}
	b = append(b, "h="...)
	b = append(b, m.order[:m.norder]...)
	b = append(b, " w="...)
	for _, habit := range [...]struct {
		is   bool
		mark byte
	}{{m.folded, 'f'}, {m.gap, 'g'}, {m.tight, 't'}, {m.padded, 'p'}} {
		if habit.is {
			b = append(b, habit.mark)
		}
	}
	b = append(b, " allow="...)
	b = clean(b, m.allow, 160)
	b = append(b, " supported="...)
	b = clean(b, m.support, 120)
	m.parts[0].to = len(b)

	b = append(b, ' ')
	m.parts[1].from = len(b)
	if m.status > 0 {
		b = m.writeAnswerer(b)
	} else {
		b = m.writeAsker(b)
	}
	m.parts[1].to = len(b)

	b = append(b, ' ')
	m.parts[2].from = len(b)
	b = m.writeSession(b)
	m.parts[2].to = len(b)
	return b
}

// writeAsker writes the addresses and tokens of a request.
func (m *Message) writeAsker(b []byte) []byte {
	b = append(b, "via="...)
	if i := bytes.IndexByte(m.via, ';'); i >= 0 {
		b = params(b, m.via[i:], "received", "rport")
	}
	b = append(b, ':')
	m.shapes[0].from = len(b)
	b = m.branchShape(b)
	m.shapes[0].to = len(b)

	b = append(b, " from="...)
	b = addressShape(b, m.from)
	b = append(b, ':')
	m.shapes[1].from = len(b)
	b = tagShape(b, m.fromTag, m.decimal)
	m.shapes[1].to = len(b)

	b = m.writeContact(b, m.fromUser, "from")

	b = append(b, " id="...)
	m.shapes[3].from = len(b)
	b = shape(b, m.callID, m.decimal)
	m.shapes[3].to = len(b)
	b = append(b, " cseq="...)
	return append(b, m.cseqClass()...)
}

// writeAnswerer writes those of a response that are its sender's own: the rest
// is the request's (RFC 3261 section 8.2.6.2).
func (m *Message) writeAnswerer(b []byte) []byte {
	b = append(b, "tag="...)
	m.shapes[2].from = len(b)
	b = tagShape(b, m.toTag, m.decimal)
	m.shapes[2].to = len(b)
	_, user, _, _, _ := SplitURI(m.to.URI)
	return m.writeContact(b, user, "to")
}

// writeContact writes how the Contact is written, and how its user has to do
// with the sender's own.
func (m *Message) writeContact(b, own []byte, name string) []byte {
	b = append(b, " contact="...)
	if len(m.contacts) == 0 {
		return b
	}
	b = addressShape(b, m.contact)
	b = append(b, ':')
	switch {
	case len(m.contactUser) == 0:
		return append(b, "nobody"...)
	case bytes.Equal(m.contactUser, own):
		return append(b, name...)
	case bytes.Equal(m.contactUser, []byte("mod_sofia")):
		return append(b, "mod_sofia"...)
	}
	return append(b, "other"...)
}

// writeSession writes the session description.
func (m *Message) writeSession(b []byte) []byte {
	b = append(b, "sdp="...)
	if len(m.sdp.text) == 0 {
		return append(b, "none"...)
	}
	_, to, _, _, _ := SplitURI(m.to.URI)
	switch o := m.sdp.origin; {
	case len(o) > 1 && (bytes.Equal(o, m.fromUser) || bytes.Equal(o, to) || bytes.Equal(o, m.contactUser)):
		b = append(b, "USER"...)
	case len(o) > 4 && alphabet(o) == 'd':
		b = append(b, "NUMBER"...)
	default:
		b = clean(b, o, 24)
	}
	b = append(b, '/')
	b = m.sdp.versions(b)
	b = append(b, '/')
	b = clean(b, m.sdp.session, 32)
	b = append(b, '/')
	b = clean(b, m.sdp.events, 12)
	return append(b, m.sdp.text...)
}

// branchShape describes the branch after the magic cookie (RFC 3261 section
// 8.1.1.7), keeping the prefixes that stacks put there.
func (m *Message) branchShape(b []byte) []byte {
	t, ok := bytes.CutPrefix(m.branch, cookie)
	if !ok {
		b = append(b, "nocookie:"...)
		return shape(b, t, m.decimal)
	}
	for _, prefix := range [...]string{"Pj", "ac", "np", "-d8754z-", "-524287-", ".", "_"} {
		if len(t) > 0 && t[0] != prefix[0] {
			continue
		}
		if rest, ok := bytes.CutPrefix(t, []byte(prefix)); ok && !sofiaToken(t) {
			if prefix == "ac" && alphabet(rest) != 'd' && len(rest) != 8 && len(rest) != 16 {
				break // random hexadecimal digits begin so too, one token in 256
			}
			b = append(b, prefix...)
			b = append(b, '~')
			t = rest
			break
		}
	}
	return shape(b, t, m.decimal)
}

// tagShape describes a tag, keeping the prefixes of chan_sip, AudioCodes and
// Ribbon and the habit of SIPp.
func tagShape(b, t []byte, decimal bool) []byte {
	if i := bytes.Index(t, []byte("SIPpTag")); i >= 0 {
		return append(b, "SIPpTag"...)
	}
	for _, prefix := range [...]string{"as", "1c", "gK"} {
		if rest, ok := bytes.CutPrefix(t, []byte(prefix)); ok && !sofiaToken(t) && alphabet(rest) != 't' &&
			(prefix != "1c" || alphabet(rest) == 'd') {
			b = append(b, prefix...)
			b = append(b, '~')
			t = rest
			break
		}
	}
	return shape(b, t, decimal)
}

// addressShape says how an address was written, not whose it is: a display name
// comes and goes with the caller. How the To is written comes with the callee.
func addressShape(b []byte, a Address) []byte {
	if a.Angled {
		b = append(b, 'a')
	} else {
		b = append(b, 'b')
	}
	scheme, _, _, port, uriParams := SplitURI(a.URI)
	b = clean(b, scheme, 5)
	if len(port) > 0 {
		b = append(b, 'p')
	}
	b = params(b, uriParams, "user", "transport", "tgrp", "trunk-context", "rinstance", "line", "pn-prid", "conf-id")
	b = append(b, '>')
	return params(b, a.Params, "tag", "isfocus", "conf-id")
}

// params lists the names of parameters in their order; those in without depend
// on the path or are described elsewhere.
func params(b, p []byte, without ...string) []byte {
next:
	for len(p) > 0 {
		var name []byte
		name, _, p = nextParam(p)
		if len(name) == 0 {
			continue
		}
		for _, w := range without {
			if w != "rport" && foldEqual(name, w) {
				continue next
			}
		}
		b = append(b, ';')
		b = clean(b, name, 24)
	}
	return b
}

// cseqClass says where the first CSeq came from; a few more for requests sent
// again with credentials. It is "-" where the number may have grown since: inside
// dialogs, and in all but INVITEs (registrations that are refreshed, RFC 3261
// section 10.2.4, subscriptions, pings).
func (m *Message) cseqClass() string {
	switch {
	case m.within || string(m.method) != "INVITE":
		return "-"
	case m.sofiaIDs:
		return "sofia"
	case m.cseq <= 3:
		return "first"
	case m.cseq >= 20 && m.cseq <= 23:
		return "20"
	case m.cseq >= 100 && m.cseq <= 105:
		return "100"
	case m.cseq < 1<<16:
		return "16bit"
	case m.cseq < 1<<31:
		return "31bit"
	}
	return "invalid" // RFC 3261 section 8.1.1.5
}

// declared reads automata (RFC 3840 section 10.8) and actor (section 10.14)
// from the Contacts. Feature parameters stand outside the brackets; a bare
// name and "TRUE" declare, "FALSE" denies.
func declared(contacts []byte) (automata bool, actor string) {
	for len(contacts) > 0 {
		a := ParseAddress(contacts)
		if v, ok := Param(a.Params, "automata"); ok && !foldEqual(v, "false") {
			automata = true
		}
		if v, ok := Param(a.Params, "actor"); ok && actor == "" {
			for _, name := range [...]string{"principal", "attendant", "msg-taker", "information"} {
				one, _, _ := bytes.Cut(v, []byte{','})
				if foldEqual(bytes.TrimSpace(one), name) {
					actor = name
				}
			}
		}
		if len(a.Rest) >= len(contacts) {
			break
		}
		contacts = a.Rest
	}
	return automata, actor
}
