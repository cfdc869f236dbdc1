package replay

import (
	"bytes"
	"errors"
	"slices"
	"strconv"

	"github.com/portero/portero/sip/fingerprint"
)

// message is a SIP message as the lines it is made of, so that one value can be
// changed and every other byte stays.
type message struct {
	start []byte // the start line without its end
	end   []byte // the line end used: CRLF, or LF
	lines []line
	body  []byte
}

// line is one header field with its continuation lines and line end.
type line struct {
	raw        []byte
	name       int // length of the name
	from, till int // the value in raw, without blanks around it
}

// maxLines bounds the header fields of a message; no recorded one has as many.
const maxLines = 1024

var errNoMessage = errors.New("not a SIP message")

// parse takes a message apart. It takes bare line feeds and lines that are no
// header, which are kept; it fails only where there is no start line.
func parse(raw []byte) (*message, error) {
	for len(raw) > 0 && (raw[0] == '\r' || raw[0] == '\n') {
		raw = raw[1:]
	}
	i := bytes.IndexByte(raw, '\n')
	if i <= 0 {
		return nil, errNoMessage
	}
	m := &message{end: []byte("\r\n"), start: bytes.TrimSuffix(raw[:i], []byte("\r"))}
	if len(m.start) == i {
		m.end = []byte("\n")
	}
	if bytes.Count(m.start, []byte(" ")) < 2 && !bytes.HasPrefix(m.start, []byte("SIP/")) {
		return nil, errNoMessage
	}
	rest := raw[i+1:]
	for len(rest) > 0 {
		n := lineLength(rest)
		one := rest[:n]
		rest = rest[n:]
		if len(bytes.TrimRight(one, "\r\n")) == 0 {
			m.body = rest
			return m, nil
		}
		if len(m.lines) == maxLines {
			return nil, errors.New("a message has more than 1024 header fields")
		}
		if !bytes.HasSuffix(one, []byte("\n")) { // cut off; what is written must still be a message
			one = append(slices.Clone(one), m.end...)
		}
		m.lines = append(m.lines, newLine(one))
	}
	return m, nil
}

// lineLength is that of the header field at the start of b, continuations
// included (RFC 3261 section 7.3.1).
func lineLength(b []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		first := n == 0 && len(bytes.TrimRight(b[:i+1], "\r\n")) == 0
		n += i + 1
		if first || n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}

func newLine(raw []byte) line {
	l := line{raw: raw}
	colon := bytes.IndexByte(raw, ':')
	if colon < 1 {
		l.from, l.till = len(raw), len(raw)
		return l
	}
	l.name = len(bytes.TrimRight(raw[:colon], " \t"))
	l.from = colon + 1
	l.till = len(bytes.TrimRight(raw, " \t\r\n"))
	for l.from < l.till && (raw[l.from] == ' ' || raw[l.from] == '\t') {
		l.from++
	}
	l.till = max(l.from, l.till)
	return l
}

func (l line) is(name string) bool {
	return l.name > 0 && (fingerprint.Header{Name: l.raw[:l.name]}).Is(name)
}

func (l line) value() []byte { return l.raw[l.from:l.till] }

// with is the line with another value, everything around it kept.
func (l line) with(value []byte) line {
	if bytes.Equal(value, l.value()) {
		return l
	}
	raw := slices.Concat(l.raw[:l.from], value, l.raw[l.till:])
	return line{raw: raw, name: l.name, from: l.from, till: l.from + len(value)}
}

// bytes writes the message.
func (m *message) bytes() []byte {
	n := len(m.start) + 2*len(m.end) + len(m.body)
	for _, l := range m.lines {
		n += len(l.raw)
	}
	b := append(make([]byte, 0, n), m.start...)
	b = append(b, m.end...)
	for _, l := range m.lines {
		b = append(b, l.raw...)
	}
	b = append(b, m.end...)
	return append(b, m.body...)
}

func (m *message) clone() *message {
	c := *m
	c.lines = slices.Clone(m.lines)
	return &c
}

// index finds the first header of a name, -1 without one.
func (m *message) index(name string) int {
	return slices.IndexFunc(m.lines, func(l line) bool { return l.is(name) })
}

// get is the value of the first header of a name, continuation lines joined.
func (m *message) get(name string) []byte {
	if i := m.index(name); i >= 0 {
		return unfold(m.lines[i].value())
	}
	return nil
}

// all are the values of every header of a name, lists not taken apart.
func (m *message) all(name string) [][]byte {
	var out [][]byte
	for _, l := range m.lines {
		if l.is(name) {
			out = append(out, unfold(l.value()))
		}
	}
	return out
}

