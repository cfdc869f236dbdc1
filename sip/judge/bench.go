package judge

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/campaign"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/identity"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/signature"
)

// Bench is what calls are judged by. Its fields are set once, before the first
// Open; it is then safe for concurrent use, and calls keep the Bench that they
// were opened on. Use it by pointer.
type Bench struct {
	Rules      *rules.Set      // required
	Fusion     *policy.Fusion  // nil is the built-in one
	Voice      *voice.Model    // nil is the built-in one
	Turns      *turns.Weights  // nil is the built-in ones
	Signatures *signature.Set  // nil is the built-in ones
	Campaigns  *campaign.Index // nil: campaigns are not looked for
	Config     Config
	Mode       policy.Mode // recorded with the calls; judgement is the same in both
	Early      bool        // callers are screened in early media

	once sync.Once
	zone *time.Location
	hops hops
}

// prepare fills in what was left to the built-in. The voice comes last: should
// its model be broken, calls are judged without it.
func (b *Bench) prepare() {
	zone, err := b.Config.Zone()
	if err != nil {
		zone = time.UTC // Config.Check has told
	}
	b.zone = zone
	if b.Fusion == nil {
		b.Fusion = policy.DefaultFusion()
	}
	if b.Turns == nil {
		b.Turns = turns.DefaultWeights()
	}
	if b.Signatures == nil {
		b.Signatures = signature.Default()
	}
	if b.Voice == nil {
		b.Voice = voice.Default()
	}
}

// Arrival is an INVITE as it came.
type Arrival struct {
	Raw           []byte         // the message as received, byte for byte; not kept
	At            time.Time      // when it was received
	Transport     string         // udp, tcp, tls, ws, wss
	Source        netip.AddrPort // who sent it
	Trunk         string         // name of the trunk it came by
	TrustIdentity bool           // the trunk may assert identities
	Load          policy.Load    // what the call meets; zero: not known
	Identity      *stir.Result   // what its Identity headers are worth; nil: they were not verified
	Copy          *Copy          // the message is not the caller's own; nil: it is
	Shift         time.Duration  // how much later than At it is to the rules, in a trial of another day; 0: it is At
}

// Copy is a call that a recording client sends a copy of (RFC 7866). The INVITE is
// the client's then: its make says nothing of the caller, and who calls stands in
// the metadata.
type Copy struct {
	From, FromHost, DisplayName string // the caller's address; empty: not known
	To                          string // who is called
}

// Open opens a call and returns the decision of stage arrival. With an error
// the call cannot be judged; the decision is then to fail open.
func (b *Bench) Open(a Arrival) (*Call, policy.Decision, error) {
	if b.Rules == nil {
		return nil, b.FailOpen(a.At, policy.Arrival, policy.ReasonAnalysisFailed), errors.New("judge: the bench has no rules")
	}
	b.once.Do(b.prepare)
	method, target, ok := requestLine(a.Raw)
	if !ok || method != "INVITE" {
		return nil, b.FailOpen(a.At, policy.Arrival, policy.ReasonAnalysisFailed),
			fmt.Errorf("judge: a call begins with an INVITE, not with %.60q", fingerprint.StartLine(a.Raw))
	}
	c := newCall(b, a)
	if a.Copy == nil {
		fingerprint.Examine(a.Raw, func(m *fingerprint.Message) {
			c.print = m.Print()
			c.made = b.Signatures.Match(m, a.Source.Addr(), a.At)
		})
		c.signalling = append(c.print.Evidence(), c.made.Evidence(c.print.UserAgent)...)
	}
	if a.Identity != nil {
		c.signalling = append(c.signalling, a.Identity.Evidence()...)
	}
	c.describe(a, target)
	c.evaluate(a.At)
	d := c.rules()
	c.take(d)
	return c, d, nil
}

// Drops reports whether a datagram bears a signature whose messages are dropped
// before they are parsed.
func (b *Bench) Drops(raw []byte) bool {
	if b == nil {
		return signature.Default().Drops(raw)
	}
	b.once.Do(b.prepare)
	return b.Signatures.Drops(raw)
}

// FailOpen is the decision to let a call pass unjudged, with a reason code of
// the P4xx kind.
func (b *Bench) FailOpen(at time.Time, stage policy.Stage, reason string) policy.Decision {
	d := policy.Decision{At: at, Stage: stage, Rule: rules.DefaultRule, Action: policy.ToAgents,
		Destination: rules.Defaults().DefaultDestination, Reason: reason}
	if b.Rules != nil {
		d.Destination = b.Rules.Destination()
	}
	return d
}

// requestLine splits the first line of a request (RFC 3261 section 7.1).
func requestLine(raw []byte) (method string, target []byte, ok bool) {
	m, rest, _ := bytes.Cut(fingerprint.StartLine(raw), []byte{' '})
	target, version, ok := bytes.Cut(rest, []byte{' '})
	return string(m), target, ok && bytes.HasPrefix(bytes.ToUpper(version), []byte("SIP/"))
}

// describe fills in the facts that the INVITE settles.
func (c *Call) describe(a Arrival, target []byte) {
	if a.Copy != nil {
		f := &c.facts
		f.From, f.FromHost, f.DisplayName, f.To = a.Copy.From, a.Copy.FromHost, a.Copy.DisplayName, a.Copy.To
		f.Anonymous, f.Trunk = f.From == "", a.Trunk
		a.Load.Put(f)
		c.bench.Rules.Fill(f)
		return
	}
	who := identity.Of(a.Raw, a.TrustIdentity)
	_, called, _, _, _ := fingerprint.SplitURI(target)
	f := &c.facts
	f.From, f.FromHost, f.DisplayName, f.Anonymous = who.User, who.Host, who.DisplayName, who.Anonymous
	f.To, f.Trunk, f.Emergency = string(called), a.Trunk, who.Emergency
	f.Signed, f.Verstat, f.Attestation = who.Signed, who.Verstat, who.Attestation
	f.CallReason, f.CallInfo, f.Capabilities = who.CallReason, who.CallInfo, who.Capabilities
	verified(f, a.Identity)
	f.Automata, f.Actor, f.TextOffered = c.print.Automata, c.print.Actor, c.print.TextMedia
	f.Stack, f.UserAgent, f.PrintID = c.made.Stack, c.print.UserAgent, c.print.ID
	f.Signature, f.SignatureKind, f.Signatures = c.made.Name(), c.made.Kind(), c.made.Names()
	a.Load.Put(f)
	c.bench.Rules.Fill(f)
}

// verified puts what was found out about the signatures before what the trunk
// says. Where nothing was, the trunk's word stands.
func verified(f *policy.Facts, r *stir.Result) {
	if r == nil {
		return
	}
	f.IdentityCode = r.Code
	if r.Verstat != stir.None || f.Verstat == "" {
		f.Verstat = string(r.Verstat)
	}
	switch r.Verstat {
	case stir.Passed:
		f.Attestation, f.OrigID, f.Diverted = r.Attest, r.OrigID, len(r.Diverted) > 0
	case stir.Failed:
		f.Attestation = ""
	}
	if r.Rich != nil {
		f.RichName = r.Rich.Name
		if r.Rich.Reason != "" {
			f.CallReason = r.Rich.Reason
		}
	}
}
