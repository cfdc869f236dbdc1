package door

import (
	"slices"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/sdp"
)

// inOrder says whether a provisional response to our INVITE is to be heard, and
// the RSeq of a reliable one, 0 for others (RFC 3262 section 4):
//
//	the next in its early dialog    heard
//	one that was heard before       a repeat, whose PRACK is on its way or waits for the caller's
//	one beyond the next             one before it was lost, and comes again
//	one beyond maxProvisionals      comes again when the caller has caught up
func (l *leg) inOrder(b *early, res *sipmsg.Response) (rseq uint32, ok bool) {
	if !l.c.d.reliable() || !slices.Contains(options(res, "Require"), "100rel") {
		return 0, true
	}
	h := headerOf(res, "RSeq")
	if h == nil {
		return 0, true
	}
	n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 32)
	if err != nil || n == 0 {
		return 0, true
	}
	rseq = uint32(n)
	if b.rseq != 0 && rseq != b.rseq+1 {
		l.log.Debug("a reliable response is a repeat or out of order", zap.Uint32("rseq", rseq), zap.Uint32("heard", b.rseq))
		return 0, false
	}
	if len(b.queue) >= maxProvisionals {
		l.c.d.deps.Metrics.SIPDropped("too_many_provisionals")
		return 0, false
	}
	b.rseq = rseq
	return rseq, true
}

// prack acknowledges a reliable response, once: the transaction repeats it.
func (l *leg) prack(b *early, rseq, invite uint32) { l.prackWith(b, rseq, invite, "", nil) }

func (l *leg) prackWith(b *early, rseq, invite uint32, contentType string, data []byte) {
	l.c.turn(b)
	req := l.prackRequest(rseq, invite)
	setBody(req, contentType, data)
	l.send(req, func(res *sipmsg.Response) {
		if !res.IsProvisional() && !res.IsSuccess() {
			l.log.Info("a PRACK was refused", zap.Int("status", res.StatusCode))
		}
	}, func(err error) { l.log.Info("no answer to a PRACK", zap.Error(err)) })
}

// prackRequest makes a PRACK in the dialog the leg is turned to.
func (l *leg) prackRequest(rseq, invite uint32) *sipmsg.Request {
	req := l.request(sipmsg.PRACK)
	req.AppendHeader(sipmsg.NewHeader("RAck", strconv.FormatUint(uint64(rseq), 10)+" "+strconv.FormatUint(uint64(invite), 10)+" INVITE"))
	return req
}

// prackOwn acknowledges a response that concerns no caller, because the door has
// answered him: an offer in it is answered by the door itself.
func (l *leg) prackOwn(b *early, rseq, invite uint32) {
	if b.awayOffer == theirOffer {
		if answer, _, ok := l.ownAnswer(l.theirs); ok {
			b.awayOffer, b.answered = noOffer, true
			l.prackWith(b, rseq, invite, sdpType, answer)
			return
		}
	}
	l.prack(b, rseq, invite)
}

// acknowledgeOwn sends the ACK of a 2xx that concerns no caller, because the door
// has answered him.
func (l *leg) acknowledgeOwn(o *outgoing, late bool, offer *sdp.Description) {
	if late {
		if answer, _, ok := l.ownAnswer(offer); ok {
			l.acknowledge(o, "", sdpType, answer)
			return
		}
	}
	l.acknowledge(o, "", "", nil)
}

// offerReliable tells a destination what the door does on its leg, whatever the
// caller does on its own (RFC 3262 section 4, RFC 6228 section 4, RFC 3312
// section 11). Reliable responses would bring an offer where the caller made
// none, and one who does not know PRACK could not answer it.
func (l *leg) offerReliable(req *sipmsg.Request) {
	c := l.c
	if !c.d.reliable() || l.lateOffer && c.answeredAt.IsZero() && !c.supports100rel() {
		return
	}
	addSupported(req, "100rel")
	allowPRACK(req)
	if !c.caller.uas || !c.answeredAt.IsZero() {
		return
	}
	if supports(c.caller.invite, "199") {
		addSupported(req, "199")
	}
	if !c.supports100rel() {
		return
	}
	if supports(c.caller.invite, "precondition") {
		addSupported(req, "precondition")
	}
}

// allowPRACK adds the method to those that are passed on, on a leg where the door
// takes it itself.
func allowPRACK(m message) {
	if h := headerOf(m, "Allow"); h != nil {
		m.RemoveHeader("Allow")
		m.AppendHeader(sipmsg.NewHeader("Allow", joined([]string{h.Value(), "PRACK"})))
	}
}

// requiresPrecondition says whether the caller wants resources reserved before
// anybody is alerted (RFC 3312). That is between the two ends: the door takes
// no part, and cannot answer such a call itself.
func (c *call) requiresPrecondition() bool {
	return c.caller.uas && slices.Contains(options(c.caller.invite, "Require"), "precondition")
}
