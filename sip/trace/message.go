package trace

import (
	"bytes"
	"strconv"
	"strings"
)

// message is a view of a SIP message: the few headers that say which call it
// belongs to. It takes what a strict parser would refuse (bare line feeds,
// missing headers, rubbish in others), since the question is not whether the
// message was right but what happened.
type message struct {
	raw    []byte // from the start line to the end of the body, as captured
	method string // of a request, as written
	code   int    // of a response

	callID     string
	from, to   address
	cseq       string // its number, as written
	cseqMethod string
	branch     string // of the top Via
	flags      flags  // what headers say of how the call goes
	length     int    // Content-Length, -1 when absent or unreadable
	bodyType   string
	body       []byte
}

// address is what is needed of a From or To.
type address struct {
	user string // of the URI, as written
	host string // of the URI, without its port
	tag  string
}

// Limits on a message; RFC 3261 sets none.
const (
	maxStartLine = 8 << 10
	maxHeaders   = 512
	maxToken     = 512 // bytes kept of a Call-ID, tag or user
)

var version = []byte("SIP/2.0")

// startLine says whether b begins with the start line of a SIP message, and
// splits it. RFC 3261 section 7.
func startLine(b []byte) (method string, code int, ok bool) {
	// Cheap refusals first: every RTP packet passes here.
	if len(b) < 12 || !isToken(b[0]) {
		return "", 0, false
	}
	if bytes.EqualFold(b[:7], version) && b[7] == ' ' {
		code, ok := statusCode(b[8:])
		return "", code, ok
	}
	i := 0
	for i < len(b) && i < 32 && isToken(b[i]) {
		i++
	}
	if i == 0 || i == len(b) || b[i] != ' ' {
		return "", 0, false
	}
	line := b[:min(len(b), maxStartLine)]
	end := bytes.IndexByte(line, '\n')
	if end < 0 {
		return "", 0, false
	}
	line = bytes.TrimRight(line[:end], "\r \t")
	last := bytes.LastIndexByte(line, ' ')
	if last <= i || !isVersion(line[last+1:]) {
		return "", 0, false
	}
	if len(bytes.TrimSpace(line[i:last])) == 0 { // no Request-URI
		return "", 0, false
	}
	return string(b[:i]), 0, true
}

// isVersion takes any SIP version, so that a message of a wrong one is seen.
func isVersion(b []byte) bool {
	return len(b) >= 7 && bytes.EqualFold(b[:4], version[:4]) && b[4] >= '0' && b[4] <= '9' && b[5] == '.' && b[6] >= '0' && b[6] <= '9'
}

func statusCode(b []byte) (int, bool) {
	if len(b) < 3 {
		return 0, false
	}
	n := 0
	for _, c := range b[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if n < 100 || n > 699 || len(b) > 3 && b[3] >= '0' && b[3] <= '9' {
		return 0, false
	}
	return n, true
}

// isToken says whether c may stand in a token (RFC 3261 section 25.1).
func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("-.!%*_+`'~", c) >= 0
}

// parseMessage reads a message that begins at b[0]; line ends before it are
// passed over (RFC 3261 section 7.5). ok is false when there is no start line.
// What follows Content-Length is not of the message.
func parseMessage(b []byte) (m message, ok bool) {
	b = skipLineEnds(b)
	m.method, m.code, ok = startLine(b)
	if !ok {
		return m, false
	}
	m.length = -1
	rest := b
	if end := bytes.IndexByte(b, '\n'); end >= 0 {
		rest = b[end+1:]
	} else {
		rest = nil
	}
	for range maxHeaders {
		line, after, blank := header(rest)
		rest = after
		if blank || line == nil {
			break
		}
		m.header(line)
	}
	size := len(b) - len(rest)
	if m.length >= 0 && m.length < len(rest) {
		rest = rest[:m.length]
	}
	m.body = rest
	m.raw = b[:size+len(rest)]
	return m, true
}

// skipLineEnds drops the CRLF that keep connections alive.
func skipLineEnds(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// header cuts one header line with its continuation lines off b. line is nil
// at the end of b, blank is true at the empty line before the body.
func header(b []byte) (line, rest []byte, blank bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	if b[0] == '\n' {
		return nil, b[1:], true
	}
	if b[0] == '\r' && len(b) > 1 && b[1] == '\n' {
		return nil, b[2:], true
	}
	end := 0
	for {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			return b, nil, false
		}
		end += i + 1
		if end == len(b) || b[end] != ' ' && b[end] != '\t' {
			return b[:end], b[end:], false
		}
	}
}

