package door

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/auth"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transport"
	"github.com/portero/portero/sip/upstream"
)

// legState is where a leg's dialog stands (RFC 3261 section 12).
type legState int

const (
	legIdle    legState = iota // nothing was sent or answered yet
	legCalling                 // INVITE sent or received, no provisional response with a tag
	legEarly                   // early dialog
	legUp                      // 2xx sent or received
	legGone                    // ended; nothing more is sent on it but ACKs and BYEs for late 2xx
)

func (s legState) String() string {
	return [...]string{"idle", "calling", "early", "up", "gone"}[s]
}

// leg is one SIP dialog of a call. Its fields belong to the call's goroutine,
// except those set before it is entered in the door's books.
type leg struct {
	c    *call
	role string // caller or far
	dest string // the destination's name, for a far leg

	search *search           // for the target of a leg that the door dialled
	at     *upstream.Attempt // the target: where it is, and the leg's place there
	// unsearched is the same for a leg that was sent there by a transfer or a
	// redirection: it counts, and goes nowhere else.
	unsearched *upstream.Attempt

	uas bool // the peer sent the first INVITE
	log *zap.Logger

	// The dialog (RFC 3261 section 12): set at its start, but for the remote
	// tag, target and routes.
	hop        *hop
	transport  string
	peer       string // host:port the peer's signalling was last seen at, or is sent to first
	connection uint64 // that the peer made; 0: the door makes its own
	callID     string
	localTag   string
	remoteTag  string
	local      party
	remote     party
	target     sipmsg.Uri
	routes     []sipmsg.Uri
	cseq       uint32
	remoteCSeq uint32

	foreign bool // a trunk whose assertions are not believed (trust.go)
	outside bool // a trunk that nothing asserted leaves to

	state     legState
	invite    *sipmsg.Request // the first INVITE, either way
	in        *incoming       // the peer's INVITE that has no final response yet
	out       *outgoing       // our INVITE that has no final response yet
	taken     []*outgoing     // our INVITEs that had a 2xx
	alone     map[string]*ownEarly
	unwanted  bool            // a leg we dialled and no longer want: CANCEL, or ACK and BYE
	unacked   *unacked        // our 2xx that waits for its ACK
	ack       *sipmsg.Request // our last ACK, sent again for a repeated 2xx
	ackCSeq   uint32
	lateOffer bool // our INVITE had no offer: the 2xx has it and the ACK the answer

	timer    sessionTimer
	own      *ownReinvite // our INVITE that no other leg asked for
	waiting  []*incoming  // requests of the peer's that were handed on and have no final response yet
	updating *incoming    // the peer's UPDATE that has no final response yet
	offering *outgoing    // our UPDATE with an offer that has no final response yet
	unforked *dialog      // as it was before there was an early dialog; nil before that
	turned   *early       // the branch of a far leg whose dialog the fields above are

	session            uint64 // o= session id
	version            uint64 // o= version
	sent               string // last description sent, without its o= line
	theirs             *sdp.Description
	mux                bool // RTCP on RTP's port is agreed with the peer, or offered (RFC 5761)
	ours               *sdp.Description
	far                *relay.Far        // the media ports toward a far leg
	web                *browser          // the peer speaks WebRTC; nil: it does not
	srtp               string            // off, optional, required, pass (secure.go); empty: untouched
	keys               map[string][]byte // by suite: what the leg sends with
	suite              string            // agreed on last
	bestEffort, strict bool              // the last offer was SRTP at best effort (RFC 8643); that was refused, RTP/SAVP is not
	counted            bool              // counts as a busy agent

	added     []sdp.Codec // what the door added to the last offer that this leg's peer got (convert.go)
	agreement agreement   // what a far leg's conversion follows from
	converted string      // that conversion; empty when packets pass untouched

	answered time.Time
	ended    time.Time
	code     int

	pinned    bool           // the peer is reached where it was last seen and nowhere else (flow.go)
	allows    []string       // methods in the peer's last Allow; none: it said nothing
	referrals []referral     // REFERs that went this way
	decided   func(code int) // told the final response to the INVITE that the leg came with

	auth *auth.Client // answers the peer's challenges; nil: they pass to the other side
}

// party is one end of a dialog as From and To show it.
type party struct {
	display string
	uri     sipmsg.Uri
	params  sipmsg.HeaderParams // without the tag
}

