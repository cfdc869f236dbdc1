package door

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// hop is one of the door's own SIP sockets, as peers see it.
type hop struct {
	transport string         // UDP or TCP
	addr      netip.AddrPort // bound
	host      string         // told to peers
	port      int            // told to peers
	close     func() error
}

// open binds one listener and returns what serves it until it is closed.
func (d *Door) open(s string) (*hop, func() error, error) {
	l, err := parseListen(s)
	if err != nil {
		return nil, nil, err
	}
	h := &hop{transport: strings.ToUpper(l.network), addr: l.addr}
	var serve func() error
	switch l.network {
	case "udp":
		pc, err := d.packetConn(l.addr)
		if err != nil {
			return nil, nil, fmt.Errorf("door: cannot listen on %s: %w; is another SIP server there?", s, err)
		}
		h.addr, h.close = pc.LocalAddr().(*net.UDPAddr).AddrPort(), pc.Close
		serve = func() error { return d.srv.ServeUDP(pc) }
	case "tcp":
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(l.addr))
		if err != nil {
			return nil, nil, fmt.Errorf("door: cannot listen on %s: %w; is another SIP server there?", s, err)
		}
		h.addr, h.close = ln.Addr().(*net.TCPAddr).AddrPort(), ln.Close
		fl := &framedListener{Listener: ln, gate: d.gate, max: d.cfg.MaxMessage}
		serve = func() error { return d.srv.ServeTCP(fl) }
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
	return h, serve, nil
}

func (d *Door) packetConn(a netip.AddrPort) (net.PacketConn, error) {
	if d.deps.PacketConn != nil {
		return d.deps.PacketConn(a)
	}
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return nil, err
	}
	// A burst of INVITEs must not be lost in the kernel; the system may grant less.
	_ = pc.SetReadBuffer(4 << 20)
	return pc, nil
}

func (d *Door) closeHops() {
	for _, h := range d.hops {
		_ = h.close()
	}
}

func (d *Door) listensAt(local netip.AddrPort) bool {
	for _, h := range d.hops {
		if h.addr == local {
			return true
		}
	}
	return false
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
