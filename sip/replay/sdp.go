package replay

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// description finds the session description in a body: the whole of it, or
// that part of a multipart body. nil when there is none.
func description(body []byte) []byte {
	from, till := descriptionSpan(body)
	if from == till {
		return nil
	}
	return body[from:till]
}

// descriptionSpan is from a line "v=..." to the end, or to a line that begins
// with two dashes, as the boundary of a multipart body does (RFC 2046 section
// 5.1.1).
func descriptionSpan(body []byte) (from, till int) {
	from = -1
	at := 0
	for one := range bytes.Lines(body) {
		switch {
		case from < 0 && bytes.HasPrefix(one, []byte("v=")):
			from = at
		case from >= 0 && bytes.HasPrefix(one, []byte("--")):
			return from, at
		}
		at += len(one)
	}
	if from < 0 {
		return 0, 0
	}
	return from, at
}

// mediaPlace is where the media of one replayed call is: the address, and a
// port for each section of the descriptions, 0 for one that has none.
type mediaPlace struct {
	addr netip.Addr
	port func(section int) uint16
}

// describe puts our addresses and ports into a session description. Addresses
// that mean no place (0.0.0.0) and ports that mean none (0, and 9 of RFC 8840)
// stay, as does every other byte.
func (p mediaPlace) describe(body []byte, recorded netip.Addr) []byte {
	from, till := descriptionSpan(body)
	if from == till {
		return body
	}
	out := slices.Clone(body[:from])
	section := -1
	was := sectionPlaces(body[from:till])
	for one := range bytes.Lines(body[from:till]) {
		text := bytes.TrimRight(one, "\r\n")
		end := one[len(text):]
		if bytes.HasPrefix(text, []byte("m=")) {
			section++
		}
		out = append(out, p.line(text, section, was, recorded)...)
		out = append(out, end...)
	}
	return append(out, body[till:]...)
}

// line rewrites one line.
func (p mediaPlace) line(text []byte, section int, was []place, recorded netip.Addr) []byte {
	switch {
	case bytes.HasPrefix(text, []byte("o=")):
		return p.connection(text, 5, func(a netip.Addr) bool {
			return a.IsUnspecified() || a.IsLoopback() && !recorded.IsLoopback()
		})
	case bytes.HasPrefix(text, []byte("c=")):
		return p.connection(text, 2, netip.Addr.IsUnspecified)
	case bytes.HasPrefix(text, []byte("m=")):
		from, till := field(text, 1)
		number, count, counted := bytes.Cut(text[from:till], []byte("/"))
		port := p.port(section)
		if n, err := strconv.ParseUint(string(number), 10, 16); err != nil || n == 0 || n == 9 || port == 0 {
			return text
		}
		now := strconv.AppendUint(nil, uint64(port), 10)
		if counted {
			now = append(append(now, '/'), count...)
		}
		return splice(text, from, till, now)
	case bytes.HasPrefix(text, []byte("a=rtcp:")) && section >= 0 && p.port(section) > 0: // RFC 3605
		from, till := 7, 7
		for till < len(text) && text[till] >= '0' && text[till] <= '9' {
			till++
		}
		port := p.port(section) + 1
		if section < len(was) && string(text[from:till]) == strconv.Itoa(int(was[section].port)) {
			port-- // on the same port (RFC 5761)
		}
		text = splice(text, from, till, strconv.AppendUint(nil, uint64(port), 10))
		return p.connection(text, 3, netip.Addr.IsUnspecified)
	case bytes.HasPrefix(text, []byte("a=candidate:")) && section >= 0 && section < len(was) && p.port(section) > 0: // RFC 8839
		a, b := field(text, 4)
		c, d := field(text, 5)
		if b == 0 || d == 0 || string(text[c:d]) != strconv.Itoa(int(was[section].port)) {
			return text
		}
		if ip, ok := address(text[a:b]); !ok || ip != was[section].addr {
			return text
		}
		text = splice(text, c, d, strconv.AppendUint(nil, uint64(p.port(section)), 10))
		return splice(text, a, b, []byte(p.addr.String()))
	}
	return text
}

// connection replaces the address in field n of a line, and the IP4 or IP6
// before it, unless stays says that it means no place of the caller's.
func (p mediaPlace) connection(text []byte, n int, stays func(netip.Addr) bool) []byte {
	from, till := field(text, n)
	if till == 0 {
		return text
	}
	host, ttl, hasTTL := bytes.Cut(text[from:till], []byte("/"))
	a, ok := address(host)
	if ok && (stays(a) || a.IsMulticast()) {
		return text
	}
	if !ok && n == 5 {
		return text // a name in o= only tells machines apart (RFC 8866 section 5.2)
	}
	now := []byte(p.addr.String())
	if hasTTL && p.addr.Is4() {
		now = append(append(now, '/'), ttl...)
	}
	text = splice(text, from, till, now)
	from, till = field(text, n-1)
	if kind := string(text[from:till]); strings.EqualFold(kind, "IP4") || strings.EqualFold(kind, "IP6") {
		family := "IP4"
		if p.addr.Is6() {
			family = "IP6"
		}
		if !strings.EqualFold(kind, family) {
			text = splice(text, from, till, []byte(family))
		}
	}
	return text
}

// field finds the n-th word of a line, counted from 0; 0, 0 when there are fewer.
func field(text []byte, n int) (from, till int) {
	at := 0
	for {
		for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
			at++
		}
		if at == len(text) {
			return 0, 0
		}
		from = at
		for at < len(text) && text[at] != ' ' && text[at] != '\t' {
			at++
		}
		if n == 0 {
			return from, at
		}
		n--
	}
}

// place is where a section of a recorded description had its media.
type place struct {
	addr netip.Addr
	port uint16
}

func sectionPlaces(text []byte) []place {
	var session netip.Addr
	var out []place
	for one := range bytes.Lines(text) {
		one = bytes.TrimRight(one, "\r\n")
		switch {
		case bytes.HasPrefix(one, []byte("m=")):
			from, till := field(one, 1)
			number, _, _ := bytes.Cut(one[from:till], []byte("/"))
			port, _ := strconv.ParseUint(string(number), 10, 16)
			out = append(out, place{session, uint16(port)})
		case bytes.HasPrefix(one, []byte("c=")):
			from, till := field(one, 2)
			host, _, _ := bytes.Cut(one[from:till], []byte("/"))
			a, _ := address(host)
			if len(out) == 0 {
				session = a
			} else {
				out[len(out)-1].addr = a
			}
		}
	}
	return out
}