func partyOf(display string, uri sipmsg.Uri, params sipmsg.HeaderParams) party {
	p := party{display: display, uri: *uri.Clone()}
	for _, kv := range params {
		if !strings.EqualFold(kv.K, "tag") {
			p.params = append(p.params, kv)
		}
	}
	return p
}

func (p party) withTag(tag string) sipmsg.HeaderParams {
	params := append(sipmsg.HeaderParams(nil), p.params...)
	if tag != "" {
		params.Add("tag", tag)
	}
	return params
}

func (p party) from(tag string) *sipmsg.FromHeader {
	return &sipmsg.FromHeader{DisplayName: p.display, Address: *p.uri.Clone(), Params: p.withTag(tag)}
}

func (p party) to(tag string) *sipmsg.ToHeader {
	return &sipmsg.ToHeader{DisplayName: p.display, Address: *p.uri.Clone(), Params: p.withTag(tag)}
}

// request makes a request in the leg's dialog (RFC 3261 section 12.2.1.1). ACK
// and CANCEL take the CSeq of their INVITE, set by the caller.
func (l *leg) request(method sipmsg.RequestMethod) *sipmsg.Request {
	recipient, routes := l.target.Clone(), l.routes
	if len(routes) > 0 {
		if _, loose := routes[0].UriParams.Get("lr"); !loose { // a router of RFC 2543 looks at the Request-URI
			recipient, routes = routes[0].Clone(), append(slices.Clone(routes[1:]), l.target)
			recipient.Headers = nil
			recipient.UriParams.Remove("method")
		}
	}
	req := sipmsg.NewRequest(method, *recipient)
	over, hostport := l.nextHop()
	req.AppendHeader(l.hopTo(over, hostport).via(over))
	for _, r := range routes {
		req.AppendHeader(&sipmsg.RouteHeader{Address: *r.Clone()})
	}
	mf := sipmsg.MaxForwardsHeader(70)
	req.AppendHeader(&mf)
	req.AppendHeader(l.local.from(l.localTag))
	req.AppendHeader(l.remote.to(l.remoteTag))
	id := sipmsg.CallIDHeader(l.callID)
	req.AppendHeader(&id)
	if method != sipmsg.ACK {
		l.cseq++
	}
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: l.cseq, MethodName: method})
	switch method {
	case sipmsg.INVITE, sipmsg.UPDATE, sipmsg.SUBSCRIBE, sipmsg.NOTIFY, sipmsg.REFER:
		req.AppendHeader(l.contact())
	}
	l.address(req, over, hostport)
	return req
}

// contact is where the peer reaches this leg.
func (l *leg) contact() *sipmsg.ContactHeader {
	u := l.hop.contact(l.local.uri.User, l.transport)
	if l.isSIPS() {
		makeSIPS(&u, l.transport)
	}
	h := &sipmsg.ContactHeader{Address: u}
	if l.c.srs != nil { // RFC 7866 section 6.1.2
		h.Params = sipmsg.NewParams()
		h.Params.Add("+sip.srs", "")
	}
	return h
}

// address says which of the door's sockets a request leaves by, and where to.
func (l *leg) address(req *sipmsg.Request, over, hostport string) {
	req.SetTransport(over)
	req.SetDestination(hostport)
	l.hopTo(over, hostport).leave(req, over)
}

// hopTo is the socket for a request: the leg's own, unless the peer wants another
// transport within the dialog.
func (l *leg) hopTo(over, hostport string) *hop {
	if l.hop.transport == over {
		return l.hop
	}
	return l.c.d.hopFor(over, hostport)
}

// nextHop is where the dialog's requests go: the first route or the remote
// target (RFC 3261 section 12.2.1.1) if the configuration names that address,
// else where the peer's signalling came from. The latter serves peers behind
// NAT and keeps the door from sending to places a Contact makes up. A peer that
// came by WebSocket is at the other end of it, whatever it says (RFC 7118 section
// 5).
func (l *leg) nextHop() (over, hostport string) {
	if transport.IsWebSocket(l.transport) {
		return l.transport, l.peer
	}
	if l.pinned {
		return l.transport, l.peer
	}
	lost := false
	if l.transport != transport.UDP && l.uas {
		if l.connected() {
			return l.transport, l.peer
		}
		lost = true
	}
	u := &l.target
	if len(l.routes) > 0 {
		u = &l.routes[0]
	}
	over, port, ok := place(u, l.transport)
	if !ok {
		return l.transport, l.peer
	}
	a, err := netip.ParseAddr(trimBrackets(u.Host))
	if err == nil && l.c.d.knows(a) {
		return over, netip.AddrPortFrom(a, uint16(port)).String()
	}
	if peer, err := netip.ParseAddrPort(l.peer); err == nil && lost {
		// Nobody listens where a lost connection came from.
		return over, netip.AddrPortFrom(peer.Addr(), uint16(port)).String()
	}
	return l.transport, l.peer
}

