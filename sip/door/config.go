package door

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/hep"
	"github.com/portero/portero/sip/identity/verifier"
	"github.com/portero/portero/sip/limit"
	"github.com/portero/portero/sip/refusal"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/upstream"
)

// maxMessage is what a datagram can hold.
const maxMessage = 65535

// Config is the signalling side of a door.
type Config struct {
	// Listen are the sockets for SIP, as transport:address:port with transport
	// udp, tcp, tls, ws or wss and a concrete IP address (that of IPv6 in
	// brackets), which is also what peers are told, unless " advertise host:port"
	// stands behind. Default: udp and tcp on 127.0.0.1:5060.
	Listen []string `yaml:"listen"`
	// Advertise is the address (host or host:port) told to peers in Via, Contact
	// and Record-Route, for a door behind NAT; its port is that of udp and tcp.
	// Default: the listener's own address.
	Advertise string `yaml:"advertise"`
	// TLS are the certificates of listeners and connections over TLS.
	TLS TLS `yaml:"tls"`
	// WebSocket is how the listeners ws and wss take calls.
	WebSocket WebSocket `yaml:"websocket"`
	// Keepalive is how often the door sends a CRLF keep-alive on TCP and TLS
	// connections that it made (RFC 5626 section 4.4.1). A peer that does not
	// answer within 10 s is disconnected, so all that are connected to must answer
	// them. Default: 0s, never.
	Keepalive time.Duration `yaml:"keepalive"`
	// MaxConnections is how many TCP and TLS connections peers may have open.
	// Default: 4096.
	MaxConnections int `yaml:"max_connections"`
	// MaxConnectionsPerPeer is how many of them may come from one address (from
	// one /64 of IPv6). Default: 256.
	MaxConnectionsPerPeer int `yaml:"max_connections_per_peer"`
	// Trunks are the carriers that are served. Nobody else is.
	Trunks []Trunk `yaml:"trunks"`
	// Destinations are the named places a call can go to.
	Destinations map[string]Destination `yaml:"destinations"`
	// PBX are further addresses (or networks) of the PBX from which requests are
	// taken, besides the hosts of the destinations.
	PBX []string `yaml:"pbx"`
	// Proxy names the destination that gets everything that is not a call:
	// REGISTER, OPTIONS, MESSAGE, SUBSCRIBE. Default: agents.
	Proxy string `yaml:"proxy"`
	// Strangers says what an address that is neither trunk nor PBX gets: drop
	// (nothing, the default) or refuse (403 to an INVITE over UDP, five a second
	// at most).
	Strangers string `yaml:"strangers"`
	// MaxCalls is how many calls the door holds; more get 503 with Retry-After.
	// Default: 2000.
	MaxCalls int `yaml:"max_calls"`
	// MaxCallsPerTrunk bounds one trunk's share of MaxCalls. Default: 0, no bound.
	MaxCallsPerTrunk int `yaml:"max_calls_per_trunk"`
	// Sockets is how many UDP sockets share a listener's address (SO_REUSEPORT),
	// each with a reader of its own: 0 to 64. Peers are spread over them, the
	// messages of one peer stay in order. Default: 0, one a processor.
	Sockets int `yaml:"sockets"`
	// MaxMessage is the largest SIP message read, bytes. Default: 32768.
	MaxMessage int `yaml:"max_message"`
	// MaxHeaders is how many header lines a message may have. Default: 128.
	MaxHeaders int `yaml:"max_headers"`
	// RingTimeout ends a call attempt that rings for so long (RFC 3261 timer C).
	// Default: 3m.
	RingTimeout time.Duration `yaml:"ring_timeout"`
	// AnswerTimeout is how long a target may stay silent before the attempt is
	// given up; less, if try_for has to do for several. Default: 8s.
	AnswerTimeout time.Duration `yaml:"answer_timeout"`
	// SessionTimers are how the door finds out that one side of a call is gone.
	SessionTimers SessionTimers `yaml:"session_timers"`
	// Upstream is the choice among the targets of a destination; its keys stand
	// among these.
	Upstream upstream.Config `yaml:",inline"`
	// MaxDelay is the longest that an INVITE may have waited before the door gets
	// round to it. By then its caller has sent it again and more wait behind it: it
	// gets 503 with Retry-After before anything is spent on it, so that the carrier
	// tries elsewhere and the door catches up. Emergency calls are served. Default:
	// 2s; 0 is no bound.
	MaxDelay time.Duration `yaml:"max_delay"`
	// MaxCallRate is how many calls a second are taken, with as many at once after
	// a pause; more get 503 with Retry-After before anything is spent on them.
	// Emergency calls have as much again for themselves. Default: 0, no bound.
	MaxCallRate int `yaml:"max_call_rate"`
	// ReliableProvisional says whether the door takes part in reliable provisional
	// responses (100rel and PRACK, RFC 3262), on each leg for itself: pass (the
	// default), or off, where neither side is told of them and a caller who
	// requires them is refused with 420. Preconditions (RFC 3312) need them.
	ReliableProvisional string `yaml:"reliable_provisional"`
	// Drain is how long calls may go on after SIGTERM before they are ended.
	// Default: 30s.
	Drain time.Duration `yaml:"drain"`
	// CallerID is the address callbacks are made from, as a SIP URI.
	// Default: sip:portero@ the listener.
	CallerID string `yaml:"caller_id"`
	// CallbackVia names the destination through which callbacks are dialled.
	// Default: agents.
	CallbackVia string `yaml:"callback_via"`
	// FlowSecret signs the routes to phones that register through the door; doors
	// that share a PBX and its phones share it. Default: none, and the machine's
	// id serves.
	FlowSecret Secret `yaml:"flow_secret"`
	// Refer says who carries out a transfer (REFER): pass leaves it to the other
	// side; handle has the door do it itself, to targets that the configuration
	// names, when the other side cannot. Default: pass.
	Refer string `yaml:"refer"`
	// Outbound says which numbers the PBX may call, and by which trunk; the first
	// rule that fits counts. Default: none, and calls of the PBX get 403.
	Outbound []OutboundRule `yaml:"outbound"`
	// SRTPSuites are the suites of SRTP that are taken, the most preferred first;
	// offers have the first two, as more would not fit into an INVITE over UDP.
	// Default: all six, AES_CM_128_HMAC_SHA1_80 and AEAD_AES_128_GCM first.
	SRTPSuites []string `yaml:"srtp_suites"`
	// Limits bound what sources, trunks and callers may do.
	Limits limit.Config `yaml:"limits"`
	// HEP mirrors all signalling, and RTCP if wanted, to a Homer. Default: off.
	HEP hep.Config `yaml:"hep"`
	// Identity is how signatures of callers' numbers are verified
	// (STIR/SHAKEN).
	Identity verifier.Config `yaml:"identity"`
	// Refusal is what callers are told that a rule rejects.
	Refusal refusal.Config `yaml:"refusal"`
}

