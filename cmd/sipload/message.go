//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
)

// The messages are as small as a call's can be, and read with as little effort:
// the tool shares the machine with what it measures.

const sdpFormat = "v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 0 8 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"

func description(at netip.AddrPort, port int) []byte {
	return fmt.Appendf(nil, sdpFormat, at.Addr(), port)
}

// A call is known to both ends by its number alone, since a B2BUA keeps little
// else: the dialled user is 9, the run and the call's index.
const userDigits = 1 + 4 + 6

func appendUser(b []byte, run, call int) []byte {
	return fmt.Appendf(b, "9%04d%06d", run%10000, call)
}

// readUser finds a call's number at the beginning of b.
func readUser(b []byte) (run, call int, ok bool) {
	if len(b) < userDigits || b[0] != '9' {
		return 0, 0, false
	}
	run, err := strconv.Atoi(string(b[1:5]))
	if err != nil {
		return 0, 0, false
	}
	call, err = strconv.Atoi(string(b[5:userDigits]))
	return run, call, err == nil
}

// lines calls f with the value of each header line of that name. Names are
// written out: no peer here uses the compact form.
func lines(m []byte, name string, f func(value []byte)) {
	for {
		_, rest, ok := bytes.Cut(m, crlf)
		if !ok || len(rest) == 0 || rest[0] == '\r' {
			return
		}
		m = rest
		if len(m) > len(name) && m[len(name)] == ':' && bytes.EqualFold(m[:len(name)], []byte(name)) {
			line, _, _ := bytes.Cut(m[len(name)+1:], crlf)
			f(bytes.TrimSpace(line))
		}
	}
}

var crlf = []byte("\r\n")

// header is the first header of that name; nil when there is none.
func header(m []byte, name string) (value []byte) {
	lines(m, name, func(v []byte) {
		if value == nil {
			value = v
		}
	})
	return value
}

// copyHeaders appends all header lines of these names to b, in their order.
func copyHeaders(b, m []byte, names ...string) []byte {
	for _, name := range names {
		lines(m, name, func(v []byte) {
			b = append(append(append(append(b, name...), ": "...), v...), crlf...)
		})
	}
	return b
}

// address is the URI between angle brackets.
func address(v []byte) []byte {
	_, v, _ = bytes.Cut(v, []byte("<"))
	v, _, _ = bytes.Cut(v, []byte(">"))
	return v
}

// routes turns a response's Record-Route around into Route lines (RFC 3261
// section 12.1.2).
func routes(m []byte) []byte {
	var set [][]byte
	lines(m, "Record-Route", func(v []byte) {
		for len(v) > 0 {
			end := bytes.IndexByte(v, '>')
			if end < 0 {
				return
			}
			uri := bytes.TrimLeft(v[:end+1], ", ")
			set = append(set, uri)
			if v = v[end+1:]; len(v) > 0 { // parameters of the header
				_, v, _ = bytes.Cut(v, []byte(","))
			}
		}
	})
	var b []byte
	for i := len(set) - 1; i >= 0; i-- {
		b = append(append(append(b, "Route: "...), set[i]...), crlf...)
	}
	return b
}

// status is a response's code; 0 for a request.
func status(m []byte) int {
	if !bytes.HasPrefix(m, []byte("SIP/2.0 ")) || len(m) < 11 {
		return 0
	}
	n, _ := strconv.Atoi(string(m[8:11]))
	return n
}

// method is a request's method, or that of a response's request.
func method(m []byte) string {
	if status(m) == 0 {
		name, _, _ := bytes.Cut(m, []byte(" "))
		return string(name)
	}
	_, name, _ := bytes.Cut(header(m, "CSeq"), []byte(" "))
	return string(bytes.TrimSpace(name))
}
