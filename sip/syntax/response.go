package syntax

import (
	"bytes"
	"hash/fnv"
	"net/netip"
	"strconv"
)

// Response makes the answer to a request that no parser could read (RFC 3261
// section 8.2.6): Via, From, To, Call-ID and CSeq as far as they are there, and
// nothing else of the request. The top Via gets what tells a client behind NAT
// where its request came from (RFC 3261 section 18.2.1, RFC 3581 section 4);
// the answer must go back to that source, never to what a Via names. False: no
// answer is possible, as the bytes are no request, an ACK, or have no Via.
//
// The same bytes get the same To tag, so a resent request is answered alike
// without a transaction (RFC 3261 section 8.2.7).
func Response(raw []byte, source netip.AddrPort, status int, reason string) ([]byte, bool) {
	raw = leading(raw)
	var c checker
	c.firstToken(raw)
	if !c.request || string(c.method) == "ACK" {
		return nil, false
	}
	out := make([]byte, 0, 512)
	out = append(out, "SIP/2.0 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(append(append(out, ' '), oneLine(reason)...), "\r\n"...)
	seen := uint32(0)
	for name, v := range fields(raw) {
		h := headerOf(name)
		switch h {
		case hVia:
			if seen&(1<<hVia) == 0 {
				v = here(v, source)
			}
		case hFrom, hTo, hCallID, hCSeq:
			if seen&(1<<h) != 0 {
				continue
			}
			if h == hTo && !bytes.Contains(bytes.ToLower(v), []byte("tag=")) {
				hash := fnv.New64a()
				_, _ = hash.Write(raw)
				v = strconv.AppendUint(append(bytes.Clone(v), ";tag=e"...), hash.Sum64(), 36)
			}
		default:
			continue
		}
		seen |= 1 << h
		out = append(append(append(append(out, names[h]...), ": "...), v...), "\r\n"...)
		if len(out) > 4<<10 {
			return nil, false // whoever sends so much of it is not after the answer
		}
	}
	if seen&(1<<hVia) == 0 {
		return nil, false
	}
	return append(out, "Content-Length: 0\r\n\r\n"...), true
}

// fields walks over the header fields of a message that may be broken: lines
// that are none, or hold bytes that have no business in a head, are left out.
func fields(raw []byte) func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		_, rest, _ := bytes.Cut(raw, []byte{'\n'})
		for len(rest) > 0 {
			var line []byte
			line, rest, _ = bytes.Cut(rest, []byte{'\n'})
			if line = bytes.TrimSuffix(line, []byte{'\r'}); len(line) == 0 {
				return
			}
			folded := false
			for len(rest) > 0 && blank(rest[0]) {
				var more []byte
				more, rest, _ = bytes.Cut(rest, []byte{'\n'})
				if !folded {
					line, folded = bytes.Clone(line), true
				}
				line = append(append(line, ' '), trim(bytes.TrimSuffix(more, []byte{'\r'}))...)
			}
			colon := bytes.IndexByte(line, ':')
			if colon < 0 || blank(line[0]) || !plain(bytes.ReplaceAll(line, []byte{'\t'}, []byte{' '})) { // a display name may have a tab
				continue
			}
			if !yield(trim(line[:colon]), trim(line[colon+1:])) {
				return
			}
		}
	}
}

// here adds received, and fills rport in, to the top value of a Via.
func here(v []byte, source netip.AddrPort) []byte {
	if !source.IsValid() {
		return v
	}
	top, rest := v, []byte(nil)
	if i := bytes.IndexByte(v, ','); i >= 0 && bytes.IndexByte(v[:i], '"') < 0 {
		top, rest = v[:i], v[i:]
	}
	var out []byte
	for i, param := range bytes.Split(top, []byte{';'}) {
		name, _, valued := bytes.Cut(trim(param), []byte{'='})
		switch {
		case i == 0:
			out = append(out, trim(param)...)
		case fold(trim(name), "received"), len(trim(param)) == 0:
		case fold(trim(name), "rport") && !valued:
			out = strconv.AppendUint(append(out, ";rport="...), uint64(source.Port()), 10)
		default:
			out = append(append(out, ';'), trim(param)...)
		}
	}
	out = append(append(out, ";received="...), source.Addr().Unmap().String()...)
	return append(out, rest...)
}

// oneLine makes sure that a reason phrase is one.
func oneLine(s string) []byte {
	b := []byte(s)
	for i := range b {
		if b[i] < 0x20 || b[i] == 0x7f {
			b[i] = ' '
		}
	}
	return b
}