// Trunk is a carrier.
type Trunk struct {
	// Name is what rules, records and logs call it.
	Name string `yaml:"name"`
	// Addresses are the IP addresses or networks its signalling comes from. A
	// trunk with a name in its uri needs none.
	Addresses []string `yaml:"addresses"`
	// TrustIdentity believes what this trunk asserts: P-Asserted-Identity (RFC
	// 3325), verstat and attestation, P-Charge-Info (RFC 8496) and other
	// P- headers. Otherwise they are taken out of what goes on to the PBX, and
	// the PBX's own do not leave by this trunk. Default: false.
	TrustIdentity bool `yaml:"trust_identity"`
	// AssertIdentity lets what the PBX asserts leave by this trunk although the
	// trunk is not believed: a carrier that wants P-Asserted-Identity. What a
	// caller wants withheld (Privacy: id) does not leave even then.
	// Default: false.
	AssertIdentity bool `yaml:"assert_identity"`
	// Credentials answer the carrier's digest challenges. Default: none, and its
	// challenges pass to the PBX.
	Credentials Credentials `yaml:"credentials"`
	// URI is where calls of the PBX to this trunk go: a SIP URI with one of the
	// trunk's addresses, or with a name, whose addresses are the trunk's too as
	// DNS tells them (RFC 3263); a port and transport if not 5060 and UDP.
	// Default: none, and no call goes out by this trunk.
	URI string `yaml:"uri"`
	// Record has the calls of this trunk recorded, whatever their destination; a
	// call of the PBX by this trunk too. Default: false.
	Record bool `yaml:"record"`
	// SIPREC says that this is no carrier but a session recording client (RFC 7866),
	// an SBC that sends copies of its calls. The door listens, judges and tells (see
	// webhook), and is in no call's way. Default: false.
	SIPREC bool `yaml:"siprec"`
	// SIPRECCaller says which of the copied streams is the caller's: metadata (whose
	// participant joined first, else the first one named that sends a stream; without
	// metadata the first stream) or label:NAME, the stream of that a=label.
	// Default: metadata.
	SIPRECCaller string `yaml:"siprec_caller"`
	// Register keeps the door registered at a carrier that wants it.
	Register Register `yaml:"register"`
	// SRTP is what is done about SRTP with keys in the descriptions (SDES, RFC 4568)
	// on this trunk's legs: optional takes it when it is offered, as RTP/SAVP or at
	// best effort (RFC 8643), and offers it at best effort when the other side of
	// the call is encrypted; required offers RTP/SAVP, and refuses with 488 what is
	// not encrypted; off takes and offers none; pass hands keys and packets between
	// the two sides untouched, whatever the destination says, and nothing can be
	// heard or said. The keys are as safe as the signalling that bears them: TLS.
	// Default: optional.
	SRTP string `yaml:"srtp"`
}

