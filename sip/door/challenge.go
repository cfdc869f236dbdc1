package door

import (
	"errors"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/auth"
)

// maxChallenges is how often one request is sent again for its challenges: by a
// proxy, by the server behind it, and once more for a stale nonce of each.
const maxChallenges = 4

// sign puts the leg's credentials into a request, if its peer has asked for
// them before: a dialog's later requests need not be challenged one by one (RFC
// 3261 section 22.2). An ACK has those of its INVITE, and a CANCEL none: it
// cannot be challenged (section 22.1).
func (l *leg) sign(req *sipmsg.Request) {
	if l.auth == nil || req.IsAck() || req.Method == sipmsg.CANCEL {
		return
	}
	if err := l.auth.Sign(req); err != nil {
		l.log.Warn("a request goes without credentials", zap.Error(err))
	}
}

// challenged answers a 401 or 407 with the leg's own credentials: the request
// goes out once more, with the next CSeq and a branch of its own. It returns
// false when the response is to be handled like any other.
func (o *outgoing) challenged(res *sipmsg.Response) bool {
	l := o.leg
	if l.auth == nil || o.cancelled || o.req.Method == sipmsg.CANCEL ||
		res.StatusCode != sipmsg.StatusUnauthorized && res.StatusCode != sipmsg.StatusProxyAuthRequired {
		return false
	}
	err := l.auth.Challenged(res, o.req)
	if err == nil && o.tries >= maxChallenges {
		err = errors.New("it challenges again and again")
	}
	if err != nil {
		if !errors.Is(err, auth.ErrNotOurs) {
			l.log.Error("a challenge cannot be answered", zap.String("leg", l.role), zap.String("method", string(o.req.Method)), zap.Error(err))
		}
		return false
	}
	req := o.req.Clone()
	req.SetBody(o.req.Body())
	l.cseq++
	req.CSeq().SeqNo = l.cseq
	req.Via().Params.Remove("branch")
	req.Via().Params.Add("branch", sipmsg.GenerateBranchN(16))
	req.SetTransport(o.req.Transport())
	req.SetDestination(o.req.Destination())
	req.Laddr = o.req.Laddr
	l.sign(req)
	if l.invite == o.req {
		l.invite = req
	}
	o.req, o.tx, o.alive, o.cancelOut = req, nil, false, false
	o.tries++
	if req.IsInvite() {
		o.within(l.c.d.cfg.AnswerTimeout)
	}
	o.launch()
	return true
}

// challengedLate is challenged for the last request of a call, a BYE, when
// nobody waits for its answer any more. It runs on a goroutine of its own.
func (o *outgoing) challengedLate(res *sipmsg.Response) {
	c := o.leg.c
	<-c.over // from here on nobody else touches the leg
	c.lateMu.Lock()
	defer c.lateMu.Unlock()
	o.challenged(res)
}