// header takes one header line, if it is one of those that matter. The first
// of a name wins. RFC 3261 section 7.3.3 has the compact forms.
func (m *message) header(line []byte) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || colon > 32 {
		return
	}
	name := bytes.TrimRight(line[:colon], " \t")
	value := bytes.TrimSpace(line[colon+1:])
	switch {
	case is(name, "call-id", 'i'):
		if m.callID == "" {
			m.callID = clip(unfold(value))
		}
	case is(name, "from", 'f'):
		if m.from == (address{}) {
			m.from = parseAddress(unfold(value))
		}
	case is(name, "to", 't'):
		if m.to == (address{}) {
			m.to = parseAddress(unfold(value))
		}
	case is(name, "cseq", 0):
		if f := strings.Fields(unfold(value)); m.cseq == "" && len(f) == 2 {
			m.cseq, m.cseqMethod = clip(f[0]), clip(f[1])
		}
	case is(name, "via", 'v'):
		if m.branch == "" {
			top, _, _ := strings.Cut(unfold(value), ",")
			m.branch = clip(parameter(top, "branch"))
		}
	case is(name, "require", 0):
		m.required(value)
	case is(name, "rseq", 0):
		m.flags |= flag100rel
	case is(name, "session-expires", 'x'):
		m.flags |= flagSessionTimer
	case is(name, "replaces", 0):
		m.flags |= flagReplaces
	case is(name, "refer-to", 'r'):
		m.flags |= flagReferTo
		if bytes.Contains(bytes.ToLower(value), []byte("replaces=")) {
			m.flags |= flagReplaces
		}
	case is(name, "content-length", 'l'):
		if n, err := strconv.ParseUint(unfold(value), 10, 24); err == nil && m.length < 0 {
			m.length = int(n)
		}
	case is(name, "content-type", 'c'):
		if m.bodyType == "" {
			m.bodyType = unfold(value)
		}
	}
}

// required notes the option tags that a message demands.
func (m *message) required(value []byte) {
	for tag := range bytes.SplitSeq(value, []byte(",")) {
		switch string(bytes.ToLower(bytes.TrimSpace(tag))) {
		case "100rel":
			m.flags |= flag100rel
		case "siprec":
			m.flags |= flagSIPREC
		}
	}
}

// number is that of the CSeq, -1 when there is none.
func (m *message) number() int {
	n, err := strconv.ParseUint(m.cseq, 10, 32)
	if err != nil {
		return -1
	}
	return int(n)
}

// is compares a header's name; short is its compact form, 0 for none.
func is(name []byte, long string, short byte) bool {
	if len(name) == 1 {
		return short != 0 && name[0]|0x20 == short
	}
	return len(name) == len(long) && strings.EqualFold(string(name), long)
}

// unfold joins continuation lines by one space.
func unfold(v []byte) string {
	if bytes.IndexByte(v, '\n') < 0 {
		return string(v)
	}
	return strings.Join(strings.Fields(string(v)), " ")
}

func clip(s string) string {
	if len(s) > maxToken {
		return s[:maxToken]
	}
	return s
}

// parseAddress reads the URI's user part and the tag of a From or To, in the
// name-addr or the addr-spec form (RFC 3261 section 20).
func parseAddress(v string) address {
	uri, params := v, ""
	// A display name in quotes may hold anything, so it is passed over first.
	if strings.HasPrefix(uri, `"`) {
		for i := 1; i < len(uri); i++ {
			if uri[i] == '\\' {
				i++
			} else if uri[i] == '"' {
				uri = uri[i+1:]
				break
			}
		}
	}
	if lt := strings.IndexByte(uri, '<'); lt >= 0 {
		uri, params, _ = strings.Cut(uri[lt+1:], ">")
	} else if semi := strings.IndexByte(uri, ';'); semi >= 0 {
		// Without brackets the parameters are the header's.
		uri, params = uri[:semi], uri[semi:]
	}
	uri = strings.TrimSpace(uri)
	return address{user: clip(uriUser(uri)), host: clip(uriHost(uri)), tag: clip(parameter(params, "tag"))}
}

// uriHost returns the host of a sip or sips URI, as written; an IPv6 address
// without its brackets.
func uriHost(uri string) string {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		return ""
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	if strings.HasPrefix(rest, "[") {
		host, _, _ := strings.Cut(rest[1:], "]")
		return host
	}
	if end := strings.IndexAny(rest, ":;?>"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// uriUser returns the user part of a sip or sips URI, or the number of a tel
// URI, as written.
func uriUser(uri string) string {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return ""
	}
	switch strings.ToLower(scheme) {
	case "sip", "sips":
		user, _, ok := strings.Cut(rest, "@")
		if !ok {
			return ""
		}
		user, _, _ = strings.Cut(user, ":") // a password
		return user
	case "tel":
		number, _, _ := strings.Cut(rest, ";")
		return number
	}
	return ""
}

func parameter(params, name string) string {
	for _, p := range strings.Split(params, ";") {
		n, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// description returns the session description in the body: the whole of it, or
// the first such part of a multipart body (RFC 5621).
func (m *message) description() []byte {
	if len(m.body) == 0 {
		return nil
	}
	kind := strings.ToLower(m.bodyType)
	if strings.HasPrefix(kind, "multipart/") {
		return sdpPart(m.body)
	}
	if kind == "" || strings.HasPrefix(kind, "application/sdp") {
		if b := bytes.TrimLeft(m.body, "\r\n \t"); bytes.HasPrefix(b, []byte("v=")) {
			return b
		}
	}
	return nil
}

// sdpPart finds the part of a multipart body that begins as a session
// description does; the boundary that ends it begins with two dashes.
func sdpPart(b []byte) []byte {
	for {
		_, after, ok := bytes.Cut(b, []byte("\n\r\n"))
		if !ok {
			if _, after, ok = bytes.Cut(b, []byte("\n\n")); !ok {
				return nil
			}
		}
		if bytes.HasPrefix(after, []byte("v=0")) {
			part, _, _ := bytes.Cut(after, []byte("\n--"))
			return part
		}
		b = after
	}
}