// Destination is a place a call can go to: one PBX, or several for the same
// calls.
type Destination struct {
	// URI is the short form for a destination with one target. Either it or
	// targets must be given.
	URI string `yaml:"uri"`
	// Targets are the PBXs that serve this destination.
	Targets []upstream.Target `yaml:"targets"`
	// Redirects says what is done with a 3xx of the destination: pass it to the
	// caller, or follow it, to addresses of the PBX only and to 5 at most.
	// Default: pass.
	Redirects string `yaml:"redirects"`
	// Record has calls recorded while they are here. A rule that wants its calls
	// recorded names a destination of its own with the same targets.
	// Default: false.
	Record bool `yaml:"record"`
	// Credentials answer the destination's digest challenges. Default: none, and
	// its challenges pass to the caller.
	Credentials Credentials `yaml:"credentials"`
	// SRTP is what is done about SRTP on the legs to and from the PBX: optional,
	// required or off, as for trunks. That of default_destination is for calls of
	// the PBX too. Default: optional.
	SRTP string `yaml:"srtp"`
}

// Defaults is the configuration of a door that nobody configured.
func Defaults() Config {
	return Config{
		Listen:        []string{"udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"},
		TLS:           TLS{ClientCertificates: "none"},
		WebSocket:     WebSocket{Path: "/", MaxConnections: 2048, MaxConnectionsPerPeer: 64},
		Strangers:     "drop",
		Proxy:         "agents",
		CallbackVia:   "agents",
		Refer:         referPass,
		MaxCalls:      2000,
		MaxDelay:      2 * time.Second,
		MaxMessage:    32 << 10,
		MaxHeaders:    128,
		RingTimeout:   3 * time.Minute,
		AnswerTimeout: 8 * time.Second,
		SessionTimers: SessionTimers{Enabled: true, Expires: 30 * time.Minute, MinSE: 90 * time.Second},
		Upstream:      upstream.Defaults(),
		Drain:         30 * time.Second,
		Limits:        limit.Defaults(),
		HEP:           hep.Defaults(),

		ReliableProvisional: "pass",
		Identity:            verifier.Defaults(),
		SRTPSuites:          slices.Clone(srtpSuites),
		Refusal:             refusal.Defaults(),

		MaxConnections: 4096, MaxConnectionsPerPeer: 256,
	}
}

