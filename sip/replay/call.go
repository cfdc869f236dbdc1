package replay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/sip/auth"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transport"
)

// Times of RFC 3261 section 17, and our own.
const (
	t1       = 500 * time.Millisecond
	t2       = 4 * time.Second
	patience = 64 * t1 // Timers B, F and H
	// ending is how long a call that is being ended from outside may take.
	ending = 3 * time.Second
	// linger is how long a call that is over answers what comes late.
	linger = patience
)

// inbound is a message of the far side's.
type inbound struct {
	flow transport.Flow
	*message
}

// call is one recorded call being placed. Its goroutine alone touches it; the
// run's readers put what comes into inbox.
type call struct {
	run    *runner
	rec    *Recording
	script script
	id     identity
	inbox  chan inbound
	timers timers
	media  *media

	began    time.Time // the first INVITE
	flow     Flow
	note     string // why it ended otherwise than by the flow
	attempt  int
	invite   *request // outside the dialog, in progress or answered
	early    *dialog  // of the newest response of 101 to 199 with a tag
	dialog   *dialog  // of the 2xx
	rang     bool
	hangUp   bool // the CANCEL's moment has come
	number   int  // last CSeq used
	auth     *auth.Client
	learnt   bool // a challenge was answered
	requests []*request
	pracked  map[string]bool
	cracked  int // PRACKs sent
	served   map[string]*served
	replied  map[string]int   // replies taken from the recording, by method
	own      *sdp.Description // sent last
	playing  bool             // the packets from playAt on go out
	next     int              // of the recorded packets
	playFrom time.Time        // when the packet of recorded time playAt goes out
	playAt   time.Duration
	over     bool

	firstBranch     string // of the first INVITE, chosen beforehand; "" once it is used
	sameFingerprint bool   // as the recorded INVITE
}

// request is one that was sent, until its final response.
type request struct {
	method   string
	branch   string
	template *message
	dialog   *dialog
	sent     *message
	raw      []byte
	to       netip.AddrPort
	signed   int
	again    *timer // retransmission
	giveUp   *timer
	heard    bool   // a provisional response
	final    int    // code of the final response
	ack      []byte // of a final response that is no 2xx, or of the 2xx
	ackTo    netip.AddrPort
	done     func(res *inbound) // nil when nothing came
}

// served is a request of the far side's that was answered.
type served struct {
	flow  transport.Flow
	to    netip.AddrPort
	raw   []byte
	again *timer // of a 2xx to an INVITE, until its ACK
}

// place runs the call until it is over, then tells and lingers.
func (c *call) place(ctx context.Context, told func()) {
	defer c.media.close()
	c.began = time.Now()
	c.startAttempt(0)
	stop := ctx.Done()
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	reported := false
	for {
		if c.over && !reported {
			reported = true
			c.playing = false
			c.flow.Received, c.flow.Lost = c.media.heard()
			told()
			stop = c.run.closing
			c.timers.at(time.Now().Add(linger), func() { stop = closed })
		}
		wait := time.Hour
		if at, ok := c.timers.next(); ok {
			wait = max(time.Until(at), 0)
		}
		clock.Reset(wait)
		select {
		case m := <-c.inbox:
			c.receive(&m)
		case <-clock.C:
			c.timers.run(time.Now())
		case <-stop:
			if reported {
				return
			}
			stop = nil
			c.abort()
		}
	}
}

// closed is a channel that is.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (c *call) since() time.Duration { return time.Since(c.began) }

// after does something after a pause of the recording's, as the speed has it.
func (c *call) after(pause time.Duration, do func()) *timer {
	return c.timers.at(time.Now().Add(c.run.scaled(pause)), func() {
		if !c.over {
			do()
		}
	})
}

func (c *call) finish(ended string) {
	if ended != "" {
		c.flow.end(ended, c.since())
	}
	c.over = true
	for _, r := range c.requests {
		r.again.stop()
		r.giveUp.stop()
	}
}

// abort ends the call from outside: BYE, or CANCEL.
func (c *call) abort() {
	c.note = "ended before its time"
	c.timers.at(time.Now().Add(ending), func() { c.finish("") })
	switch {
	case c.dialog != nil:
		c.bye(nil)
	case c.invite != nil && c.invite.final == 0:
		c.cancel()
	default:
		c.finish("")
	}
}

