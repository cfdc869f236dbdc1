package door

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/sdp"
)

// Reliable provisional responses (RFC 3262), on each leg for itself:
//
//	caller            far leg's 18x   the caller's 18x
//	no 100rel         reliable        as usual; the door sends PRACK
//	100rel supported  reliable        reliable with an RSeq of its own
//	100rel supported  not             as usual
//	100rel required   any             reliable
//
// Who sends PRACK for the far leg's response, and when: the door at once, when
// nothing can come with it. Where the caller's PRACK may bring an offer or has to
// bring an answer (section 5) the far leg's waits for it and takes it along, and
// so does the response to it.

// maxProvisionals is how many responses may wait in one branch for the PRACK of
// the one before; a destination that sends more is not heard.
const maxProvisionals = 8

// provisional is a reliable response to the caller that waits for its PRACK, or
// for its turn.
type provisional struct {
	res    *sipmsg.Response
	rseq   uint32
	wait   time.Duration
	timer  *time.Timer
	giveUp *time.Timer

	// The far leg's response that this one stands for still wants its PRACK.
	owed    bool
	owedSeq uint32 // its RSeq
	invite  uint32 // CSeq of the INVITE it answers
	e2e     bool   // which takes along what the caller's PRACK brings
}

func (p *provisional) stop() {
	if p.timer != nil {
		p.timer.Stop()
		p.giveUp.Stop()
	}
}

// described says whether a response has a session description.
func (p *provisional) described() bool { return bodyOf(p.res).sdp() != nil }

// reliable says whether the door takes part in RFC 3262.
func (d *Door) reliable() bool { return d.cfg.ReliableProvisional != "off" }

// supports100rel says whether the caller can be sent reliable responses.
func (c *call) supports100rel() bool {
	return c.d.reliable() && c.caller.uas && (supports(c.caller.invite, "100rel") || c.requires100rel())
}

// requires100rel says whether the caller takes no other.
func (c *call) requires100rel() bool {
	return c.d.reliable() && c.caller.uas && slices.Contains(options(c.caller.invite, "Require"), "100rel")
}

// provisional sends the caller a provisional response in a branch, which is the
// one the call is turned to.
func (c *call) provisional(b *early, p *provisional, reliable bool) {
	b.shown = true
	if !reliable {
		c.caller.respond(c.caller.in, p.res)
		return
	}
	if b.waiting == nil {
		c.sendReliable(b, p)
		return
	}
	if len(b.queue) >= maxProvisionals {
		c.d.deps.Metrics.SIPDropped("too_many_provisionals")
		return
	}
	b.queue = append(b.queue, p)
}

// sendReliable sends a response that asks for PRACK, again and again until it
// comes (RFC 3262 section 3).
func (c *call) sendReliable(b *early, p *provisional) {
	if b.lastOut == 0 {
		b.lastOut = rand.Uint32N(1 << 30)
	}
	b.lastOut++
	p.rseq = b.lastOut
	p.res.AppendHeader(sipmsg.NewHeader("Require", "100rel"))
	p.res.AppendHeader(sipmsg.NewHeader("RSeq", strconv.FormatUint(uint64(p.rseq), 10)))
	b.waiting = p
	p.wait = c.d.timers.T1
	p.timer = c.after(p.wait, func() { c.sendAgain(b, p) })
	p.giveUp = c.after(c.d.timers.Timeout(), func() { c.notPracked(b, p) })
	c.caller.respond(c.caller.in, p.res)
	if p.owed && !p.e2e {
		p.owed = false
		b.far.prack(b, p.owedSeq, p.invite)
	}
}

func (c *call) sendAgain(b *early, p *provisional) {
	if b.waiting != p || !c.ringingCaller() {
		return
	}
	c.caller.respond(c.caller.in, p.res)
	p.wait *= 2 // without the bound of T2
	p.timer = c.after(p.wait, func() { c.sendAgain(b, p) })
}

// notPracked: no PRACK in 64*T1. The caller does not hear what it is told, and
// gets a 5xx (RFC 3262 section 3).
func (c *call) notPracked(b *early, p *provisional) {
	if b.waiting != p || b.over || c.ending || !c.ringingCaller() {
		return
	}
	c.log.Warn("the caller never sent PRACK for a reliable response and is refused; it may be lost on the way, or be told sip.reliable_provisional: off",
		zap.Int("status", p.res.StatusCode), zap.Uint32("rseq", p.rseq))
	c.rec.Errors = append(c.rec.Errors, "no PRACK from the caller")
	c.refuse(504, "Server Time-out: no PRACK came")
}

// silence ends the sending of a branch's responses.
func (b *early) silence() {
	if b.waiting != nil {
		b.waiting.stop()
	}
	b.queue, b.then = nil, nil
}

// onPrack is the caller's PRACK.
//
//	what it brings                      what happens
//	a RAck that nothing waits for       481
//	nothing                             200; the far leg gets its PRACK if it still waits for one
//	the answer to the offer in our 18x  both go on to the far leg, its response comes back
//	a new offer                         the same if that can take it, else 488
func (l *leg) onPrack(in *incoming) {
	c := l.c
	b := c.turned
	seq, cseq, ok := rack(in.req)
	if !ok {
		l.respondPlain(in, 400, "Bad Request: no readable RAck")
		return
	}
	if l != c.caller || b == nil || b.waiting == nil || b.waiting.rseq != seq || b.waiting.res.CSeq().SeqNo != cseq {
		l.respondPlain(in, 481, "Call/Transaction Does Not Exist")
		return
	}
	p := b.waiting
	p.stop()
	b.waiting = nil
	if b.over || !c.ringingCaller() {
		l.respondPlain(in, 200, "OK")
		return
	}
	c.pracked(b, p, in)
	c.nextProvisional(b)
}