// connected says whether the connection that the peer made is open.
func (l *leg) connected() bool {
	a, err := netip.ParseAddrPort(l.peer)
	return err == nil && l.c.d.net.Connected(l.transport, a, l.connection)
}

// connectionFor is the connection that a request of the leg must go by, 0: any.
// A peer of TCP or TLS whose connection is lost may be where its Contact says.
func (l *leg) connectionFor(req *sipmsg.Request) uint64 {
	if req.Transport() != l.transport || req.Destination() != l.peer {
		return 0
	}
	if l.pinned || transport.IsWebSocket(l.transport) || l.connected() {
		return l.connection
	}
	return 0
}

// establish takes the dialog's remote side from a response to our INVITE
// (RFC 3261 section 12.1.2).
func (l *leg) establish(res *sipmsg.Response) {
	if tag, ok := res.To().Params.Get("tag"); ok {
		l.remoteTag = tag
	}
	l.retarget(res.Contact())
	if a := allowed(res); len(a) > 0 {
		l.allows = a
	}
	l.routes = nil
	rr := headersOf(res, "Record-Route")
	for i := len(rr) - 1; i >= 0; i-- {
		if h, ok := rr[i].(*sipmsg.RecordRouteHeader); ok {
			l.routes = append(l.routes, *h.Address.Clone())
		}
	}
}

// retarget follows the peer's Contact (RFC 3261 section 12.2, target refresh).
func (l *leg) retarget(c *sipmsg.ContactHeader) {
	if c != nil && c.Address.Host != "" && !c.Address.Wildcard {
		l.target = *c.Address.Clone()
	}
}

// described counts the description's version up when it differs from the last
// one sent on this leg (RFC 3264 section 8), and sets its origin to the leg's
// own: the two legs are two sessions. toward is what of the peer's its encryption
// fits (secure.go).
func (l *leg) described(d *sdp.Description, at netip.Addr, toward *sdp.Description) []byte {
	user := "-"
	for i := range d.Lines {
		if d.Lines[i].Type == 'o' {
			if f := strings.Fields(d.Lines[i].Value); len(f) > 0 {
				user = f[0]
			}
			d.Lines = append(d.Lines[:i], d.Lines[i+1:]...)
			break
		}
	}
	if m := anchored(d); m != nil && m.Port != 0 && l.mux && l.web == nil && !muxes(d) {
		m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: "rtcp-mux"})
	}
	wire := l.dressed(d, toward)
	rest := string(wire.Bytes())
	if rest != l.sent {
		if l.sent != "" {
			l.version++
		}
		l.sent = rest
	}
	family := "IP4"
	if at.Is6() && !at.Is4In6() {
		family = "IP6"
	}
	o := sdp.Line{Type: 'o', Value: user + " " + strconv.FormatUint(l.session, 10) + " " + strconv.FormatUint(l.version, 10) +
		" IN " + family + " " + at.String()}
	if wire != d {
		wire.Lines = slices.Insert(wire.Lines, min(1, len(wire.Lines)), o)
	}
	d.Lines = slices.Insert(d.Lines, min(1, len(d.Lines)), o) // after v=
	l.ours = d
	return wire.Bytes()
}

// gone marks the leg's end.
func (l *leg) gone(code int) {
	for _, at := range []*upstream.Attempt{l.at, l.unsearched} {
		if at != nil {
			at.Done()
		}
	}
	if l.state == legGone {
		return
	}
	l.state = legGone
	l.ended = time.Now()
	l.timer.stop()
	l.abandon()
	if l.code == 0 {
		l.code = code
	}
	if l.unacked != nil {
		l.unacked.stop()
		l.unacked = nil
	}
	if l.counted {
		l.counted = false
		l.c.d.deps.Surge.Agent(-1)
	}
	l.c.d.dropDialog(l)
	l.c.forgetBranches(l)
}
