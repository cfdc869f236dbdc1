package signature

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// anonymous rewrites a message so that it can be shown: users, hosts, names and
// addresses become examples, the same one each time; headers that a print leaves
// out, and keys, are taken out. Tokens stay, since their shape is the make's, and
// so do the headers' names, order, spelling and spacing.
func anonymous(message []byte) []byte {
	a := &mask{users: map[string]string{}, hosts: map[string]string{}, addresses: map[string]string{}}
	head, body, _ := bytes.Cut(unfolded(message), []byte("\n\n"))
	var out, rest []string
	for i, line := range strings.Split(string(head), "\n") {
		switch {
		case i == 0:
			out = append(out, a.numbers(a.uris(line)))
		default:
			if line, ok := a.header(line); ok {
				out = append(out, line)
			}
		}
	}
	if len(body) > 0 {
		for line := range strings.SplitSeq(strings.TrimRight(string(body), "\n"), "\n") {
			rest = append(rest, a.session(line))
		}
	}
	length := 0
	for _, line := range rest {
		length += len(line) + 2
	}
	for i, line := range out {
		if m := lengthLine.FindStringSubmatch(line); m != nil {
			out[i] = m[1] + strconv.Itoa(length)
		}
	}
	text := strings.Join(out, "\r\n") + "\r\n\r\n"
	if len(rest) > 0 {
		text += strings.Join(rest, "\r\n") + "\r\n"
	}
	return []byte(text)
}

// unfolded has LF line ends, and nothing that YAML cannot show as it is. Folded
// headers stay folded: folding is a habit that the print notes.
func unfolded(message []byte) []byte {
	message = bytes.TrimLeft(message, "\r\n")
	message = bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))
	return bytes.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r < 0x7f {
			return r
		}
		if r == '\t' {
			return ' '
		}
		return '?'
	}, message)
}

// mask keeps what was replaced by what.
type mask struct{ users, hosts, addresses map[string]string }

var (
	lengthLine = regexp.MustCompile(`(?i)^((?:content-length|l)[ \t]*:[ \t]*)[0-9]*[ \t]*$`)
	uriForm    = regexp.MustCompile(`(?i)\b(sips?|tel):([^@>;\s,"]*@)?([^@>;?\s,"]*)`)
	quad       = regexp.MustCompile(`\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b`)
	bracketed  = regexp.MustCompile(`\[[0-9A-Fa-f:.]+\]`)
	ip6        = regexp.MustCompile(`(IN IP6 )[0-9A-Fa-f:.]+`)
	secret     = regexp.MustCompile(`^(a=(?:crypto:\S+ \S+ inline|ice-pwd|ice-ufrag|fingerprint|ssrc|msid|cname|candidate|remote-candidates|setup|identity|key-mgmt):?).*`)
	via        = regexp.MustCompile(`(?i)^(SIP/2\.0/[A-Z]+ +)([^;: ]+)(.*)$`)
)

// plainHeaders have nothing of a caller.
var plainHeaders = map[string]bool{
	"max-forwards": true, "cseq": true, "user-agent": true, "server": true, "allow": true, "supported": true, "k": true,
	"content-type": true, "c": true, "content-length": true, "l": true, "accept": true, "accept-encoding": true,
	"accept-language": true, "expires": true, "session-expires": true, "x": true, "min-se": true, "require": true,
	"proxy-require": true, "allow-events": true, "u": true, "event": true, "o": true, "content-disposition": true, "mime-version": true,
}

// leftOut are headers that a print does not have, so that a sample needs none.
var leftOut = map[string]bool{
	"record-route": true, "route": true, "path": true, "service-route": true, "authorization": true, "proxy-authorization": true,
	"diversion": true, "history-info": true, "privacy": true, "p-asserted-identity": true, "p-preferred-identity": true,
	"remote-party-id": true, "identity": true, "identity-info": true, "y": true, "n": true, "call-info": true, "user-to-user": true, "reason": true,
	"referred-by": true, "b": true, "replaces": true, "p-charging-vector": true, "p-charge-info": true, "resource-priority": true,
	"priority": true, "geolocation": true, "alert-info": true,
}

