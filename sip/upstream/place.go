package upstream

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// Address is one place that requests can be sent to: what RFC 3263 makes of a
// target's URI.
type Address struct {
	Transport string         // UDP, TCP or TLS
	AddrPort  netip.AddrPort //
	Host      string         // the URI's host, which a certificate has to bear (RFC 5922 section 7.1)

	priority, weight uint16 // of its SRV record (RFC 2782)
}

// key tells servers apart: one that several targets lead to fares the same for
// all of them.
type key struct {
	transport string
	at        netip.AddrPort
}

func (a Address) key() key { return key{a.Transport, a.AddrPort} }

// String is the address as listeners are written: udp:192.0.2.10:5060.
func (a Address) String() string { return strings.ToLower(a.Transport) + ":" + a.AddrPort.String() }

// place is what a target's URI says of where it is.
type place struct {
	uri       sipmsg.Uri
	host      string // without brackets
	port      int    // 0: not said
	transport string // "": not said
	secure    bool   // sips
}

func parsePlace(s string, transports []string) (place, error) {
	var u sipmsg.Uri
	err := sipmsg.ParseUri(s, &u)
	sips := u.Scheme == "sips" && slices.Contains(transports, "TLS")
	if err != nil || u.Scheme != "sip" && !sips || u.Host == "" || strings.ContainsAny(s, "<> \t\r\n\"") {
		return place{}, fmt.Errorf("%q is not a SIP URI like sip:192.0.2.10:5060;transport=udp", s)
	}
	p := place{uri: u, host: strings.Trim(u.Host, "[]"), port: u.Port, secure: sips}
	if v, ok := u.UriParams.Get("transport"); ok {
		p.transport = strings.ToUpper(v)
		if !slices.Contains(transports, p.transport) {
			return place{}, fmt.Errorf("%q: transport %q is not known; allowed: %s", s, v, strings.ToLower(strings.Join(transports, ", ")))
		}
		if sips && p.transport == "TCP" { // RFC 3261 section 26.2.2: TLS over TCP
			p.transport = "TLS"
		}
	}
	return p, nil
}

// defaultPort of a transport (RFC 3263 section 4.2).
func defaultPort(transport string) int {
	if transport == "TLS" {
		return 5061
	}
	return 5060
}

// numeric is the address of a URI that has one, without DNS (RFC 3263 sections
// 4.1 and 4.2).
func (p place) numeric() (Address, bool) {
	a, err := netip.ParseAddr(p.host)
	if err != nil {
		return Address{}, false
	}
	return p.at(a, p.defaultTransport(), p.port), true
}

// defaultTransport is what is used when neither the URI nor DNS says another.
func (p place) defaultTransport() string {
	switch {
	case p.transport != "":
		return p.transport
	case p.secure:
		return "TLS"
	}
	return "UDP"
}

func (p place) at(a netip.Addr, transport string, port int) Address {
	if port == 0 {
		port = defaultPort(transport)
	}
	return Address{Transport: transport, AddrPort: netip.AddrPortFrom(a.Unmap(), uint16(port)), Host: p.host}
}