// startAttempt sends an INVITE outside the dialog.
func (c *call) startAttempt(n int) {
	c.attempt, c.rang, c.early = n, false, nil
	a := c.script.attempts[n]
	if d := describes(a.invite); d != nil {
		c.own = d
	}
	c.invite = c.send("INVITE", a.invite, nil, c.final)
	c.ringLong(c.invite)
	if n > 0 {
		return
	}
	if c.script.cancel != nil {
		c.after(c.script.cancel.pause, c.cancel)
	}
	c.cue(fromInvite)
}

// ringLong gives up an INVITE that has had no final response for much longer
// than the recorded one; one that had none is given up where its recording ends.
func (c *call) ringLong(r *request) {
	recorded := c.rec.Flow()
	final, had := recorded.final()
	wait := c.run.scaled(time.Duration(final.At)) + patience
	if !had {
		wait = c.run.scaled(c.rec.end) + c.run.options.Patience
	}
	c.timers.at(time.Now().Add(wait), func() {
		switch {
		case c.over || r.final != 0 || c.hangUp:
		case !had && !r.heard:
			c.finish("")
		case had:
			c.note = "no final response for " + Seconds(c.since()).String()
			c.cancel()
		default:
			c.cancel()
		}
	})
}

// cue schedules the requests whose time is counted from an event that was now.
func (c *call) cue(a anchor) {
	for _, q := range c.script.cues {
		if q.after == a {
			c.after(q.pause, func() { c.perform(q.message) })
		}
	}
}

// perform sends a request of the recorded caller's own accord.
func (c *call) perform(m *message) {
	if m.method() == "BYE" {
		c.bye(m)
		return
	}
	d := c.dialog
	if d == nil {
		d = c.early
	}
	if d == nil {
		return // there is nobody to send it to yet; the flows part elsewhere
	}
	if m.method() == "INVITE" && (c.dialog == nil || c.reinviting()) {
		return
	}
	if d := describes(m); d != nil {
		c.own = d
	}
	c.send(m.method(), m, d, func(res *inbound) {
		if res == nil || res.code() >= 300 {
			return
		}
		if m.method() == "INVITE" || m.method() == "UPDATE" {
			c.learn(res)
		}
	})
}

// reinviting says whether an INVITE of ours inside the dialog awaits its answer.
func (c *call) reinviting() bool {
	return slices.ContainsFunc(c.requests, func(r *request) bool { return r.method == "INVITE" && r != c.invite && r.final == 0 })
}

// send sends a new request made of a recorded one and sees to its retransmission
// and, should it be challenged, its repetition with credentials.
func (c *call) send(method string, template *message, d *dialog, done func(*inbound)) *request {
	r := &request{method: method, template: template, dialog: d, done: done}
	c.transmit(r)
	c.requests = append(c.requests, r)
	return r
}

func (c *call) transmit(r *request) {
	recorded, _ := r.template.cseq()
	n := recorded + c.id.move
	if n <= c.number {
		n = c.number + 1
	}
	c.number = n
	first := c.firstBranch != ""
	if r.branch = c.firstBranch; !first {
		r.branch = c.run.branch(c.id.tokens, branchOf(r.template))
	}
	c.firstBranch = ""
	r.sent = c.id.request(r.template, r.dialog, r.branch, n, nil)
	if c.learnt && (r.signed > 0 || r.template.index("Authorization") >= 0 || r.template.index("Proxy-Authorization") >= 0) {
		if answers := c.sign(r.sent); answers != nil {
			r.sent = c.id.request(r.template, r.dialog, r.branch, n, answers)
		}
	}
	r.raw = r.sent.bytes()
	if first {
		c.sameFingerprint = fingerprint.Of(r.raw).ID == c.rec.Fingerprint().ID
	}
	r.to = r.dialog.hop(c.id.protocol, c.run.options.Addr)
	r.heard, r.final = false, 0
	c.out(r.to, r.raw)
	if !transport.Reliable(c.id.protocol) {
		c.repeat(r, t1)
	}
	r.giveUp = c.timers.at(time.Now().Add(patience), func() {
		if r.final == 0 && !(r.method == "INVITE" && r.heard) {
			r.again.stop()
			r.final = 408
			r.done(nil)
		}
	})
}

// branchOf is the branch that a request's is to be like.
func branchOf(m *message) string {
	b := m.branch()
	if b == "" || b == "z9hG4bK" { // not even the recorded one told requests apart
		return "z9hG4bK0000000000"
	}
	return b
}