// pracked hands on what the caller's PRACK brings, or answers it.
func (c *call) pracked(b *early, p *provisional, in *incoming) {
	l := c.caller
	body := bodyOf(in.req)
	desc, err := l.read(body)
	answers := b.nearOffer == ourOffer
	code, reason := 200, "OK"
	switch {
	case err != nil:
		code, reason = 400, "Bad Request: "+err.Error()
	case answers && desc == nil:
		code, reason = 400, "Bad Request: the PRACK has to answer the offer"
	case desc != nil && !answers && (!p.owed || b.nearOffer != noOffer || b.awayOffer != noOffer):
		code, reason = 488, "Not Acceptable Here"
	case desc != nil || len(body.data) > 0 && p.owed:
		c.passPrack(b, p, in, desc, answers)
		return
	}
	l.respondPlain(in, code, reason)
	if p.owed {
		b.far.prack(b, p.owedSeq, p.invite)
	}
	if answers {
		c.refuse(400, "Bad Request: the PRACK had no answer")
	}
}

// passPrack sends the far leg its PRACK with what the caller's has.
func (c *call) passPrack(b *early, p *provisional, in *incoming, desc *sdp.Description, answers bool) {
	l, far, before := c.caller, b.far, b.far.ours
	req := far.prackRequest(p.owedSeq, p.invite)
	passHeaders(in.req, req)
	body := bodyOf(in.req)
	switch {
	case desc == nil:
		setBody(req, body.contentType, body.data)
	case answers:
		c.describe(b, l, desc)
		b.nearOffer, b.awayOffer = noOffer, noOffer
		b.agreed, b.answered = true, true
		setBody(req, body.contentType, body.with(far.rewriteAnswer(desc, far.theirs)))
		c.agreedOn(b)
	default:
		b.nearOffer, b.awayOffer, b.changed = theirOffer, ourOffer, true
		setBody(req, body.contentType, body.with(far.rewrite(desc)))
	}
	b.passing++
	done := func() {
		b.passing--
		if desc != nil && !answers {
			b.nearOffer, b.awayOffer = noOffer, noOffer
		}
	}
	far.send(req, func(res *sipmsg.Response) {
		if res.IsProvisional() {
			return
		}
		done()
		if b.over {
			l.respondPlain(in, 481, "Call/Transaction Does Not Exist")
			return
		}
		c.turn(b)
		code, reason := theirs(res)
		out := l.reply(in, code, reason)
		passHeaders(res, out)
		rb := bodyOf(res)
		answer, err := far.read(rb)
		if !res.IsSuccess() && !answers {
			far.ours = before
		}
		if err == nil && answer != nil && desc != nil && !answers && res.IsSuccess() {
			c.describe(b, l, desc)
			c.describe(b, far, answer)
			setBody(out, rb.contentType, rb.with(l.rewriteAnswer(answer, desc)))
			c.agreedOn(b)
		} else if answer == nil || !res.IsSuccess() {
			setBody(out, rb.contentType, l.inRefusal(rb))
		}
		l.respond(in, out)
		c.settled(b)
	}, func(err error) {
		done()
		far.log.Info("no answer to a PRACK", zap.Error(err))
		l.respondPlain(in, 408, "Request Timeout")
		c.settled(b)
	})
}

// agreedOn tells the judge what the caller talks, if it is this branch he hears.
func (c *call) agreedOn(b *early) {
	if c.heard == b {
		c.agreed()
	}
}

// nextProvisional sends what has waited for a PRACK.
func (c *call) nextProvisional(b *early) {
	if b.over || !c.ringingCaller() || b.waiting != nil {
		return
	}
	if len(b.queue) > 0 {
		p := b.queue[0]
		b.queue = b.queue[1:]
		c.sendReliable(b, p)
		return
	}
	c.settled(b)
}

// settled lets go on what waited for the branch's PRACKs.
func (c *call) settled(b *early) {
	if f := b.then; f != nil && b.still() {
		b.then = nil
		c.turn(b)
		f()
	}
}

// still says whether nothing of a branch waits for a PRACK or the response to one.
func (b *early) still() bool { return b.waiting == nil && len(b.queue) == 0 && b.passing == 0 }

// whenStill runs f when the caller has sent PRACK for everything: a 2xx must not
// overtake it (RFC 3262 section 3). Responses without a description that were not
// sent yet are not sent any more.
func (c *call) whenStill(b *early, f func()) {
	b.queue = slices.DeleteFunc(b.queue, func(p *provisional) bool {
		if p.described() {
			return false
		}
		if p.owed {
			b.far.prack(b, p.owedSeq, p.invite)
		}
		return true
	})
	if b.still() {
		f()
		return
	}
	c.log.Info("the answer waits for the caller's PRACK")
	b.then = f
}

// rack reads RAck: the RSeq and the CSeq it acknowledges (RFC 3262 section 7.2).
func rack(req *sipmsg.Request) (rseq, cseq uint32, ok bool) {
	h := headerOf(req, "RAck")
	if h == nil {
		return 0, 0, false
	}
	f := strings.Fields(h.Value())
	if len(f) != 3 || !strings.EqualFold(f[2], "INVITE") {
		return 0, 0, len(f) == 3
	}
	r, err1 := strconv.ParseUint(f[0], 10, 32)
	s, err2 := strconv.ParseUint(f[1], 10, 32)
	return uint32(r), uint32(s), err1 == nil && err2 == nil
}
