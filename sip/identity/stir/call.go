package stir

import (
	"net/mail"
	"strings"
	"time"

	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/identity"
)

// party is a number or URI of a request, as it may have been signed.
type party struct {
	header string   // where it stands
	tns    []string // spellings of the number; none if it is not one
	uri    string
}

// holds says whether a claim names the party.
func (p party) holds(c claim) bool {
	for _, tn := range c.TN {
		for _, own := range p.tns {
			if tn == own {
				return true
			}
		}
	}
	for _, u := range c.URI {
		if p.uri != "" && u == p.uri {
			return true
		}
	}
	return false
}

// Call is a request as far as signatures speak of it.
type Call struct {
	at      time.Time
	date    time.Time // zero: it has none that can be read
	callers []party   // who may have been signed as orig
	to      []party   // who may have been signed as dest: To, Request-URI
	headers []string  // values of the Identity headers, in order
	dropped int       // Identity headers beyond what is looked at
}

// Bounds of what is looked at. A call that was diverted twice has three.
const (
	maxHeaders = 8
	maxHeader  = 8 << 10 // bytes of one value
)

// CallOf reads a request. Numbers are compared with country put before those in
// national form. P-Asserted-Identity counts if the trunk may assert identities.
func CallOf(raw []byte, at time.Time, trusted bool, country string) Call {
	c := Call{at: at}
	read := func(header string, uri []byte) (party, bool) {
		scheme, user, host, _, _ := fingerprint.SplitURI(uri)
		p := party{header: header}
		name := identity.Unescape(user)
		p.tns = spellings(name, country)
		if strings.EqualFold(string(scheme), "sip") || strings.EqualFold(string(scheme), "sips") {
			p.uri = canonicalURI(string(scheme), name, string(host))
		}
		return p, len(p.tns) > 0 || p.uri != ""
	}
	var from, asserted, to []party
	for h := range fingerprint.Headers(raw) {
		switch {
		case h.Is("From"):
			if p, ok := read("From", fingerprint.ParseAddress(h.Value).URI); ok && len(from) == 0 {
				from = append(from, p)
			}
		case h.Is("P-Asserted-Identity") && trusted:
			for rest := h.Value; len(rest) > 0 && len(asserted) < 2; {
				a := fingerprint.ParseAddress(rest)
				if p, ok := read("P-Asserted-Identity", a.URI); ok {
					asserted = append(asserted, p)
				}
				if len(a.Rest) >= len(rest) {
					break
				}
				rest = a.Rest
			}
		case h.Is("To"):
			if p, ok := read("To", fingerprint.ParseAddress(h.Value).URI); ok && len(to) == 0 {
				to = append(to, p)
			}
		case h.Is("Date"):
			if t, err := mail.ParseDate(string(h.Value)); err == nil {
				c.date = t
			}
		case h.Is("Identity"):
			for _, v := range values(string(h.Value)) {
				if len(c.headers) == maxHeaders {
					c.dropped++
					continue
				}
				c.headers = append(c.headers, v)
			}
		}
	}
	// ATIS-1000074 section 5.2.1: the asserted identity before From.
	c.callers = append(asserted, from...)
	c.to = to
	line := string(fingerprint.StartLine(raw))
	if f := strings.Fields(line); len(f) == 3 {
		if p, ok := read("Request-URI", []byte(f[1])); ok {
			c.to = append(c.to, p)
		}
	}
	return c
}

// Signed says whether the request has an Identity header.
func (c Call) Signed() bool { return len(c.headers) > 0 }
