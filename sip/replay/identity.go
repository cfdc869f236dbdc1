package replay

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/transport"
)

// Target is whom recorded calls are placed to.
type Target struct {
	Secure bool   // a sips URI
	User   string // whom to call instead of the recorded number, "" for that
	Host   string // host and port as they stand in the URI
	Params string // from the first ';', without transport
}

// identity is all that is new about a replayed call, and writes recorded
// messages with it.
type identity struct {
	tokens   *tokens
	target   Target
	local    netip.AddrPort // of Via and Contact
	protocol string         // transport.UDP, TCP or TLS
	media    mediaPlace
	was      netip.Addr // where the recorded caller was
	host     string     // in the Request-URI of the recorded INVITE

	callID string
	tag    string // of From
	move   int    // of CSeq numbers
}

// dialog is what a request inside a dialog needs of it; nil before there is one.
type dialog struct {
	tag    string   // of the far side
	target []byte   // its Contact's URI
	routes [][]byte // from the Record-Route of its answer, in the order to go
}

// credential is an answer to a challenge: the header's name and value.
type credential struct{ name, value string }

// request rewrites a recorded request of the caller's, or one derived from such.
// branch is that of the top Via; number the CSeq's. Recorded answers to challenges
// prove nothing here: credentials take their places, if there are any.
func (id *identity) request(recorded *message, d *dialog, branch string, number int, credentials []credential) *message {
	m := recorded.clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		at := m.index(name)
		m.drop(name)
		for i, c := range slices.DeleteFunc(slices.Clone(credentials), func(c credential) bool { return c.name != name }) {
			if at < 0 {
				at = m.beforeBody()
			}
			m.insert(at+i, c.name, []byte(c.value))
		}
	}
	// Recorded routes lead to where the call once went.
	m.drop("Record-Route")
	id.vias(m, branch)
	m.edit("From", func(v []byte) []byte { return setParam(v, "tag", []byte(id.tag), false) })
	m.edit("Call-ID", func([]byte) []byte { return []byte(id.callID) })
	m.setCSeq(number, "")
	id.contact(m)
	id.to(m)
	if d == nil {
		m.setURI(id.target.uri(m.uri()))
		m.drop("Route")
		m.edit("To", func(v []byte) []byte { return dropParam(v, "tag") })
	} else {
		if len(d.target) > 0 {
			m.setURI(d.target)
		}
		id.routes(m, d.routes)
		if d.tag != "" {
			m.edit("To", func(v []byte) []byte { return setParam(v, "tag", []byte(d.tag), true) })
		}
	}
	id.body(m)
	return m
}

// body puts our media's place into a description and sets the length.
func (id *identity) body(m *message) {
	m.body = id.media.describe(m.body, id.was)
	m.length(transport.Reliable(id.protocol))
}

// vias makes the top Via ours and the branches of those below it, of hops that
// lie behind us, fresh.
func (id *identity) vias(m *message, branch string) {
	top := true
	for i := range m.lines {
		if !m.lines[i].is("Via") {
			continue
		}
		var out []byte
		for rest := m.lines[i].value(); ; {
			end := outside(rest, ',')
			one := rest[:end]
			if top {
				one = id.via(one, branch)
				top = false
			} else if from, till := paramSpan(one, "branch"); till > from {
				one = splice(one, from, till, []byte(id.tokens.like(string(one[from:till]))))
			}
			out = append(out, one...)
			if end == len(rest) {
				break
			}
			out = append(out, ',')
			rest = rest[end+1:]
		}
		m.lines[i] = m.lines[i].with(out)
	}
}

func (id *identity) via(v []byte, branch string) []byte {
	_, sentBy := viaParts(v)
	if sentBy[1] > sentBy[0] {
		v = splice(v, sentBy[0], sentBy[1], hostport(v[sentBy[0]:sentBy[1]], id.local, id.usualPort()))
	}
	if carrier, _ := viaParts(v); carrier[1] > carrier[0] && !strings.EqualFold(string(v[carrier[0]:carrier[1]]), id.protocol) {
		v = splice(v, carrier[0], carrier[1], []byte(id.protocol))
	}
	return setParam(v, "branch", []byte(branch), true)
}

func (id *identity) usualPort() uint16 {
	if id.protocol == transport.TLS {
		return 5061
	}
	return 5060
}

// contact makes the Contact's address ours.
func (id *identity) contact(m *message) {
	m.edit("Contact", func(v []byte) []byte {
		from, till := uriOf(v)
		uri := v[from:till]
		a, b := hostOf(uri)
		if a == b {
			return v // "*", or no SIP URI
		}
		uri = splice(uri, a, b, hostport(uri[a:b], id.local, id.usualPort()))
		uri = id.scheme(uri)
		if old, end := paramSpan(uri, "transport"); end > old {
			if !strings.EqualFold(string(uri[old:end]), id.protocol) {
				uri = splice(uri, old, end, []byte(strings.ToLower(id.protocol)))
			}
		} else if id.protocol != transport.UDP && openBracket(v) >= 0 {
			uri = slices.Concat(uri, []byte(";transport="+strings.ToLower(id.protocol)))
		}
		return splice(v, from, till, uri)
	})
}

