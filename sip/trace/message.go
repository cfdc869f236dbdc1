package trace

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
)

// message is a view of a SIP message: the few headers that say which call it
// belongs to. It takes what a strict parser would refuse (bare line feeds,
// missing headers, rubbish in others), since the question is not whether the
// message was right but what happened. Its strings are cut out of one: who keeps
// one of them longer than the message clones it.
type message struct {
	raw    []byte // from the start line to the end of the body, as captured
	method string // of a request, as written
	code   int    // of a response
	status string // the code as written; empty: a request

	callID     string
	from, to   address
	cseq       string // its number, as written
	cseqMethod string
	branch     string    // of the top Via
	replaces   string    // Replaces, or the one in a Refer-To's URI
	referred   string    // user of the Refer-To
	session    string    // Session-ID (RFC 7989), as written
	others     [4]string // values of headers of somebody's own, which may name another call
	othersSeen int
	flags      flags // what headers say of how the call goes
	length     int   // Content-Length, -1 when absent or unreadable
	bodyType   string
	body       []byte
}

// address is what is needed of a From or To.
// The strings are parts of the message's: clone makes them one's own.
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

// startLine says whether b begins with the start line of a SIP message. method is
// the length of a request's method, code the status code of a response. RFC 3261
// section 7.
func startLine(b []byte) (method, code int, ok bool) {
	// Cheap refusals first: every RTP packet passes here.
	if len(b) < 12 || !isToken(b[0]) {
		return 0, 0, false
	}
	if b[3] == '/' && bytes.EqualFold(b[:7], version) && b[7] == ' ' {
		code, ok := statusCode(b[8:])
		return 0, code, ok
	}
	i := 0
	for i < len(b) && i < 32 && isToken(b[i]) {
		i++
	}
	if i == 0 || i == len(b) || b[i] != ' ' {
		return 0, 0, false
	}
	line := b[:min(len(b), maxStartLine)]
	end := bytes.IndexByte(line, '\n')
	if end < 0 {
		return 0, 0, false
	}
	line = bytes.TrimRight(line[:end], "\r \t")
	last := bytes.LastIndexByte(line, ' ')
	if last <= i || !isVersion(line[last+1:]) {
		return 0, 0, false
	}
	if len(bytes.TrimSpace(line[i:last])) == 0 { // no Request-URI
		return 0, 0, false
	}
	return i, 0, true
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
func isToken(c byte) bool { return c < 128 && token[c] }

var token = func() (t [128]bool) {
	for c := byte('0'); c <= 'z'; c++ {
		t[c] = c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a'
	}
	for _, c := range []byte("-.!%*_+`'~") {
		t[c] = true
	}
	return t
}()

// parseMessage reads a message that begins at b[0]; line ends before it are
// passed over (RFC 3261 section 7.5). ok is false when there is no start line.
// What follows Content-Length is not of the message.
func parseMessage(b []byte) (m message, ok bool) {
	b = skipLineEnds(b)
	method, code, ok := startLine(b)
	if !ok {
		return m, false
	}
	text := string(b)
	if m.length, m.code = -1, code; code > 0 {
		m.status = text[8:11]
	} else {
		m.method = text[:method]
	}
	_, rest, _ := strings.Cut(text, "\n")
	for range maxHeaders {
		if rest == "" {
			break
		}
		var line string
		if line, rest = header(rest); line == "" {
			break
		}
		m.header(line)
	}
	m.body = b[len(b)-len(rest):]
	if m.length >= 0 && m.length < len(m.body) {
		m.body = m.body[:m.length]
	}
	m.raw = b[:len(b)-len(rest)+len(m.body)]
	return m, true
}

// skipLineEnds drops the CRLF that keep connections alive.
func skipLineEnds(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

// header cuts one header line with its continuation lines off text; it is empty
// at the empty line before the body.
func header(text string) (line, rest string) {
	if text[0] == '\n' {
		return "", text[1:]
	}
	if text[0] == '\r' && len(text) > 1 && text[1] == '\n' {
		return "", text[2:]
	}
	end := 0
	for {
		i := strings.IndexByte(text[end:], '\n')
		if i < 0 {
			return text, ""
		}
		end += i + 1
		if end == len(text) || text[end] != ' ' && text[end] != '\t' {
			return text[:end], text[end:]
		}
	}
}

// header takes one header line, if it is one of those that matter. The first
// of a name wins. RFC 3261 section 7.3.3 has the compact forms.
func (m *message) header(line string) {
	colon := strings.IndexByte(line, ':')
	if colon < 1 || colon > 32 {
		return
	}
	var lower [32]byte
	n := 0
	for ; n < colon && line[n] > ' '; n++ {
		c := line[n]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[n] = c
	}
	for _, c := range []byte(line[n:colon]) {
		if c != ' ' && c != '\t' {
			return
		}
	}
	value := line[colon+1:]
	switch string(lower[:n]) {
	case "via", "v":
		if m.branch == "" {
			top, _, _ := strings.Cut(unfold(value), ",")
			m.branch = clip(parameter(top, "branch"))
		}
	case "from", "f":
		if m.from == (address{}) {
			m.from = parseAddress(unfold(value))
		}
	case "to", "t":
		if m.to == (address{}) {
			m.to = parseAddress(unfold(value))
		}
	case "call-id", "i":
		if m.callID == "" {
			m.callID = clip(unfold(value))
		}
	case "cseq":
		v := unfold(value)
		if i := strings.IndexAny(v, " \t"); i > 0 && m.cseq == "" {
			if method := strings.TrimSpace(v[i:]); !strings.ContainsAny(method, " \t") {
				m.cseq, m.cseqMethod = clip(v[:i]), clip(method)
			}
		}
	case "content-length", "l":
		if n, err := strconv.ParseUint(unfold(value), 10, 24); err == nil && m.length < 0 {
			m.length = int(n)
		}
	case "content-type", "c":
		if m.bodyType == "" {
			m.bodyType = unfold(value)
		}
	case "require":
		m.required(value)
	case "rseq":
		m.flags |= flag100rel
	case "session-expires", "x":
		m.flags |= flagSessionTimer
	case "replaces":
		m.flags |= flagReplaces
		m.replaces = clip(unfold(value))
	case "refer-to", "r":
		m.flags |= flagReferTo
		m.referTo(unfold(value))
	case "session-id":
		if m.session == "" {
			m.session = clip(unfold(value))
		}
	default:
		if lower[1] == '-' && (lower[0] == 'x' || lower[0] == 'p') && m.othersSeen < len(m.others) && len(value) > 5 {
			m.others[m.othersSeen] = clip(unfold(value))
			m.othersSeen++
		}
	}
}

// referTo reads where a REFER wants a call to go, and whom that is to replace
// (RFC 3891 section 3: in the URI's headers, escaped).
func (m *message) referTo(v string) {
	m.referred = parseAddress(v).user
	i := strings.Index(strings.ToLower(v), "replaces=")
	if i < 0 {
		return
	}
	m.flags |= flagReplaces
	escaped, _, _ := strings.Cut(strings.TrimRight(v[i+len("replaces="):], ">"), "&")
	if s, err := url.QueryUnescape(escaped); err == nil {
		m.replaces = clip(s)
	}
}

// required notes the option tags that a message demands.
func (m *message) required(value string) {
	for tag := range strings.SplitSeq(value, ",") {
		switch strings.ToLower(strings.TrimSpace(tag)) {
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

// unfold joins continuation lines by one space, and trims.
func unfold(v string) string {
	v = strings.TrimSpace(v)
	if strings.IndexByte(v, '\n') < 0 {
		return v
	}
	return strings.Join(strings.Fields(v), " ")
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

func (a address) clone() address {
	return address{user: strings.Clone(a.user), host: strings.Clone(a.host), tag: strings.Clone(a.tag)}
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
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		n, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// description returns the session description in the body: the whole of it, or
// the first such part of a multipart body (RFC 5621).
func (m *message) description() []byte {
	if len(m.body) == 0 {
		return nil
	}
	if hasPrefixFold(m.bodyType, "multipart/") {
		return sdpPart(m.body)
	}
	if m.bodyType == "" || hasPrefixFold(m.bodyType, "application/sdp") {
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
