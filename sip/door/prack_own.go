package door

import (
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/sdp"
)

// Who the door calls on its own account, for a callback or a transfer, may send
// reliable responses too (RFC 3262): nobody else hears of them, so that the door
// acknowledges each at once.

// ownEarly is an early dialog of such a leg.
type ownEarly struct {
	early
	answer *sdp.Description // of a reliable response
}

// offerOwnReliable tells such a leg's peer so.
func (l *leg) offerOwnReliable(req *sipmsg.Request) {
	if l.c.d.reliable() {
		addSupported(req, "100rel")
		allowPRACK(req)
	}
}

// prackForItself takes a provisional response to such an INVITE, acknowledged if
// it is reliable; false: it is a repeat, or out of order.
func (l *leg) prackForItself(o *outgoing, res *sipmsg.Response) bool {
	tag, _ := res.To().Params.Get("tag")
	b := l.alone[tag]
	if b == nil {
		if len(l.alone) >= maxBranches {
			return false
		}
		if l.alone == nil {
			l.alone = map[string]*ownEarly{}
		}
		b = &ownEarly{}
		l.alone[tag] = b
	}
	rseq, ok := l.inOrder(&b.early, res)
	if !ok {
		return false
	}
	l.establish(res)
	if rseq == 0 {
		return true
	}
	if answer, err := l.read(bodyOf(res)); err == nil && answer != nil {
		b.answer = answer
	}
	req := l.prackRequest(rseq, o.req.CSeq().SeqNo)
	setBody(req, "", nil)
	l.send(req, func(*sipmsg.Response) {}, func(error) {})
	return true
}

// answerIn is the answer of a 2xx to such an INVITE, or the one that a reliable
// response of its dialog gave, which the 2xx need not repeat (RFC 3261 section
// 13.2.1).
func (l *leg) answerIn(res *sipmsg.Response) (*sdp.Description, error) {
	answer, err := l.read(bodyOf(res))
	if answer == nil && err == nil {
		tag, _ := res.To().Params.Get("tag")
		if b := l.alone[tag]; b != nil {
			answer = b.answer
		}
	}
	l.alone = nil
	return answer, err
}
