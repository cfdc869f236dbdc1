package trace

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Limits on what one call may make us hold.
const (
	maxMethods = 64 // distinct method names, and as many response codes
	maxInvites = 32 // CSeq numbers of initial INVITEs
)

// How long a call is kept after its last sign of life, in capture time.
const (
	lingerEnded  = 64 * time.Second // 128·T1: every retransmission has come by then
	lingerTrying = 5 * time.Minute  // more than any Timer C
	lingerTalk   = time.Hour        // an answered call whose BYE was not captured
	lingerIdle   = time.Hour        // no call: the usual life of a registration
)

// call gathers the messages of one Call-ID, call or not.
type call struct {
	id    string
	last  time.Time // of a message or a media packet
	due   time.Time // when it is looked at next
	place int       // among the dues

	from, to  address // of the first initial INVITE, else of the first message
	invited   bool    // an INVITE or a response to one was seen: it is a call
	methods   numbers // requests
	responses numbers // by status code

	initial  []string // CSeq numbers of the INVITEs outside the dialog
	inviteAt time.Time
	ringAt   time.Time
	answerAt time.Time
	byeAt    time.Time
	cancelAt time.Time
	finalAt  time.Time // of final or, without one, of auth
	answer   int       // the 2xx
	final    int       // last final response that was neither 2xx nor a challenge
	auth     int       // last 401 or 407, 0 again when an INVITE followed it

	flags   flags
	early   []string // To tags of provisional responses to initial INVITEs
	answers []string // and of 2xx
	codecs  []string // names in session descriptions, of static payload types too
	mapped  []string // names in their a=rtpmap lines
	count   int      // messages

	faxes    []*fax
	faxPorts []netip.AddrPort // where descriptions want T.38

	links  []*link
	marks  []string // in the indices of links
	origin []uint64

	tryingAt time.Time
	ringCode int
	byeFrom  netip.Addr

	exchange exchange
	hop      hop
	way      way
	ladder   ladder
	media    []*endpoint
	epoch    int // counts changes of media
	streams  []*stream
	witness  *witness
	hearing  *hearing // of who listens to it; nil: nobody yet
	listed   bool     // among those to be told in order
	closed   bool
}

// hop is the path on which the first initial INVITE was seen. A capture at a
// proxy shows a call at several; the caller is the one on the first.
type hop struct{ src, dst netip.AddrPort }

// fromCaller says whether a message went the way of the first INVITE. One end may
// have another port (answers to a request without rport go to one), but not another
// address: what a proxy sends on went from its address, and is of the next hop.
func (h hop) fromCaller(src, dst netip.AddrPort) bool {
	one := Hop{Source: h.src, Destination: h.dst}
	return one.spans(src, dst)
}

// toCaller says whether it went the other way.
func (h hop) toCaller(src, dst netip.AddrPort) bool { return h.fromCaller(dst, src) }

// message takes one message of the call.
func (c *call) message(m *message, src, dst netip.AddrPort, at time.Time) {
	c.last = later(c.last, at)
	c.count++
	c.exchange.message(m, at)
	defer c.mark(m)
	if m.code > 0 {
		c.response(m, at)
		return
	}
	c.methods.add(m.method)
	switch m.method {
	case "INVITE":
		c.invite(m, src, dst, at)
	case "BYE":
		if c.byeAt.IsZero() {
			c.byeAt, c.byeFrom = at, src.Addr()
		}
	case "CANCEL":
		if c.cancelAt.IsZero() {
			c.cancelAt = at
		}
	}
	if !c.invited && c.from == (address{}) {
		c.from, c.to = m.from.clone(), m.to.clone()
	}
}

func (c *call) invite(m *message, src, dst netip.AddrPort, at time.Time) {
	// An INVITE with a To tag is inside a dialog, unless the capture began
	// there: then it is all there is of the call's beginning.
	if m.to.tag != "" && !c.answerAt.IsZero() {
		c.invited = true
		return
	}
	if c.inviteAt.IsZero() {
		c.inviteAt = at
		c.hop = hop{src, dst}
		c.from, c.to = m.from.clone(), m.to.clone()
	}
	c.invited = true
	if c.begin(m.cseq) {
		c.auth = 0
	}
}

// begin notes the CSeq number of an initial INVITE and says if it is a new one.
func (c *call) begin(cseq string) bool {
	if slices.Contains(c.initial, cseq) || len(c.initial) >= maxInvites {
		return false
	}
	c.initial = append(c.initial, strings.Clone(cseq))
	return true
}

func (c *call) response(m *message, at time.Time) {
	c.responses.add(m.status)
	if c.from == (address{}) {
		c.from, c.to = m.from.clone(), m.to.clone()
	}
	if m.cseqMethod != "INVITE" {
		return
	}
	if !c.invited {
		// The capture begins after the INVITE.
		c.invited = true
		c.from, c.to = m.from.clone(), m.to.clone()
		c.begin(m.cseq)
	}
	if !slices.Contains(c.initial, m.cseq) {
		return
	}
	switch {
	case m.code >= 180 && m.code <= 183:
		if c.ringAt.IsZero() {
			c.ringAt, c.ringCode = at, m.code
		}
	case m.code == 100:
		if c.tryingAt.IsZero() {
			c.tryingAt = at
		}
	case m.code < 200:
	case m.code < 300:
		if c.answer == 0 {
			c.answer, c.answerAt = m.code, at
		}
	case c.answer != 0: // a re-INVITE of the other side with the same number
	case m.code == 401 || m.code == 407:
		// A challenge that comes again after the INVITE it asked for is a copy.
		if m.cseq == c.initial[len(c.initial)-1] {
			c.auth = m.code
			if c.final == 0 {
				c.finalAt = at
			}
		}
	default:
		c.final, c.finalAt = m.code, at
	}
}

