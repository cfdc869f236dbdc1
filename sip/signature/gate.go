package signature

import (
	"bytes"

	"github.com/portero/portero/sip/fingerprint"
)

// gate has the signatures with drop: true, by the one header each looks at.
type gate struct{ agents, froms, contacts []glob }

// add takes one in. It says false if the signature is no such one: a single
// condition over user_agent, from or contact, or any of such.
func (g *gate) add(when group) bool {
	if len(when) != 1 {
		return false
	}
	c := when[0]
	switch {
	case c.what == anyOf:
		for _, one := range c.groups {
			if len(one) != 1 || one[0].what != text || !g.add(one) {
				return false
			}
		}
		return true
	case c.what != text || c.field != fingerprint.UserAgent && c.field != fingerprint.From && c.field != fingerprint.Contact:
		return false
	}
	for _, pattern := range c.globs {
		if pattern.empty() {
			return false
		}
	}
	switch c.field {
	case fingerprint.UserAgent:
		g.agents = append(g.agents, c.globs...)
	case fingerprint.From:
		g.froms = append(g.froms, c.globs...)
	default:
		g.contacts = append(g.contacts, c.globs...)
	}
	return true
}

// Drops reports whether a datagram bears a signature with drop: true, cheap
// enough to ask before anything is parsed; it allocates nothing. Only the
// headers that the tool itself writes are looked at, never a body.
func (s *Set) Drops(raw []byte) bool {
	for len(raw) > 0 && (raw[0] == '\r' || raw[0] == '\n') {
		raw = raw[1:]
	}
	var buf [256]byte // long enough for what such tools write
	for {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			return false
		}
		raw = raw[end+1:]
		end = bytes.IndexByte(raw, '\n')
		line := raw
		if end >= 0 {
			line = raw[:end]
		}
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			return false
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			continue
		}
		var globs []glob
		switch name := trim(line[:colon]); len(name) {
		case 10:
			if equal(name, "user-agent") {
				globs = s.gate.agents
			}
		case 7:
			if equal(name, "contact") {
				globs = s.gate.contacts
			}
		case 4:
			if equal(name, "from") {
				globs = s.gate.froms
			}
		case 1:
			if c := low(name[0]); c == 'f' {
				globs = s.gate.froms
			} else if c == 'm' {
				globs = s.gate.contacts
			}
		}
		if len(globs) == 0 {
			continue
		}
		value := trim(line[colon+1:])
		lower := buf[:min(len(value), len(buf))]
		letters := uint64(0)
		for i := range lower {
			lower[i] = lows[value[i]]
			letters |= 1 << (lower[i] & 63)
		}
		for i := range globs {
			if globs[i].matchLow(lower, letters) {
				return true
			}
		}
	}
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