// repeat retransmits until something is heard (Timer A), or a final response is
// there (Timer E).
func (c *call) repeat(r *request, wait time.Duration) {
	r.again = c.timers.at(time.Now().Add(wait), func() {
		if r.final != 0 || r.method == "INVITE" && r.heard {
			return
		}
		c.out(r.to, r.raw)
		wait *= 2
		if r.method != "INVITE" {
			wait = min(wait, t2)
		}
		c.repeat(r, wait)
	})
}

func (c *call) out(to netip.AddrPort, raw []byte) {
	if err := c.run.send(to, raw); err != nil && c.note == "" {
		c.note = err.Error()
	}
}

// receive takes a message of the far side's.
func (c *call) receive(m *inbound) {
	if m.code() == 0 {
		c.serve(m)
		return
	}
	_, method := m.cseq()
	branch := m.branch()
	i := slices.IndexFunc(c.requests, func(r *request) bool { return r.branch == branch && r.method == method })
	if i < 0 {
		return
	}
	r := c.requests[i]
	code := m.code()
	switch {
	case code < 200:
		if r.final == 0 {
			r.heard = true
			if r == c.invite {
				c.provisional(m)
			}
		}
	case r.final != 0:
		c.repeated(r, m)
	default:
		r.final = code
		r.again.stop()
		r.giveUp.stop()
		if method == "INVITE" {
			c.acknowledge(r, m)
		}
		if (code == 401 || code == 407) && c.challenged(r, m) {
			return
		}
		r.done(m)
	}
}

// repeated answers a final response that came before.
func (c *call) repeated(r *request, m *inbound) {
	if r.method != "INVITE" || r.ack == nil {
		return
	}
	if m.code() < 300 && r == c.invite && c.dialog != nil && m.tag("To") != c.dialog.tag {
		// Another branch of a fork answered, too: one call is enough (RFC 3261
		// section 13.2.2.4).
		d := dialogOf(m.message)
		c.out(d.hop(c.id.protocol, c.run.options.Addr), c.id.request(derive(r.template, "ACK"), d, c.run.branch(c.id.tokens, r.branch), c.inviteNumber(r), nil).bytes())
		c.send("BYE", derive(r.template, "BYE"), d, func(*inbound) {})
		return
	}
	c.out(r.ackTo, r.ack)
}

func (c *call) inviteNumber(r *request) int {
	n, _ := r.sent.cseq()
	return n
}

// acknowledge sends the ACK of a final response to an INVITE (RFC 3261 sections
// 17.1.1.3 and 13.2.2.4).
func (c *call) acknowledge(r *request, m *inbound) {
	recorded, _ := r.template.cseq()
	template := c.script.acks[recorded]
	if template == nil {
		template = derive(r.template, "ACK")
	}
	var ack *message
	if m.code() >= 300 {
		template = derive(template, "ACK") // without a body and routes, as this one has to be
		ack = c.id.request(template, r.dialog, r.branch, c.inviteNumber(r), nil)
		ack.setURI(r.sent.uri())
		ack.edit("To", func(v []byte) []byte { return setParam(v, "tag", []byte(m.tag("To")), m.tag("To") != "") })
		r.ackTo = r.to
	} else {
		d := dialogOf(m.message)
		if r.dialog != nil { // only the target is refreshed (RFC 3261 section 12.2.1.2)
			d.tag, d.routes = r.dialog.tag, r.dialog.routes
			r.dialog.target = d.target
		}
		var credentials []credential
		for _, name := range []string{"Authorization", "Proxy-Authorization"} {
			for _, v := range r.sent.all(name) {
				credentials = append(credentials, credential{name, string(v)})
			}
		}
		if describes(r.sent) != nil || describes(m.message) == nil {
			template = template.clone()
			template.drop("Content-Type", "Content-Disposition")
			template.body = nil
		} else if describes(template) == nil {
			template = c.lateAnswer(template, m)
		}
		ack = c.id.request(template, d, c.run.branch(c.id.tokens, r.branch), c.inviteNumber(r), credentials)
		r.ackTo = d.hop(c.id.protocol, c.run.options.Addr)
	}
	r.ack = ack.bytes()
	c.out(r.ackTo, r.ack)
}

// lateAnswer puts an answer to the offer of a 2xx into an ACK that was recorded
// without one.
func (c *call) lateAnswer(ack *message, m *inbound) *message {
	offer := describes(m.message)
	if c.own == nil || offer == nil {
		return ack
	}
	a := ack.clone()
	a.body = answer(c.own, offer)
	a.set("Content-Type", []byte("application/sdp"))
	a.length(true)
	return a
}