// edit changes the first header of a name, if there is one.
func (m *message) edit(name string, f func(value []byte) []byte) bool {
	i := m.index(name)
	if i < 0 {
		return false
	}
	m.lines[i] = m.lines[i].with(f(m.lines[i].value()))
	return true
}

// set gives the first header of a name a value, putting it at the end when
// there is none.
func (m *message) set(name string, value []byte) {
	if !m.edit(name, func([]byte) []byte { return value }) {
		m.insert(len(m.lines), name, value)
	}
}

// insert puts a new header in.
func (m *message) insert(at int, name string, value []byte) {
	m.lines = slices.Insert(m.lines, at, newLine(slices.Concat([]byte(name), []byte(": "), value, m.end)))
}

// beforeBody is the place above the headers that tell of the body.
func (m *message) beforeBody() int {
	for i, l := range m.lines {
		if l.is("Content-Type") || l.is("Content-Length") || l.is("Content-Disposition") {
			return i
		}
	}
	return len(m.lines)
}

// drop takes out every header that one of the names is of.
func (m *message) drop(names ...string) {
	m.keep(func(l line) bool {
		return !slices.ContainsFunc(names, l.is)
	})
}

// keep takes out the headers that f refuses.
func (m *message) keep(f func(line) bool) {
	m.lines = slices.DeleteFunc(slices.Clone(m.lines), func(l line) bool { return !f(l) })
}

// length makes Content-Length say how long the body is. Where there is none one
// is put in if the message has a body and force asks for it, as streams need.
func (m *message) length(force bool) {
	n := strconv.AppendInt(nil, int64(len(m.body)), 10)
	if !m.edit("Content-Length", func([]byte) []byte { return n }) && force {
		m.insert(len(m.lines), "Content-Length", n)
	}
}

// method is that of a request, "" of a response.
func (m *message) method() string {
	if m.code() > 0 {
		return ""
	}
	method, _, _ := bytes.Cut(m.start, []byte(" "))
	return string(method)
}

// code is that of a response, 0 of a request.
func (m *message) code() int {
	rest, ok := bytes.CutPrefix(m.start, []byte("SIP/2.0 "))
	if !ok || len(rest) < 3 {
		return 0
	}
	n, err := strconv.Atoi(string(rest[:3]))
	if err != nil || n < 100 || n > 699 {
		return 0
	}
	return n
}

// uri is the Request-URI.
func (m *message) uri() []byte {
	from, till := m.uriSpan()
	return m.start[from:till]
}

func (m *message) uriSpan() (from, till int) {
	from = bytes.IndexByte(m.start, ' ')
	till = bytes.LastIndexByte(m.start, ' ')
	if from < 0 || till <= from {
		return len(m.start), len(m.start)
	}
	return from + 1, till
}

func (m *message) setURI(uri []byte) {
	from, till := m.uriSpan()
	m.start = slices.Concat(m.start[:from], uri, m.start[till:])
}

// setMethod makes another request of it.
func (m *message) setMethod(method string) {
	if _, rest, ok := bytes.Cut(m.start, []byte(" ")); ok {
		m.start = slices.Concat([]byte(method), []byte(" "), rest)
	}
}

// cseq is the CSeq's number and method; number -1 when it cannot be read.
func (m *message) cseq() (number int, method string) {
	f := bytes.Fields(m.get("CSeq"))
	if len(f) != 2 {
		return -1, ""
	}
	n, err := strconv.ParseUint(string(f[0]), 10, 32)
	if err != nil {
		return -1, ""
	}
	return int(n), string(f[1])
}

// setCSeq changes the number, and the method if one is given, and leaves the
// blanks between them.
func (m *message) setCSeq(number int, method string) {
	m.edit("CSeq", func(v []byte) []byte {
		digits := 0
		for digits < len(v) && v[digits] >= '0' && v[digits] <= '9' {
			digits++
		}
		rest := v[digits:]
		word := bytes.TrimLeft(rest, " \t\r\n")
		blanks := rest[:len(rest)-len(word)]
		if method != "" {
			word = []byte(method)
		}
		return slices.Concat(strconv.AppendInt(nil, int64(number), 10), blanks, word)
	})
}

func (m *message) callID() string { return string(m.get("Call-ID")) }

func (m *message) tag(header string) string {
	v, _ := fingerprint.Param(fingerprint.ParseAddress(m.get(header)).Params, "tag")
	return string(v)
}

// branch is that of the top Via.
func (m *message) branch() string {
	from, till := paramSpan(m.get("Via"), "branch")
	return string(m.get("Via")[from:till])
}

// unfold joins continuation lines by one space.
func unfold(v []byte) []byte {
	if bytes.IndexByte(v, '\n') < 0 {
		return v
	}
	var out []byte
	for one := range bytes.Lines(v) {
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, bytes.Trim(one, " \t\r\n")...)
	}
	return out
}
