package door

import (
	"math/rand/v2"
	"slices"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/sdp"
)

// dialog is what an early dialog has for itself of a leg's state (RFC 3261
// section 12): the leg's INVITE may lead to several of them.
type dialog struct {
	localTag, remoteTag string
	target              sipmsg.Uri
	routes              []sipmsg.Uri
	remoteCSeq          uint32
	session, version    uint64
	sent                string
	theirs, ours        *sdp.Description
}

func (l *leg) dialog() dialog {
	return dialog{l.localTag, l.remoteTag, l.target, l.routes, l.remoteCSeq, l.session, l.version, l.sent, l.theirs, l.ours}
}

func (l *leg) setDialog(d dialog) {
	l.localTag, l.remoteTag, l.target, l.routes, l.remoteCSeq = d.localTag, d.remoteTag, d.target, d.routes, d.remoteCSeq
	l.session, l.version, l.sent, l.theirs, l.ours = d.session, d.version, d.sent, d.theirs, d.ours
}

// early is one branch of a call that is not answered yet: an early dialog of a
// far leg, known by its To tag, and the early dialog toward the caller that
// stands for it. PRACK, UPDATE and what else comes in one goes to the other.
//
//	what begins it              any response with a new To tag
//	what ends it, and not the   199 (RFC 6228), the far leg's end, the caller's BYE in it,
//	call                        a 2xx of another
//
// At any moment the call is turned to one of them: the dialog fields of its legs
// are that branch's, and those of the others are kept here.
type early struct {
	far    *leg
	tag    string // the far side's
	away   dialog // of the far leg, while that is turned elsewhere
	near   dialog // of the caller's leg, the same
	facing bool   // there is an early dialog toward the caller
	tags   []string
	shown  bool // the caller got a response in it
	over   bool

	// Offers without an answer (RFC 3264 section 4), on either side.
	awayOffer, nearOffer offering
	answered             bool // the far leg's first exchange was reliable and is done
	agreed               bool // the caller's, the same
	changed              bool // and another one followed
	updating             map[*leg]openUpdate

	rseq    uint32       // of the far leg's last reliable response in order (RFC 3262 section 4)
	lastOut uint32       // RSeq of ours toward the caller
	waiting *provisional // ours that waits for its PRACK
	queue   []*provisional
	passing int    // PRACKs whose response the far leg has still to give
	then    func() // what waits for all of these: the 2xx
}

// offering is whose offer waits for its answer on a leg.
type offering int

const (
	noOffer    offering = iota
	ourOffer            // the peer has to answer
	theirOffer          // the door has to answer
)

// maxBranches is how many early dialogs one call may have: a fork to more phones
// rings in the first ones only, and is answered by any.
const maxBranches = 64

// crowded says whether a provisional response would begin a branch too many.
func (l *leg) crowded(res *sipmsg.Response) bool {
	c := l.c
	tag, _ := res.To().Params.Get("tag")
	if len(c.branches) < maxBranches || c.branchOf(l, tag) != nil {
		return false
	}
	c.d.deps.Metrics.SIPDropped("too_many_branches")
	return true
}

// turn makes a branch the one that the call's legs are in.
func (c *call) turn(b *early) {
	if b == nil {
		return
	}
	if b.facing && c.turned != b {
		if c.turned != nil {
			c.turned.near = c.caller.dialog()
		}
		c.caller.setDialog(b.near)
		c.turned = b
	}
	if l := b.far; l.turned != b {
		if l.turned != nil {
			l.turned.away = l.dialog()
		}
		l.setDialog(b.away)
		l.turned = b
	}
}

// branch finds the branch that a response to our INVITE belongs to, or begins
// it, and turns the call to it.
func (l *leg) branch(res *sipmsg.Response) *early {
	c := l.c
	tag, _ := res.To().Params.Get("tag")
	b := c.branchOf(l, tag)
	if b == nil {
		b = l.newBranch(tag)
	}
	c.turn(b)
	return b
}

// branchOf is the branch that goes on with a far leg's tag, nil if none.
func (c *call) branchOf(l *leg, tag string) *early {
	for _, b := range c.branches {
		if b.far == l && b.tag == tag && !b.over {
			return b
		}
	}
	return nil
}