// outcome follows the definitions that Outcome's constants state.
func (c *call) outcome() (Outcome, int) {
	code := c.final
	if code == 0 {
		code = c.auth
	}
	switch {
	case c.answer > 0:
		return Answered, c.answer
	case !c.cancelAt.IsZero() || code == 487:
		return Cancelled, code
	case code == 486 || code == 600:
		return Busy, code
	case code == 603:
		return Declined, code
	case code == 401 || code == 407:
		return AuthFailed, code
	case code == 0:
		return NoFinal, code
	case code < 400:
		return Redirected, code
	}
	return Failed, code
}

// ended is when the call ended, or the zero time.
func (c *call) ended() time.Time {
	switch {
	case !c.byeAt.IsZero() && (c.answer > 0 || c.final == 0):
		return c.byeAt
	case c.answer > 0:
		return time.Time{}
	case c.final > 0 || c.auth > 0:
		return c.finalAt
	}
	return c.cancelAt
}

// patience is how long after its last sign of life more of the call is
// expected. Where there are many Call-IDs, those that are no calls get little.
func (c *call) patience(many bool) time.Duration {
	switch {
	case !c.invited && !many:
		return lingerIdle
	case !c.invited || !c.ended().IsZero():
		return lingerEnded
	case c.answer > 0:
		return lingerTalk
	}
	return lingerTrying
}

// report is what is told of the call. prior is the probability of a machine
// when nothing was judged.
func (c *call) report(prior float64) *Call {
	r := &Call{
		CallID: c.id, FromUser: c.from.user, ToUser: c.to.user, FromHost: c.from.host, ToHost: c.to.host,
		Methods: c.methods.table(), Responses: c.responses.table(), MessageCount: c.count,
		InviteAt: moment(c.inviteAt), RingingAt: moment(c.ringAt),
		AnsweredAt: moment(c.answerAt), EndedAt: moment(c.ended()),
		Streams: []Stream{}, Faxes: []Fax{}, Links: []Link{}, heard: -1,
		TryingAt: moment(c.tryingAt), CancelAt: moment(c.cancelAt), ByeAt: moment(c.byeAt),
		Setup: between(c.inviteAt, c.answerAt), PDD: between(c.inviteAt, c.ringAt), Duration: between(c.answerAt, c.byeAt),
		Codecs: nonNil(c.codecs), Mapped: nonNil(c.mapped), Flags: c.flagNames(),
		Hops: c.way.hops, Messages: c.ladder.messages, MessagesLeftOut: c.ladder.left,
	}
	if c.ringCode > 0 {
		r.RingCode = &c.ringCode
	}
	if c.byeFrom.IsValid() {
		r.ByeFrom = c.byeFrom.String()
	}
	var code int
	if r.Outcome, code = c.outcome(); code > 0 {
		r.FinalCode = &code
	}
	for i, s := range c.streams {
		r.Streams = append(r.Streams, s.report())
		if s.heard && (r.heard < 0 || r.Streams[i].Packets > r.Streams[r.heard].Packets) {
			r.heard = i
		}
	}
	for _, l := range c.links {
		if told, ok := l.report(c); ok {
			r.Links = append(r.Links, told)
		}
	}
	for _, f := range c.faxes {
		r.Faxes = append(r.Faxes, f.report())
	}
	r.Fingerprint, r.Verdict, r.Decision, r.Decisions = &Fingerprint{}, unjudged(prior), &Decision{}, []Decision{}
	if w := c.witness; w != nil && w.findings.verdict != nil {
		for _, f := range c.faxes {
			r.Faxes = append(r.Faxes, f.report())
		}
		r.Fingerprint, r.Verdict, r.Decisions = w.findings.print, w.findings.verdict, w.findings.decisions
		r.Decision = &r.Decisions[len(r.Decisions)-1] // there is one from the arrival on
	}
	return r
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// numbers counts messages by a name. A call has few names.
type numbers []number

type number struct {
	name string
	n    int
}

func (c *numbers) add(name string) {
	for i := range *c {
		if (*c)[i].name == name {
			(*c)[i].n++
			return
		}
	}
	if len(*c) < maxMethods {
		*c = append(*c, number{strings.Clone(name), 1})
	}
}

func (c numbers) table() map[string]int {
	out := make(map[string]int, len(c))
	for _, x := range c {
		out[x.name] = x.n
	}
	return out
}

// flagNames is what happened in the call.
func (c *call) flagNames() []string {
	f := c.flags
	if len(c.way.hops) > 1 {
		f |= flagMultiHop
	}
	if c.invited && c.inviteAt.IsZero() {
		f |= flagNoInvite
	}
	return f.names()
}

// between is the time from one moment to another, s; nil when either is not known.
func between(from, to time.Time) *float64 {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	s := to.Sub(from).Seconds()
	return &s
}

func moment(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