// header rewrites one line; false takes it out.
func (a *mask) header(line string) (string, bool) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || strings.HasPrefix(line, " ") {
		return a.numbers(a.uris(line)), true // the rest of a folded header
	}
	blanks := value[:len(value)-len(strings.TrimLeft(value, " "))]
	value = strings.TrimSpace(value)
	switch low := strings.ToLower(strings.TrimSpace(name)); {
	case leftOut[low], strings.HasPrefix(low, "x-portero-"):
		return "", false
	case plainHeaders[low]:
	case low == "via", low == "v":
		if m := via.FindStringSubmatch(value); m != nil {
			value = m[1] + a.host(m[2]) + m[3]
		}
		value = a.numbers(value)
	case low == "from", low == "f", low == "to", low == "t", low == "contact", low == "m":
		value = a.numbers(a.named(a.uris(value)))
	case low == "call-id", low == "i":
		if local, at, ok := strings.Cut(value, "@"); ok {
			value = local + "@" + a.host(at)
		}
		value = a.numbers(value)
	case value != "":
		value = "x"
	}
	return name + ":" + blanks + value, true
}

// named replaces the display name of an address.
func (a *mask) named(value string) string {
	open := strings.IndexByte(value, '<')
	switch {
	case strings.HasPrefix(value, `"`):
		if end := strings.IndexByte(value[1:], '"'); end >= 0 {
			return `"Name"` + value[end+2:]
		}
	case open > 0 && strings.TrimSpace(value[:open]) != "":
		return "Name " + value[open:]
	}
	return value
}

// uris replaces users and hosts.
func (a *mask) uris(s string) string {
	return uriForm.ReplaceAllStringFunc(s, func(uri string) string {
		m := uriForm.FindStringSubmatch(uri)
		if strings.EqualFold(m[1], "tel") {
			return m[1] + ":" + a.user(m[3])
		}
		user := m[2]
		if user != "" {
			user = a.user(strings.TrimSuffix(user, "@")) + "@"
		}
		host, port := m[3], ""
		if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
			host, port = host[:i], host[i:]
		}
		return m[1] + ":" + user + a.host(host) + port
	})
}

// user is the example for a user: a number for a number, a word for a word; those
// that a stack makes itself stay.
func (a *mask) user(u string) string {
	switch strings.ToLower(u) {
	case "", "mod_sofia", "sipp", "anonymous", "asterisk":
		return u
	}
	if a.users[u] == "" {
		n := len(a.users) + 100
		a.users[u] = fmt.Sprintf("user%d", n)
		if strings.Trim(u, "+0123456789") == "" {
			plus := ""
			if u[0] == '+' {
				plus = "+"
			}
			a.users[u] = fmt.Sprintf("%s1555010%04d", plus, n)
		}
	}
	return a.users[u]
}

// host is the example for a host name; addresses are numbers' matter.
func (a *mask) host(h string) string {
	if h == "" || strings.Trim(h, "0123456789.") == "" || strings.HasPrefix(h, "[") || strings.Contains(h, ":") {
		return h
	}
	if a.hosts[h] == "" {
		under := "example"
		if strings.HasSuffix(strings.ToLower(h), ".invalid") { // a browser has no name (RFC 7118 section 5)
			under = "invalid"
		}
		a.hosts[h] = fmt.Sprintf("host%d.%s", len(a.hosts)+1, under)
	}
	return a.hosts[h]
}

// numbers replaces IP addresses.
func (a *mask) numbers(s string) string {
	s = quad.ReplaceAllStringFunc(s, func(ip string) string {
		if ip == "0.0.0.0" {
			return ip
		}
		if a.addresses[ip] == "" {
			a.addresses[ip] = fmt.Sprintf("192.0.2.%d", len(a.addresses)%250+1)
		}
		return a.addresses[ip]
	})
	s = bracketed.ReplaceAllString(s, "[2001:db8::1]")
	return ip6.ReplaceAllString(s, "${1}2001:db8::1")
}

// session rewrites a line of a session description.
func (a *mask) session(line string) string {
	if strings.HasPrefix(line, "o=") {
		user, rest, _ := strings.Cut(line[2:], " ")
		if to := a.users[user]; to != "" {
			user = to
		}
		line = "o=" + user + " " + rest
	}
	for _, kind := range []string{"i=", "u=", "e=", "p="} {
		if strings.HasPrefix(line, kind) {
			return kind + "x"
		}
	}
	if m := secret.FindStringSubmatch(line); m != nil {
		return m[1] + "x"
	}
	return a.numbers(line)
}
