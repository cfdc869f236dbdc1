package door

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/transport"
)

// minKeepalive is the shortest time between keep-alives: peers must have time
// for the answer before the next one.
const minKeepalive = 15 * time.Second

// zoned says why link-local addresses with a zone are not taken.
const zoned = "link-local addresses have a zone, which means nothing to a peer; allowed: an address without one"

// listen is one parsed listener.
type listen struct {
	transport string
	addr      netip.AddrPort
	told      host // to peers; zero: what it is bound to
}

// host is what peers are told, or where they are: a name or an address, in
// brackets if it is of IPv6, and a port, 0 for none.
type host struct {
	name string
	port int
}

var listeners = map[string]string{"udp": transport.UDP, "tcp": transport.TCP, "tls": transport.TLS, "ws": transport.WS, "wss": transport.WSS}

func parseListen(s string) (listen, error) {
	f := strings.Fields(s)
	if len(f) != 1 && (len(f) != 3 || f[1] != "advertise") {
		return listen{}, fmt.Errorf("listener %q is not transport:address:port, with or without \" advertise host:port\" behind", s)
	}
	name, rest, ok := strings.Cut(f[0], ":")
	l := listen{transport: listeners[name]}
	if !ok || l.transport == "" {
		return listen{}, fmt.Errorf("listener %q is not transport:address:port with transport udp, tcp, tls, ws or wss", s)
	}
	var err error
	if l.addr, err = netip.ParseAddrPort(rest); err != nil {
		return listen{}, fmt.Errorf("listener %q: %q is not address:port; an address of IPv6 stands in brackets", s, rest)
	}
	switch a := l.addr.Addr(); {
	case a.IsUnspecified():
		return listen{}, fmt.Errorf("listener %q: name the address; peers are told it, and %s cannot be called", s, a)
	case a.Zone() != "" || a.IsLinkLocalUnicast() && a.Is6():
		return listen{}, fmt.Errorf("listener %q: %s", s, zoned)
	}
	if len(f) == 3 {
		if l.told, err = parseHost(f[2]); err != nil {
			return listen{}, fmt.Errorf("listener %q: %w", s, err)
		}
	}
	return l, nil
}

// listens says whether there is a listener of one of these transports.
func (c Config) listens(over ...string) bool {
	for _, s := range c.Listen {
		l, err := parseListen(s)
		for _, t := range over {
			if err == nil && l.transport == t {
				return true
			}
		}
	}
	return false
}

// parseHost reads host or host:port, with an address of IPv6 in brackets, or
// bare when it has no port.
func parseHost(s string) (host, error) {
	fault := fmt.Errorf("%q is not host or host:port", s)
	if a, err := netip.ParseAddr(trimBrackets(s)); err == nil && strings.HasPrefix(s, "[") == strings.HasSuffix(s, "]") {
		if a.Zone() != "" {
			return host{}, fmt.Errorf("%q: %s", s, zoned)
		}
		return host{name: bracket(a.Unmap())}, nil
	}
	h := host{name: s}
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		n, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || n == 0 {
			return host{}, fault
		}
		h = host{name: s[:i], port: int(n)}
	}
	if strings.HasPrefix(h.name, "[") {
		a, err := netip.ParseAddr(trimBrackets(h.name))
		if err != nil || a.Zone() != "" || !strings.HasSuffix(h.name, "]") {
			return host{}, fault
		}
		return h, nil
	}
	if h.name == "" || strings.ContainsAny(h.name, " \t@<>:[]/;,\"%") {
		return host{}, fault
	}
	return h, nil
}

// target is a place as it is dialled.
type target struct {
	uri       sipmsg.Uri
	transport string // UDP, TCP or TLS
	hostport  string // where packets go, host:port
	// connection is the one that it must be, 0: any (transport.Target)
	connection uint64
}

func parseTarget(s string) (target, error) {
	var u sipmsg.Uri
	if err := sipmsg.ParseUri(s, &u); err != nil || u.Scheme != "sip" && u.Scheme != "sips" || u.Host == "" || strings.ContainsAny(s, "<> \t\r\n\"") {
		return target{}, fmt.Errorf("%q is not a SIP URI like sip:192.0.2.10:5060;transport=udp", s)
	}
	if strings.Contains(u.Host, "%") {
		return target{}, fmt.Errorf("%q: %s", s, zoned)
	}
	over, port, ok := place(&u, transport.UDP)
	if !ok {
		v, _ := u.UriParams.Get("transport")
		return target{}, fmt.Errorf("%q: transport %q is not known here; allowed: udp, tcp, tls; with sips: tls", s, v)
	}
	return target{uri: u, transport: over, hostport: u.Host + ":" + strconv.Itoa(port)}, nil
}

// place is the transport and port that a URI names (RFC 3263 section 4.1, RFC
// 5630 section 3.1.3), otherwise being the transport of one that names none.
// Nobody is connected to over WebSocket.
func place(u *sipmsg.Uri, otherwise string) (over string, port int, ok bool) {
	over = otherwise
	if v, has := u.UriParams.Get("transport"); has {
		over = strings.ToUpper(v)
	}
	if strings.EqualFold(u.Scheme, "sips") {
		if v, has := u.UriParams.Get("transport"); has && !strings.EqualFold(v, "tls") && !strings.EqualFold(v, "tcp") {
			return "", 0, false
		}
		over = transport.TLS
	}
	switch over {
	case transport.UDP, transport.TCP, transport.TLS:
	default:
		return "", 0, false
	}
	switch {
	case u.Port != 0:
		port = u.Port
	case over == transport.TLS:
		port = 5061
	default:
		port = 5060
	}
	return over, port, true
}