func (l *leg) newBranch(tag string) *early {
	c := l.c
	if l.unforked == nil {
		d := l.dialog()
		l.unforked = &d
	}
	b := &early{far: l, tag: tag, away: *l.unforked}
	if !l.lateOffer {
		b.awayOffer = ourOffer
	}
	if c.ringingCaller() {
		if c.caller.unforked == nil {
			d := c.caller.dialog()
			c.caller.unforked = &d
			b.near, b.tags = d, []string{d.localTag}
		} else {
			b.near = c.anotherDialog()
			b.tags = []string{b.near.localTag}
		}
		b.facing = true
		if c.caller.theirs != nil {
			b.nearOffer = theirOffer
		}
	}
	c.branches = append(c.branches, b)
	return b
}

// ringingCaller says whether there is a caller whose INVITE waits for its answer.
func (c *call) ringingCaller() bool {
	return c.caller.uas && c.caller.in != nil && c.answeredAt.IsZero()
}

// anotherDialog is a further early dialog toward the caller, as new as the first
// one was.
func (c *call) anotherDialog() dialog {
	l := c.caller
	d := *l.unforked
	d.localTag, d.session = token(12), uint64(rand.Uint32())
	c.d.enter(l, d.localTag)
	return d
}

// retag opens another early dialog toward the caller for a branch whose answer
// has changed: within one dialog it may not (RFC 3261 section 13.2.1).
func (c *call) retag(b *early, answer *sdp.Description) {
	l := c.caller
	if !b.facing || b.agreed && b.answered || l.ours == nil || l.state == legUp || sameFormats(l.ours, answer) {
		return
	}
	theirs := l.theirs
	l.setDialog(c.anotherDialog())
	l.theirs = theirs
	b.tags = append(b.tags, l.localTag)
	b.agreed, b.changed, b.nearOffer = false, false, noOffer
	if c.callerOffer() != nil {
		b.nearOffer = theirOffer
	}
}

// enterBranch turns the call to the branch that a request of a leg's peer
// belongs to. false: to none that goes on.
func (l *leg) enterBranch(req *sipmsg.Request) bool {
	c := l.c
	if l == c.caller {
		tag, _ := req.To().Params.Get("tag")
		for _, b := range c.branches {
			if slices.Contains(b.tags, tag) {
				c.turn(b)
				return !b.over || !c.ringingCaller()
			}
		}
		return true
	}
	tag, _ := req.From().Params.Get("tag")
	c.turn(c.branchOf(l, tag))
	return true
}

// current is the branch that the call is turned to while it is not answered.
func (c *call) current() *early {
	if c.turned == nil || c.turned.over || !c.ringingCaller() {
		return nil
	}
	return c.turned
}

// reachable says whether a request can be handed to a leg: its dialog stands, or
// is an early one of the branch that the call is turned to.
func (c *call) reachable(l *leg) bool {
	if l == nil {
		return false
	}
	b := c.current()
	return l.state == legUp || l.state == legEarly && b != nil && b.far == c.far && l.remoteTag != ""
}

// reliablyDescribed notes that the far leg's description came in a reliable
// response: the answer to the door's offer, or an offer where it made none.
func (b *early) reliablyDescribed() {
	switch {
	case b.awayOffer == ourOffer:
		b.awayOffer, b.answered = noOffer, true
	case b.awayOffer == noOffer:
		b.awayOffer = theirOffer
	}
}

// listen has the caller hear a branch: early media follows the newest response
// that describes it.
func (c *call) listen(b *early, answer *sdp.Description) {
	c.heard = b
	b.far.settleMedia(answer)
	c.hear(b.far)
	c.hushRing()
}

// describe takes a leg's new description in a branch; media follows it if that
// branch is heard.
func (c *call) describe(b *early, l *leg, d *sdp.Description) {
	if c.heard == b || c.current() == nil {
		l.settleMedia(d)
		return
	}
	l.theirs = d
}

// endEarly ends a branch and not the call. The caller is told if it knows 199
// (RFC 6228 section 6).
func (c *call) endEarly(b *early, why string, tell bool) { c.endEarlyAs(b, nil, why, tell) }

