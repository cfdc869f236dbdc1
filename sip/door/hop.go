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
	transport string
	addr      netip.AddrPort // bound
	host      string         // told to peers; in brackets if it is of IPv6
	port      int            // told to peers
}

// open binds one listener and returns what serves it until it is closed.
func (d *Door) open(s string) (*hop, []func() error, error) {
	l, err := parseListen(s)
	if err != nil {
		return nil, nil, err
	}
	h := &hop{transport: l.transport, addr: l.addr}
	serves, err := d.bind(h)
	if err != nil {
		return nil, nil, fmt.Errorf("door: cannot listen on %s: %w; is another SIP server there?", s, err)
	}
	h.host, h.port = bracket(h.addr.Addr()), int(h.addr.Port())
	if d.cfg.Advertise != "" {
		told, err := parseHost(d.cfg.Advertise)
		if err != nil {
			return nil, nil, err
		}
		h.host = told.name
		if told.port != 0 && (h.transport == transport.UDP || h.transport == transport.TCP) {
			h.port = told.port
		}
	}
	if l.told.name != "" {
		h.host = l.told.name
		if l.told.port != 0 {
			h.port = l.told.port
		}
	}
	return h, serves, nil
}

// bind opens the sockets of a listener and notes where they are.
func (d *Door) bind(h *hop) ([]func() error, error) {
	if h.transport == transport.UDP {
		conns, err := d.packetConns(h.addr)
		if err != nil {
			return nil, err
		}
		h.addr = conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
		var serves []func() error
		for _, pc := range conns {
			serve, err := d.net.UDP(pc)
			if err != nil {
				return nil, err
			}
			serves = append(serves, serve)
		}
		return serves, nil
	}
	ln, err := transport.ListenTCP(h.addr)
	if err != nil {
		return nil, err
	}
	h.addr = ln.Addr().(*net.TCPAddr).AddrPort()
	web := transport.WebSocket{Path: d.cfg.WebSocket.Path, Origins: d.cfg.WebSocket.Origins}
	serve := func() error { return d.net.ServeTCP(ln) }
	switch h.transport {
	case transport.TLS:
		serve = func() error { return d.net.ServeTLS(ln, d.serverTLS(h.transport)) }
	case transport.WSS:
		web.TLS = d.serverTLS(h.transport)
		fallthrough
	case transport.WS:
		serve = func() error { return d.net.ServeWS(ln, web) }
	}
	return []func() error{serve}, nil
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

// hopFor picks the socket for requests to a peer: of the transport asked for, of
// the peer's address family, and nearest to it. Without one of that transport
// the peer is told another.
func (d *Door) hopFor(over, hostport string) *hop {
	peer, _ := netip.ParseAddrPort(hostport)
	family := func(h *hop) bool {
		return !peer.IsValid() || h.addr.Addr().Unmap().Is4() == peer.Addr().Unmap().Is4()
	}
	for _, fits := range []func(*hop) bool{
		func(h *hop) bool { return h.transport == over && family(h) },
		func(h *hop) bool { return h.transport == over },
		func(h *hop) bool { return !transport.IsWebSocket(h.transport) && family(h) },
		func(*hop) bool { return true },
	} {
		var found []*hop
		for _, h := range d.hops {
			if fits(h) {
				found = append(found, h)
			}
		}
		if len(found) > 0 {
			return d.nearest(found, peer)
		}
	}
	return nil
}

// nearest is the one of several sockets from whose address the kernel would send
// to a peer, else the first.
func (d *Door) nearest(hops []*hop, peer netip.AddrPort) *hop {
	if len(hops) == 1 || !peer.IsValid() {
		return hops[0]
	}
	type question struct {
		first *hop
		peer  netip.Addr
	}
	q := question{hops[0], peer.Addr().Unmap()}
	if h, ok := d.routes.Load(q); ok {
		return h.(*hop)
	}
	best := hops[0]
	if c, err := net.Dial("udp", peer.String()); err == nil { // sends nothing
		local := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		_ = c.Close()
		for _, h := range hops {
			if h.addr.Addr().Unmap() == local {
				best = h
				break
			}
		}
	}
	d.routes.Store(q, best)
	return best
}

// leave has a request leave by this socket, or over a connection made from its
// address: peers know the door by it. One of another transport does not say.
func (h *hop) leave(req *sipmsg.Request, over string) {
	if h.transport == over {
		req.Laddr = sipmsg.Addr{IP: h.addr.Addr().AsSlice(), Port: int(h.addr.Port())}
	}
}

// via makes the top Via of a request.
func (h *hop) via(transport string) *sipmsg.ViaHeader {
	v := &sipmsg.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: transport, Host: h.host, Port: h.port}
	v.Params.Add("rport", "")
	v.Params.Add("branch", sipmsg.GenerateBranchN(16))
	return v
}

// contact is where a peer reaches this door within a dialog.
func (h *hop) contact(user, over string) sipmsg.Uri {
	u := sipmsg.Uri{Scheme: "sip", User: user, Host: h.host, Port: h.port}
	switch over {
	case transport.UDP:
	case transport.WSS: // RFC 7118 section 5.2.2: ws is the parameter for both
		u.UriParams.Add("transport", "ws")
	default:
		u.UriParams.Add("transport", strings.ToLower(over))
	}
	return u
}

// is says whether a URI names this door.
func (d *Door) is(u *sipmsg.Uri) bool {
	port := u.Port
	if port == 0 {
		_, port, _ = place(u, transport.UDP)
	}
	host := trimBrackets(u.Host)
	for _, h := range d.hops {
		if port == h.port && strings.EqualFold(host, trimBrackets(h.host)) || port == int(h.addr.Port()) && sameHost(host, h.addr.Addr()) {
			return true
		}
	}
	return false
}

// sameHost says whether a host, without brackets, is an address, however it is
// written (RFC 5118 section 4.5).
func sameHost(host string, a netip.Addr) bool {
	b, err := netip.ParseAddr(host)
	return err == nil && b.Unmap() == a.Unmap()
}

func bracket(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

func trimBrackets(s string) string { return strings.Trim(s, "[]") }
