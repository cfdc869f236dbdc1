package door

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/transport"
)

// hop is one of the door's own SIP sockets, as peers see it.
type hop struct {
	transport string         // UDP or TCP
	addr      netip.AddrPort // bound
	host      string         // told to peers
	port      int            // told to peers
}

// open binds one listener and returns what serves it until it is closed.
func (d *Door) open(s string) (*hop, []func() error, error) {
	l, err := parseListen(s)
	if err != nil {
		return nil, nil, err
	}
	h := &hop{transport: strings.ToUpper(l.network), addr: l.addr}
	fail := func(err error) (*hop, []func() error, error) {
		return nil, nil, fmt.Errorf("door: cannot listen on %s: %w; is another SIP server there?", s, err)
	}
	var serves []func() error
	switch l.network {
	case "udp":
		conns, err := d.packetConns(l.addr)
		if err != nil {
			return fail(err)
		}
		h.addr = conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
		for _, pc := range conns {
			serve, err := d.net.UDP(pc)
			if err != nil {
				return fail(err)
			}
			serves = append(serves, serve)
		}
	case "tcp":
		ln, err := transport.ListenTCP(l.addr)
		if err != nil {
			return fail(err)
		}
		h.addr = ln.Addr().(*net.TCPAddr).AddrPort()
		serves = append(serves, func() error { return d.net.ServeTCP(ln) })
	}
	h.host, h.port = bracket(h.addr.Addr()), int(h.addr.Port())
	if d.cfg.Advertise != "" {
		host, port, err := splitHostPort(d.cfg.Advertise)
		if err != nil {
			return nil, nil, err
		}
		h.host = host
		if port != 0 {
			h.port = port
		}
	}
	return h, serves, nil
}

// packetConns are the sockets of a UDP listener.
func (d *Door) packetConns(a netip.AddrPort) ([]net.PacketConn, error) {
	if d.deps.PacketConn != nil {
		pc, err := d.deps.PacketConn(a)
		return []net.PacketConn{pc}, err
	}
	n := d.cfg.Sockets
	if n == 0 {
		n = runtime.NumCPU()
	}
	return transport.ListenUDP(a, n)
}

// hopFor picks the socket for requests to a peer: of the transport asked for,
// and of the peer's address family where there is one.
func (d *Door) hopFor(transport, hostport string) *hop {
	peer, _ := netip.ParseAddrPort(hostport)
	var fits *hop
	for _, h := range d.hops {
		if h.transport != transport {
			continue
		}
		if peer.IsValid() && h.addr.Addr().Is4() == peer.Addr().Unmap().Is4() {
			return h
		}
		if fits == nil {
			fits = h
		}
	}
	if fits == nil && len(d.hops) > 0 {
		// No listener of that transport: the peer is told the first one.
		return d.hops[0]
	}
	return fits
}

// via makes the top Via of a request.
func (h *hop) via(transport string) *sipmsg.ViaHeader {
	v := &sipmsg.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: transport, Host: h.host, Port: h.port}
	v.Params.Add("rport", "")
	v.Params.Add("branch", sipmsg.GenerateBranchN(16))
	return v
}

// contact is where a peer reaches this door within a dialog.
func (h *hop) contact(user, transport string) sipmsg.Uri {
	u := sipmsg.Uri{Scheme: "sip", User: user, Host: h.host, Port: h.port}
	if transport != "UDP" {
		u.UriParams.Add("transport", strings.ToLower(transport))
	}
	return u
}

// is says whether a URI names this door.
func (d *Door) is(u *sipmsg.Uri) bool {
	port := u.Port
	if port == 0 {
		port = 5060
	}
	for _, h := range d.hops {
		if port == h.port && strings.EqualFold(trimBrackets(u.Host), trimBrackets(h.host)) ||
			port == int(h.addr.Port()) && trimBrackets(u.Host) == h.addr.Addr().String() {
			return true
		}
	}
	return false
}

func bracket(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

func trimBrackets(s string) string { return strings.Trim(s, "[]") }
