package door

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/transport"
)

// flow is the way to a phone that registers through the door: the address, and of
// a stream transport the connection, that its REGISTER came by. Its token is the
// user part of the door's URI in Path
// (RFC 3327) and Record-Route, so that what the PBX sends to that URI goes to
// the phone, behind whatever NAT it is (RFC 5626 section 5.2). The door keeps no
// table of phones: the token says it all, and is signed, so that nobody can make
// the door send elsewhere.
type flow struct {
	transport  string
	addr       netip.AddrPort
	connection uint64 // 0: any to the address
}

// cameBy is the flow that a message came by.
func cameBy(f transport.Flow) flow { return flow{f.Transport, f.Remote, f.Connection()} }

// flowTo is the flow to an address; one that cannot be read is nobody's.
func flowTo(over, hostport string) flow {
	a, _ := netip.ParseAddrPort(hostport)
	return flow{transport: over, addr: a}
}

// flowTransports are what phones may come by; a token has the place in the list.
var flowTransports = []string{transport.UDP, transport.TCP, transport.TLS, transport.WS, transport.WSS}

// trunkAtEnd is whose the phone at the end of a flow is.
func (d *Door) trunkAtEnd(f flow) (Trunk, bool) {
	return d.trunkBy(transport.Flow{Transport: f.transport, Remote: f.addr})
}

// How many bytes of a token are the connection, unless it is of UDP, and the
// signature.
const (
	tokenConnection = 8
	tokenMAC        = 12
)

// flowKey signs tokens. Registrations outlive the process, so the key must too:
// without a secret of its own it comes of the machine's id, which is not told to
// the network (machine-id(5)).
func (c Config) flowKey() []byte {
	secret := []byte(c.FlowSecret)
	if len(secret) == 0 {
		secret, _ = os.ReadFile("/etc/machine-id")
	}
	if len(secret) == 0 {
		secret = make([]byte, 32)
		_, _ = rand.Read(secret)
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("portero flow tokens"))
	return m.Sum(nil)
}

func (d *Door) token(f flow) string {
	b := []byte{transportCode(f.transport)}
	b = append(b, f.addr.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, f.addr.Port())
	if f.transport != transport.UDP {
		b = binary.BigEndian.AppendUint64(b, f.connection)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, d.signature(b)...))
}

func (d *Door) signature(b []byte) []byte {
	m := hmac.New(sha256.New, d.flowSign)
	m.Write(b)
	return m.Sum(nil)[:tokenMAC]
}

// flowOf reads a token of the door's own. The address must still be a trunk's.
func (d *Door) flowOf(token string) (flow, Trunk, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+tokenMAC {
		return flow{}, Trunk{}, false
	}
	body, mac := b[:len(b)-tokenMAC], b[len(b)-tokenMAC:]
	if !hmac.Equal(mac, d.signature(body)) || int(body[0]) >= len(flowTransports) {
		return flow{}, Trunk{}, false
	}
	f := flow{transport: flowTransports[body[0]]}
	body = body[1:]
	n := len(body) - 2 // of the address
	if f.transport != transport.UDP {
		n -= tokenConnection
	}
	if n != 4 && n != 16 {
		return flow{}, Trunk{}, false
	}
	a, _ := netip.AddrFromSlice(body[:n])
	f.addr = netip.AddrPortFrom(a, binary.BigEndian.Uint16(body[n:]))
	if f.transport != transport.UDP {
		f.connection = binary.BigEndian.Uint64(body[n+2:])
	}
	t, ok := d.trunkAtEnd(f)
	return f, t, ok
}

func transportCode(over string) byte {
	return byte(max(0, slices.Index(flowTransports, over)))
}

// alive says whether a flow can be used: a connection that the phone made cannot
// be made by anybody else, and a later one from the same port is not the phone's
// (RFC 5626 section 5.3.1).
func (d *Door) alive(f flow) bool {
	return f.transport == transport.UDP || d.net.Connected(f.transport, f.addr, f.connection)
}

// flowRouted says whether a request's first Route is the door's own with a user
// part: a flow token, or what somebody takes for one.
func (d *Door) flowRouted(req *sipmsg.Request) (token string, ok bool) {
	r := req.Route()
	if r == nil || r.Address.User == "" || !d.is(&r.Address) {
		return "", false
	}
	return r.Address.User, true
}

// inviteFlow starts a call of the PBX to a phone that has registered through the
// door: along the route that its registration left at the PBX.
func (d *Door) inviteFlow(in transaction.Incoming, tx *transaction.Server, log *zap.Logger, token string) {
	f, trunk, ok := d.flowOf(token)
	switch {
	case !ok:
		log.Info("a call of the PBX has a route that the door has never made", zap.Stringer("source", in.Flow.Remote))
		d.answer(in.Req, tx, 403, "Forbidden")
		return
	case !d.alive(f):
		d.answer(in.Req, tx, 430, "Flow Failed")
		return
	}
	d.begin(in, tx, log, func(c *call) {
		c.trunk = trunk
		c.out = &outbound{name: trunk.Name, contact: true,
			target: target{uri: in.Req.Recipient, transport: f.transport, hostport: f.addr.String(), connection: f.connection}}
	})
}

// alongFlow is where a request of the PBX goes that is routed to the door with a
// token; code is what it is answered instead.
func (d *Door) alongFlow(token string) (f flow, code int) {
	f, _, ok := d.flowOf(token)
	switch {
	case !ok:
		return f, 403
	case !d.alive(f):
		return f, 430
	}
	return f, 0
}

// between is the token of the phone's flow, whichever side of a request it is on;
// empty: there is no phone.
func (d *Door) between(from, to flow) string {
	for _, f := range []flow{from, to} {
		if _, outside := d.trunkAtEnd(f); outside && slices.Contains(flowTransports, f.transport) {
			return d.token(f)
		}
	}
	return ""
}

// route is the door's URI for Path and Record-Route, with a phone's token.
func (h *hop) route(token, over string) sipmsg.Uri {
	u := h.contact(token, over)
	u.UriParams.Add("lr", "")
	return u
}

// recordRoute has the later requests of a dialog come this way too: the side that
// the request goes to by its socket, and if that is not the one of the other side,
// which may know no such transport or address, by both (RFC 5658 section 3).
func (d *Door) recordRoute(out *sipmsg.Request, near, far *hop, from, to flow) {
	token := d.between(from, to)
	record := func(h *hop, over string) {
		u := h.route(token, over)
		if isSIPS(out, from.transport) { // RFC 3261 section 16.6, step 4
			makeSIPS(&u, over)
		}
		out.PrependHeader(&sipmsg.RecordRouteHeader{Address: u})
	}
	if near != far {
		record(near, from.transport)
	}
	record(far, to.transport)
}

// addPath has the registrar send requests for a phone this way (RFC 3327
// section 5.2). A registrar takes a Path only of who says that it knows what
// that is; the door does, and the phone need not.
func addPath(out *sipmsg.Request, route sipmsg.Uri) {
	before := headersOf(out, "Path")
	for out.RemoveHeader("Path") {
	}
	out.AppendHeader(sipmsg.NewHeader("Path", "<"+route.String()+">"))
	for _, h := range before {
		out.AppendHeader(h)
	}
	if supported := options(out, "Supported"); !slices.Contains(supported, "path") {
		for out.RemoveHeader("Supported") {
		}
		out.AppendHeader(sipmsg.NewHeader("Supported", strings.Join(append(supported, "path"), ", ")))
	}
}
