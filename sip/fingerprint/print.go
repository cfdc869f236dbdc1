package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// Print is what a request tells of its maker.
type Print struct {
	// ID is a short hash of Text: equal for calls of the same make.
	ID string `json:"id"`
	// Text is the make in readable form, the same for every call of one stack in
	// one configuration: no address, number, tag, or anything else of one call.
	Text string `json:"text"`
	// Stack is what the tokens prove: sofia-sip, freeswitch, asterisk, pjsip,
	// sipp, sipvicious, livekit, sipgo, baresip, linphone, resiprocate, ...;
	// empty if nothing is proven. It never follows from User-Agent.
	Stack string `json:"stack"`
	// UserAgent is what the caller claims, cleaned and cut to 128 bytes.
	UserAgent string `json:"user_agent"`
	// Automata is the RFC 3840 section 10.8 declaration of a machine.
	Automata bool `json:"automata,omitempty"`
	// Actor is the RFC 3840 section 10.14 declaration: principal, attendant,
	// msg-taker or information; empty if not declared.
	Actor string `json:"actor,omitempty"`

	// TextMedia says that real-time text is offered beside or in the audio (RFC 4103,
	// RFC 4351): phones with text switched on, and relay services, do so.
	TextMedia bool `json:"text_media,omitempty"`

	platform string // an agent platform by its marks, "" if none
	direct   bool   // its marks cannot have come through a gateway unchanged
	scanner  bool
	claims   string // family of stacks that UserAgent claims
}

// version begins every Text; it changes when the same message would give
// another text.
const version = "p1"

// Of takes the print of a request as received. It never fails: what is missing
// or broken is part of the print.
func Of(raw []byte) Print {
	var m message
	m.read(raw)
	var p Print
	var buf [1024]byte
	text := m.text(buf[:0])
	sum := sha256.Sum256(text)
	p.ID = hex.EncodeToString(sum[:8])
	p.Text = string(text)
	p.Stack = m.stack()
	p.UserAgent = printable(m.agent, 128)
	p.Automata, p.Actor = declared(m.contacts)
	p.platform, p.direct = m.platformName(p.Stack)
	p.TextMedia = m.sdp.typed
	p.scanner = p.Stack == "sipvicious" || scannerAgent(m.agent)
	p.claims = family(m.agent)
	return p
}

// printable gives at most n bytes of v with control and non-ASCII bytes as '?'.
func printable(v []byte, n int) string {
	if len(v) > n {
		v = v[:n]
	}
	b := append([]byte(nil), v...)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}

// text writes the make: sections of key=value, blank between.
func (m *message) text(b []byte) []byte {
	b = append(b, version+" m="...)
	b = clean(b, m.method, 12)
	b = append(b, " h="...)
	b = append(b, m.order[:m.norder]...)

	b = append(b, " w="...)
	for _, habit := range [...]struct {
		is   bool
		mark byte
	}{{m.marks.folded, 'f'}, {m.marks.gap, 'g'}, {m.marks.tight, 't'}, {m.marks.padded, 'p'}} {
		if habit.is {
			b = append(b, habit.mark)
		}
	}

	b = append(b, " via="...)
	if i := bytes.IndexByte(m.via, ';'); i >= 0 {
		b = params(b, m.via[i:], "received", "rport")
	}
	b = append(b, ":"...)
	b = m.branchShape(b)

	b = append(b, " from="...)
	b = addressShape(b, m.from)
	b = append(b, ':')
	b = tagShape(b, m.fromTag)
	b = append(b, " to="...)
	b = addressShape(b, m.to)

	b = append(b, " contact="...)
	if len(m.contacts) > 0 {
		b = addressShape(b, m.contact)
		_, user, _, _, _ := SplitURI(m.contact.URI)
		_, from, _, _, _ := SplitURI(m.from.URI)
		switch {
		case len(user) == 0:
			b = append(b, ":nobody"...)
		case bytes.Equal(user, from):
			b = append(b, ":from"...)
		case bytes.Equal(user, []byte("mod_sofia")):
			b = append(b, ":mod_sofia"...)
		default:
			b = append(b, ":other"...)
		}
	}

	b = append(b, " id="...)
	b = shape(b, m.callID)
	b = append(b, " cseq="...)
	b = append(b, m.cseqClass()...)
	b = append(b, " allow="...)
	b = clean(b, m.allow, 160)
	b = append(b, " supported="...)
	b = clean(b, m.support, 120)

	b = append(b, " sdp="...)
	if len(m.sdp.text) == 0 {
		return append(b, "none"...)
	}
	_, user, _, _, _ := SplitURI(m.from.URI)
	if len(m.sdp.origin) > 1 && bytes.Equal(m.sdp.origin, user) {
		b = append(b, "USER"...)
	} else {
		b = clean(b, m.sdp.origin, 24)
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
func (m *message) branchShape(b []byte) []byte {
	t, ok := bytes.CutPrefix(m.branch, []byte("z9hG4bK"))
	if !ok {
		b = append(b, "nocookie:"...)
		return shape(b, t)
	}
	for _, prefix := range [...]string{"Pj", "ac", "np", "-d8754z-", "-524287-", ".", "_"} {
		if rest, ok := bytes.CutPrefix(t, []byte(prefix)); ok && !sofiaToken(t) {
			b = append(b, prefix...)
			b = append(b, '~')
			t = rest
			break
		}
	}
	return shape(b, t)
}

// tagShape describes a From tag, keeping the prefixes of chan_sip, AudioCodes
// and Ribbon and the habit of SIPp.
func tagShape(b, t []byte) []byte {
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
	return shape(b, t)
}

// addressShape says how an address was written, not whose it is.
func addressShape(b []byte, a Address) []byte {
	switch {
	case a.Quoted:
		b = append(b, 'q')
	case len(a.Display) > 0:
		b = append(b, 'd')
	}
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
	b = params(b, uriParams, "user", "transport", "tgrp", "trunk-context", "rinstance", "line", "pn-prid")
	b = append(b, '>')
	return params(b, a.Params, "tag")
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
			if foldEqual(name, w) && w != "rport" {
				continue next
			}
		}
		b = append(b, ';')
		b = clean(b, name, 24)
	}
	return b
}

// cseqClass says where the first CSeq came from; a few more for requests sent
// again with credentials.
func (m *message) cseqClass() string {
	if ok, _ := sofiaCallID(m.callID, m.cseq); ok {
		return "sofia"
	}
	switch {
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