// endEarlyAs is endEarly with the 199 of the far side, unless that is nil.
func (c *call) endEarlyAs(b *early, far *sipmsg.Response, why string, tell bool) {
	if b.over {
		return
	}
	b.far.log.Info("an early dialog ended", zap.String("tag", b.tag), zap.String("why", why))
	c.turn(b)
	b.over = true
	b.silence()
	if tell && b.facing && b.shown && c.ringingCaller() && supports(c.caller.invite, "199") {
		out := c.caller.reply(c.caller.in, 199, "Early Dialog Terminated")
		if far != nil {
			passHeaders(far, out)
		}
		c.provisional(b, &provisional{res: out}, c.requires100rel())
	}
	heard := c.heard == b
	for _, o := range c.branches { // the newest that goes on comes last
		if o.over || !o.facing {
			continue
		}
		c.turn(o)
		if heard && o.far == c.far && o.far.theirs != nil {
			c.listen(o, o.far.theirs)
		}
	}
}

// endBranches ends all branches of a far leg that the call has left. Once the
// call is answered the caller's dialog no longer hangs on any.
func (c *call) endBranches(l *leg, why string) {
	if !c.ringingCaller() {
		return
	}
	for _, b := range slices.Clone(c.branches) {
		if b.far == l {
			c.endEarly(b, why, true)
		}
	}
}

// confirm leaves the caller's leg in the dialog it is turned to, for good: that
// of the branch that answered the call, or one of its own (nil).
func (c *call) confirm(b *early) {
	for _, o := range c.branches {
		o.silence()
		o.over = o.over || o != b
		for _, tag := range o.tags {
			if tag != c.caller.localTag {
				c.d.dropTags(c.caller, []string{tag})
			}
		}
		o.facing, o.tags = false, nil
	}
	c.branches, c.turned, c.caller.unforked = nil, nil, nil
	if b != nil {
		c.branches = []*early{b}
		for l, u := range b.updating { // from here on as in any dialog (update.go)
			l.updating, u.on.offering = u.in, u.out
		}
	}
}

// ownDialog is for an answer of the door's own: it comes from none of the places
// that the caller was told of before.
func (c *call) ownDialog() {
	if c.caller.unforked != nil {
		c.caller.setDialog(c.anotherDialog())
	}
}

// forgetBranches forgets the early dialogs of a leg that has ended: of the caller
// all, of a far leg those that the caller is not told of any more.
func (c *call) forgetBranches(l *leg) {
	if l != c.caller && c.ringingCaller() {
		return
	}
	c.branches = slices.DeleteFunc(c.branches, func(b *early) bool {
		if l != c.caller && l != b.far {
			return false
		}
		b.silence()
		c.d.dropTags(c.caller, b.tags)
		return true
	})
}

// byeInBranch ends one of several early dialogs as the caller asked (RFC 3261
// section 15); false: it is the only one, and the call ends with it.
func (l *leg) byeInBranch(in *incoming) bool {
	c := l.c
	b := c.current()
	if l != c.caller || b == nil {
		return false
	}
	alone := true
	for _, o := range c.branches {
		alone = alone && (o == b || o.over || !o.facing)
	}
	if alone {
		return false
	}
	l.respondPlain(in, 200, "OK")
	if b.far.state == legEarly && b.far.remoteTag != "" {
		req := b.far.request(sipmsg.BYE)
		passHeaders(in.req, req)
		b.far.send(req, func(*sipmsg.Response) {}, func(err error) { b.far.log.Info("no answer to a BYE", zap.Error(err)) })
	}
	c.endEarly(b, "the caller ended it", false)
	return true
}

// onEarlyEnded: 199 from a destination.
func (l *leg) onEarlyEnded(res *sipmsg.Response) {
	c := l.c
	tag, _ := res.To().Params.Get("tag")
	b := c.branchOf(l, tag)
	if b == nil {
		return
	}
	c.turn(b)
	rseq, ok := l.inOrder(b, res)
	if !ok {
		return
	}
	if rseq != 0 {
		l.prack(b, rseq, res.CSeq().SeqNo)
	}
	c.endEarlyAs(b, res, "199", l == c.far)
}