// scheme makes sips what does not go over TLS no more, and leaves what does.
func (id *identity) scheme(uri []byte) []byte {
	if id.protocol != transport.TLS && len(uri) > 5 && strings.EqualFold(string(uri[:5]), "sips:") {
		return slices.Concat(uri[:3], uri[4:])
	}
	return uri
}

// to makes the To's host the target's where it was that of the Request-URI. All
// requests of a call say the same.
func (id *identity) to(m *message) {
	m.edit("To", func(v []byte) []byte {
		from, till := uriOf(v)
		to := v[from:till]
		c, d := hostOf(to)
		host, _, hasPort := splitPort(to[c:d])
		if id.host == "" || !strings.EqualFold(string(host), id.host) {
			return v
		}
		now, port, targetPort := splitPort([]byte(id.target.Host))
		if hasPort && targetPort {
			now = slices.Concat(now, []byte(":"), port)
		} else if hasPort {
			now = slices.Concat(now, []byte(":5060"))
		}
		to = splice(to, c, d, now)
		if id.target.User != "" {
			to = setUser(to, id.target.User)
		}
		return splice(v, from, till, id.scheme(to))
	})
}

// uri is the Request-URI for a recorded one: its user, the target's host.
func (t Target) uri(recorded []byte) []byte {
	scheme := "sip:"
	if t.Secure {
		scheme = "sips:"
	}
	user := t.User
	if user == "" {
		s, u, _, _, _ := fingerprint.SplitURI(recorded)
		user = string(u)
		if strings.EqualFold(string(s), "tel") { // RFC 3261 section 19.1.6
			return []byte(scheme + user + "@" + t.Host + t.Params + ";user=phone")
		}
	}
	a, b := hostOf(recorded)
	var params []byte
	if a < b {
		rest := recorded[b:]
		if q := bytes.IndexByte(rest, '?'); q >= 0 {
			rest = rest[:q]
		}
		params = dropParam(dropParam(dropParam(rest, "transport"), "maddr"), "ttl")
	}
	if user == "" {
		return slices.Concat([]byte(scheme+t.Host+t.Params), params)
	}
	return slices.Concat([]byte(scheme+user+"@"+t.Host+t.Params), params)
}

// called is the host in a Request-URI.
func called(uri []byte) string {
	a, b := hostOf(uri)
	host, _, _ := splitPort(uri[a:b])
	return string(host)
}

func setUser(uri []byte, user string) []byte {
	colon := bytes.IndexByte(uri, ':')
	a, b := hostOf(uri)
	if colon < 0 || a == b {
		return uri
	}
	return slices.Concat(uri[:colon+1], []byte(user+"@"), uri[a:])
}

// routes puts the dialog's routes where the recorded ones stood, or below the
// Vias.
func (id *identity) routes(m *message, routes [][]byte) {
	at := m.index("Route")
	if at < 0 {
		for at = 0; at < len(m.lines) && !m.lines[at].is("Via"); at++ {
		}
		for at < len(m.lines) && m.lines[at].is("Via") {
			at++
		}
	}
	m.drop("Route")
	for i, r := range routes {
		m.insert(min(at+i, len(m.lines)), "Route", r)
	}
}

// dropParam takes a parameter out of the first element.
func dropParam(v []byte, name string) []byte {
	end := outside(v, ',')
	at := outside(v[:end], ';')
	for at < end {
		next := at + 1 + outside(v[at+1:end], ';')
		one, _, _ := bytes.Cut(v[at+1:next], []byte("="))
		if strings.EqualFold(string(bytes.TrimSpace(one)), name) {
			return slices.Concat(v[:at], v[next:])
		}
		at = next
	}
	return v
}

// derive makes a request of another method out of a recorded one, for when the
// recording has none: the headers that it must have, as the stack writes them.
func derive(from *message, method string) *message {
	m := from.clone()
	vias := 0
	m.keep(func(l line) bool {
		if l.is("Via") {
			vias++
			return vias == 1
		}
		for _, name := range []string{"Max-Forwards", "From", "To", "Call-ID", "CSeq", "User-Agent", "Content-Length"} {
			if l.is(name) {
				return true
			}
		}
		return false
	})
	m.edit("Via", func(v []byte) []byte { return v[:outside(v, ',')] })
	m.body = nil
	m.setMethod(method)
	n, _ := m.cseq()
	m.setCSeq(n, method)
	m.length(false)
	return m
}