// provisional takes a response of less than 200 to the INVITE.
func (c *call) provisional(m *inbound) {
	code := m.code()
	c.flow.respond(code, c.since())
	if c.hangUp {
		c.sendCancel()
	}
	if code == 100 {
		return
	}
	if tag := m.tag("To"); tag != "" {
		c.early = dialogOf(m.message)
		c.prack(m)
	}
	if !c.rang {
		c.rang = true
		c.cue(fromRing)
	}
	c.flow.codec(describes(m.message))
	if c.learn(m) {
		c.playEarly()
	}
}

// prack acknowledges a reliable provisional response (RFC 3262).
func (c *call) prack(m *inbound) {
	seq := string(m.get("RSeq"))
	reliable := slices.ContainsFunc(m.all("Require"), func(v []byte) bool { return strings.Contains(strings.ToLower(string(v)), "100rel") })
	if seq == "" || !reliable || c.pracked[m.tag("To")+seq] {
		return
	}
	c.pracked[m.tag("To")+seq] = true
	var template *message
	if c.cracked < len(c.script.pracks) {
		template = c.script.pracks[c.cracked]
		c.cracked++
	} else {
		template = derive(c.invite.template, "PRACK")
	}
	template = template.clone()
	template.set("RAck", fmt.Appendf(nil, "%s %s", seq, m.get("CSeq")))
	if describes(c.invite.sent) != nil && describes(m.message) != nil {
		// The response answered; another offer, or an answer of the recording's, would
		// be out of place.
		template.drop("Content-Type", "Content-Disposition")
		template.body = nil
	} else if describes(m.message) != nil && describes(template) == nil {
		template = c.lateAnswer(template, m)
	}
	template.length(false)
	c.send("PRACK", template, c.early, func(*inbound) {})
}

// final takes the final response to an INVITE outside the dialog, nil when none
// came.
func (c *call) final(m *inbound) {
	if m == nil {
		c.note = "nothing came back within " + Seconds(c.since()).String()
		c.finish("")
		return
	}
	code := m.code()
	c.flow.respond(code, c.since())
	if code < 300 {
		c.answered(m)
		return
	}
	if !c.hangUp && c.note == "" && c.attempt+1 < len(c.script.attempts) {
		n := c.attempt + 1
		c.after(c.script.attempts[n].pause, func() {
			if c.hangUp {
				c.finish("cancelled")
				return
			}
			c.startAttempt(n)
		})
		return
	}
	c.finish("refused")
}

func (c *call) answered(m *inbound) {
	c.dialog = dialogOf(m.message)
	c.flow.codec(describes(m.message))
	c.learn(m)
	if c.hangUp || c.note != "" {
		c.bye(nil)
		return
	}
	c.play()
	c.cue(fromAnswer)
	if slices.ContainsFunc(c.script.cues, func(q cue) bool { return q.method() == "BYE" && q.after == fromAnswer }) {
		return
	}
	switch {
	case !c.script.answered && c.script.cancel != nil: // hangs up when it would have given up
	case !c.script.answered:
		c.bye(nil)
	case c.script.farBye:
		c.timers.at(time.Now().Add(c.run.scaled(c.script.talk)+c.run.options.Patience), func() {
			if !c.over {
				c.bye(nil)
			}
		})
	default:
		c.after(c.script.talk, func() { c.bye(nil) })
	}
}

// cancel gives up a call that is not answered yet; one that is gets a BYE.
func (c *call) cancel() {
	c.hangUp = true
	switch {
	case c.dialog != nil:
		c.bye(nil)
	case c.invite.final != 0:
	case c.invite.heard:
		c.sendCancel()
	default:
		// A CANCEL may only follow a provisional response (RFC 3261 section 9.1).
	}
}

func (c *call) sendCancel() {
	if c.flow.Ended != "" {
		return
	}
	c.flow.end("cancelled", c.since())
	r := c.invite
	template := derive(r.template, "CANCEL")
	if c.script.cancel != nil {
		template = c.script.cancel.message.clone()
		template.edit("Via", func(v []byte) []byte { return v[:outside(v, ',')] })
	}
	n := &request{method: "CANCEL", branch: r.branch, template: template, to: r.to, done: func(*inbound) {}}
	n.sent = c.id.request(template, nil, r.branch, c.inviteNumber(r), nil)
	n.sent.setURI(r.sent.uri())
	n.raw = n.sent.bytes()
	c.out(n.to, n.raw)
	if !transport.Reliable(c.id.protocol) {
		c.repeat(n, t1)
	}
	c.requests = append(c.requests, n)
	// The far side owes a 487; one that owes for ever is left (section 9.1).
	c.timers.at(time.Now().Add(patience), func() {
		if !c.over && c.dialog == nil {
			c.finish("")
		}
	})
}