// Check reports every mistake by its path below the door's configuration.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if len(c.Listen) == 0 {
		fault("listen", "no listener; allowed: a list like udp:192.0.2.1:5060, tcp:192.0.2.1:5060")
	}
	for i, l := range c.Listen {
		if _, err := parseListen(l); err != nil {
			fault(fmt.Sprintf("listen[%d]", i), "%v", err)
		}
	}
	c.TLS.check(c, fault)
	c.WebSocket.check(c, fault)
	names := map[string]bool{}
	for i, t := range c.Trunks {
		at := fmt.Sprintf("trunks[%d]", i)
		switch {
		case t.Name == "":
			fault(at+".name", "a trunk needs a name")
		case names[t.Name]:
			fault(at+".name", "trunk %q is there twice", t.Name)
		}
		names[t.Name] = true
		if _, named := t.host(); len(t.Addresses) == 0 && !named && (t.Name == "" || t.Name != c.WebSocket.Trunk) {
			fault(at+".addresses", "trunk %q has no address and could never be used; allowed: IP addresses and networks", t.Name)
		}
		for j, a := range t.Addresses {
			if _, err := parsePrefix(a); err != nil {
				fault(fmt.Sprintf("%s.addresses[%d]", at, j), "%v", err)
			}
		}
		t.Credentials.check(at+".credentials", fault)
		t.Register.check(t, at+".register", fault)
		checkSRTP(at+".srtp", t.SRTP, fault, srtpOptional, srtpRequired, srtpOff, srtpPass)
		t.checkSIPREC(at, fault)
	}
	c.checkOutbound(fault)
	if len(c.Destinations) == 0 {
		fault("destinations", "no destination; at least the one of default_destination is needed")
	}
	for name, d := range c.Destinations {
		d.Credentials.check("destinations."+name+".credentials", fault)
		d.check(func(path, format string, args ...any) { fault("destinations."+name+path, format, args...) })
	}
	for i, s := range c.SRTPSuites {
		if sdp.SuiteBytes(s) == 0 {
			fault(fmt.Sprintf("srtp_suites[%d]", i), "%q is not known; allowed: %s", s, strings.Join(sdp.Suites(), ", "))
		}
	}
	c.Upstream.Check(fault)
	for i, a := range c.PBX {
		if _, err := parsePrefix(a); err != nil {
			fault(fmt.Sprintf("pbx[%d]", i), "%v", err)
		}
	}
	for _, r := range []struct{ path, name string }{{"proxy", c.Proxy}, {"callback_via", c.CallbackVia}} {
		if _, ok := c.Destinations[r.name]; !ok && len(c.Destinations) > 0 {
			fault(r.path, "%q is not a destination; allowed: %s", r.name, strings.Join(c.DestinationNames(), ", "))
		}
	}
	c.Limits.Check(func(path, format string, args ...any) { fault("limits."+path, format, args...) })
	c.HEP.Check(func(path, format string, args ...any) { fault("hep."+path, format, args...) })
	c.Identity.Check(func(path, format string, args ...any) { fault("identity."+path, format, args...) })
	c.Refusal.Check(func(path, format string, args ...any) { fault("refusal."+path, format, args...) })
	if c.Strangers != "drop" && c.Strangers != "refuse" {
		fault("strangers", "%q is not known; allowed: drop, refuse", c.Strangers)
	}
	if c.Refer != referPass && c.Refer != referHandle {
		fault("refer", "%q is not known; allowed: pass, handle", c.Refer)
	}
	if c.ReliableProvisional != "pass" && c.ReliableProvisional != "off" {
		fault("reliable_provisional", "%q is not known; allowed: pass, off", c.ReliableProvisional)
	}
	if c.Advertise != "" {
		if _, err := parseHost(c.Advertise); err != nil {
			fault("advertise", "%v", err)
		}
	}
	if c.CallerID != "" {
		var u sipmsg.Uri
		if err := sipmsg.ParseUri(c.CallerID, &u); err != nil || u.Host == "" || u.User == "" || (u.Scheme != "sip" && u.Scheme != "sips") {
			fault("caller_id", "%q is not a SIP URI with a user, like sip:+15550100@192.0.2.1", c.CallerID)
		}
	}
	for _, r := range []struct {
		path     string
		n, least int
	}{
		{"max_calls", c.MaxCalls, 1}, {"max_calls_per_trunk", c.MaxCallsPerTrunk, 0},
		{"max_call_rate", c.MaxCallRate, 0}, {"max_message", c.MaxMessage, 1024}, {"max_headers", c.MaxHeaders, 16},
		{"max_connections", c.MaxConnections, 1}, {"max_connections_per_peer", c.MaxConnectionsPerPeer, 1},
	} {
		if r.n < r.least {
			fault(r.path, "%d is too small; allowed: %d and more", r.n, r.least)
		}
	}
	if c.Sockets < 0 || c.Sockets > 64 {
		fault("sockets", "%d is not a number of sockets; allowed: 0 to 64", c.Sockets)
	}
	if c.MaxMessage > maxMessage {
		fault("max_message", "%d is more than a datagram holds; allowed: up to %d", c.MaxMessage, maxMessage)
	}
	if c.Keepalive != 0 && c.Keepalive < minKeepalive {
		fault("keepalive", "%v is not a time between keep-alives; allowed: %v and more, or 0s for none", c.Keepalive, minKeepalive)
	}
	c.SessionTimers.check(fault)
	for _, r := range []struct {
		path string
		d    time.Duration
		zero bool
	}{
		{"ring_timeout", c.RingTimeout, false}, {"answer_timeout", c.AnswerTimeout, false}, {"drain", c.Drain, true}, {"max_delay", c.MaxDelay, true},
	} {
		if r.d < 0 || r.d == 0 && !r.zero {
			fault(r.path, "%v is not a time to wait; allowed: more than 0s", r.d)
		}
	}
}

// DestinationNames lists the destinations, sorted.
func (c Config) DestinationNames() []string {
	return sortedKeys(c.Destinations)
}

// TrunkOf returns the trunk an address belongs to.
func (c Config) TrunkOf(a netip.Addr) (Trunk, bool) {
	for _, t := range c.Trunks {
		for _, s := range t.Addresses {
			if p, err := parsePrefix(s); err == nil && p.Contains(a.Unmap()) {
				return t, true
			}
		}
	}
	return Trunk{}, false
}

func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("%q is not a network like 192.0.2.0/24", s)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q: %s", s, zoned)
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an IP address or network; names are not taken here, as their addresses change", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
