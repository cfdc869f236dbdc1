package door

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// inviteAgain sends a leg's first INVITE once more, as its refusal asked: the
// same Call-ID and tag, the next CSeq, no To tag (RFC 3261 section 22.2, RFC
// 4028 section 7.3).
func (l *leg) inviteAgain(o *outgoing) {
	first := o.req
	l.c.endBranches(l, "its INVITE is sent again")
	l.unforked, l.turned = nil, nil
	l.remoteTag, l.routes, l.target = "", nil, *first.Recipient.Clone()
	l.state = legCalling
	req := l.request(sipmsg.INVITE)
	made := map[string]bool{"content-length": true, "content-type": true, "session-expires": true, "min-se": true}
	for _, h := range req.Headers() {
		made[strings.ToLower(h.Name())] = true
	}
	for _, h := range first.Headers() {
		if !made[strings.ToLower(h.Name())] {
			req.AppendHeader(sipmsg.HeaderClone(h))
		}
	}
	if mf := first.MaxForwards(); mf != nil {
		*req.MaxForwards() = *mf
	}
	if contact := first.Contact(); contact != nil {
		req.Contact().Params = contact.Params
	}
	l.askTimer(req)
	b := bodyOf(first)
	setBody(req, b.contentType, b.data)
	l.invite = req
	l.log.Info("INVITE sent again", zap.String("destination", l.dest), zap.Duration("session_interval", l.timer.least))
	l.out = l.send(req, o.response, o.failed)
	l.out.within(l.c.d.cfg.AnswerTimeout)
}
