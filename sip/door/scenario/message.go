package scenario

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A message is a SIP message as text: a start line, headers in order, a body
// (RFC 3261 section 7).
type message struct {
	start   string
	headers []header
	body    string
	number  int // of those an agent received
}

type header struct{ name, value string }

// compact maps the compact header names of RFC 3261 section 7.3.3 and of its
// extensions.
var compact = map[string]string{
	"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type",
	"k": "supported", "s": "subject", "e": "content-encoding", "x": "session-expires", "r": "refer-to",
	"b": "referred-by", "o": "event", "u": "allow-events", "y": "identity",
}

// same says whether two header names are one.
func same(a, b string) bool { return canonical(a) == canonical(b) }

func canonical(name string) string {
	name = strings.ToLower(name)
	if long, ok := compact[name]; ok {
		return long
	}
	return name
}

// parse reads a datagram. Its error names the rule of RFC 3261 section 7 that
// it breaks.
func parse(data []byte) (*message, error) {
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		return nil, fmt.Errorf("no empty line ends the headers")
	}
	lines := strings.Split(string(head), "\r\n")
	m := &message{start: lines[0], body: string(body)}
	for _, l := range lines[1:] {
		if l != "" && (l[0] == ' ' || l[0] == '\t') && len(m.headers) > 0 { // folded, section 7.3.1
			m.headers[len(m.headers)-1].value += " " + strings.TrimSpace(l)
			continue
		}
		name, value, ok := strings.Cut(l, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("%q is no header line", l)
		}
		m.headers = append(m.headers, header{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	if m.code() == 0 && !strings.HasSuffix(m.start, " SIP/2.0") {
		return nil, fmt.Errorf("%q is no SIP start line", m.start)
	}
	return m, nil
}

// bytes is the message on the wire, its Content-Length as it is unless the
// script set one.
func (m *message) bytes() []byte {
	var b bytes.Buffer
	b.WriteString(m.start + "\r\n")
	for _, h := range m.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.name, h.value)
	}
	if m.get("Content-Length") == "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(m.body))
	}
	b.WriteString("\r\n" + m.body)
	return b.Bytes()
}

// code is the status of a response, 0 for a request.
func (m *message) code() int {
	rest, ok := strings.CutPrefix(m.start, "SIP/2.0 ")
	if !ok || len(rest) < 3 {
		return 0
	}
	n, err := strconv.Atoi(rest[:3])
	if err != nil {
		return 0
	}
	return n
}

// method is a request's own, or that of the request a response is for.
func (m *message) method() string {
	if m.code() == 0 {
		method, _, _ := strings.Cut(m.start, " ")
		return method
	}
	_, method, _ := strings.Cut(m.get("CSeq"), " ")
	return strings.TrimSpace(method)
}

// uri is the Request-URI.
func (m *message) uri() string {
	f := strings.Fields(m.start)
	if m.code() != 0 || len(f) != 3 {
		return ""
	}
	return f[1]
}

// seq is the number in CSeq.
func (m *message) seq() int {
	number, _, _ := strings.Cut(m.get("CSeq"), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return n
}

// get is the first header of a name, "" without one.
func (m *message) get(name string) string {
	for _, h := range m.headers {
		if same(h.name, name) {
			return h.value
		}
	}
	return ""
}

// all are the values of all headers of a name, in order; lists that one line
// may hold are taken apart.
func (m *message) all(name string) (values []string) {
	for _, h := range m.headers {
		if !same(h.name, name) {
			continue
		}
		switch canonical(name) {
		case "via", "route", "record-route", "contact":
			values = append(values, list(h.value)...)
		default:
			values = append(values, h.value)
		}
	}
	return values
}

func (m *message) has(name string) bool {
	for _, h := range m.headers {
		if same(h.name, name) {
			return true
		}
	}
	return false
}

func (m *message) add(name, value string) {
	m.headers = append(m.headers, header{name, value})
}

// replace puts the values in the place of the first header of the name, or at
// the end.
func (m *message) replace(name string, values ...string) {
	var out []header
	put := func() {
		for _, v := range values {
			out = append(out, header{name, v})
		}
		values = nil
	}
	for _, h := range m.headers {
		if !same(h.name, name) {
			out = append(out, h)
			continue
		}
		put()
	}
	put()
	m.headers = out
}

// list splits a comma list outside of quotes and angle brackets.
func list(s string) (items []string) {
	depth, quoted, from := 0, false, 0
	for i, c := range s {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			depth++
		case c == '>':
			depth--
		case c == ',' && depth == 0:
			items = append(items, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(items, strings.TrimSpace(s[from:]))
}

// address is the URI of a name-addr or addr-spec (RFC 3261 section 20.10).
func address(v string) string {
	if _, rest, ok := strings.Cut(v, "<"); ok {
		uri, _, _ := strings.Cut(rest, ">")
		return uri
	}
	uri, _, _ := strings.Cut(v, ";")
	return strings.TrimSpace(uri)
}

// parameter is a header parameter's value, "" without one.
func parameter(v, name string) string {
	if i := strings.LastIndexByte(v, '>'); i >= 0 {
		v = v[i+1:]
	}
	for _, p := range strings.Split(v, ";")[1:] {
		k, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(k, name) {
			return value
		}
	}
	return ""
}

// untagged is a From or To value without its tag.
func untagged(v string) string {
	i := strings.Index(v, ";tag=")
	if i < 0 {
		return v
	}
	end := strings.IndexByte(v[i+1:], ';')
	if end < 0 {
		return v[:i]
	}
	return v[:i] + v[i+1+end:]
}