// bye ends the dialog; template is the recorded BYE, if it is its moment.
func (c *call) bye(template *message) {
	if c.dialog == nil && c.early != nil && template != nil && c.invite.final == 0 {
		// As some do who are not answered (RFC 3261 section 15 lets them).
		c.flow.end("caller", c.since())
		c.send("BYE", template, c.early, func(*inbound) { c.finish("") })
		return
	}
	if c.dialog == nil || slices.ContainsFunc(c.requests, func(r *request) bool { return r.method == "BYE" && r.dialog == c.dialog }) {
		return
	}
	if template == nil {
		template = derive(c.invite.template, "BYE")
		for _, q := range c.script.cues {
			if q.method() == "BYE" {
				template = q.message
			}
		}
	}
	c.playing = false
	c.flow.end("caller", c.since())
	c.send("BYE", template, c.dialog, func(*inbound) { c.finish("") })
}

// learn takes from a message where the far side wants media; false: nothing
// there says so.
func (c *call) learn(m *inbound) bool {
	d := describes(m.message)
	if d == nil {
		return false
	}
	c.media.learn(d, m.flow.Remote.Addr())
	return true
}

// playEarly begins with the packets that the recorded caller sent before the
// answer, if it did.
func (c *call) playEarly() {
	if c.playing || len(c.rec.packets) == 0 || c.rec.unencodable {
		return
	}
	from, ok := c.rec.earlyMedia()
	if !ok || c.rec.packets[0].at >= c.rec.answerAt() {
		return
	}
	c.roll(0, min(from, c.rec.packets[0].at))
}

// play begins with the packets after the answer.
func (c *call) play() {
	if c.rec.unencodable {
		return
	}
	at := c.rec.answerAt()
	first := 0
	if _, ok := c.rec.earlyMedia(); ok {
		first = slices.IndexFunc(c.rec.packets, func(p packet) bool { return p.at >= at })
	}
	if first < 0 || len(c.rec.packets) == 0 {
		return
	}
	// What was captured just ahead of the answer goes out right after it.
	c.roll(first, min(at, c.rec.packets[first].at))
}

// roll sends the packets from one on, counted from a recorded time that is now.
func (c *call) roll(first int, at time.Duration) {
	running := c.playing
	c.playing, c.next, c.playFrom, c.playAt = true, first, time.Now(), at
	if !running {
		c.tick()
	}
}

// due is when a packet goes out.
func (c *call) due(p packet) time.Time {
	d := p.at - c.playAt
	if c.run.options.SpeedRTP {
		d = c.run.scaled(d)
	}
	return c.playFrom.Add(d)
}

func (c *call) tick() {
	now := time.Now()
	for c.playing && c.next < len(c.rec.packets) && !c.due(c.rec.packets[c.next]).After(now) {
		p := c.rec.packets[c.next]
		c.next++
		if c.media.send(p) {
			c.flow.Sent++
		}
	}
	if !c.playing || c.next == len(c.rec.packets) {
		c.playing = false
		return
	}
	c.timers.at(c.due(c.rec.packets[c.next]), c.tick)
}

// challenged answers a challenge; false: it cannot be, and is the final word.
func (c *call) challenged(r *request, m *inbound) bool {
	if c.auth == nil || r.method == "CANCEL" || r.signed >= 3 {
		return false
	}
	if err := c.auth.Challenged(parsedResponse(m.message), parsedRequest(r.sent)); err != nil {
		if !errors.Is(err, auth.ErrNotOurs) && c.note == "" {
			c.note = err.Error()
		}
		return false
	}
	if r == c.invite {
		c.flow.respond(m.code(), c.since())
		if s := c.script.attempts[c.attempt].signed; s != nil {
			r.template = s
			if d := describes(s); d != nil {
				c.own = d
			}
		}
	}
	spent := *r // the challenge may come again, and wants its ACK again
	c.requests = append(c.requests, &spent)
	r.signed++
	c.learnt = true
	c.transmit(r)
	return true
}
