package door

import (
	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transaction"
	"github.com/portero/portero/sip/transport"
)

// afterlife is what is kept of an answered INVITE for 64*T1 after its call:
// enough to acknowledge a repeated 2xx once more, and to hang up another
// branch's. The transaction would keep the whole call otherwise, and at a
// thousand calls a second that is half a minute's worth.
type afterlife struct {
	d          *Door
	hop        *hop
	transport  string
	peer       string
	connection uint64
	callID     string
	localTag   string
	remoteTag  string
	local      party
	remote     party
	target     sipmsg.Uri
	cseq       uint32          // the INVITE's
	last       uint32          // the leg's: PRACK and UPDATE of a branch may have had it
	auth       []sipmsg.Header // of the INVITE, for its ACK (RFC 3261 section 22.1)
	reinvite   bool
	routes     []sipmsg.Uri // of a re-INVITE's dialog

	ack   []byte
	ackTo transport.Target
}

// afterlife of an INVITE of the leg. Nobody else may touch the leg.
func (l *leg) afterlife(o *outgoing) *afterlife {
	a := &afterlife{d: l.c.d, hop: l.hop, transport: l.transport, peer: l.peer, connection: l.connection, callID: l.callID, localTag: l.localTag,
		remoteTag: l.remoteTag, local: l.local, remote: l.remote, target: l.target, cseq: o.req.CSeq().SeqNo, last: l.cseq, auth: credentialsOf(o.req)}
	if _, a.reinvite = o.req.To().Params.Get("tag"); a.reinvite {
		a.routes = l.routes
	}
	if l.ack != nil && l.ackCSeq == a.cseq {
		if to, err := targetOf(l.ack, l.connectionFor(l.ack)); err == nil {
			a.ack, a.ackTo = transaction.Encode(l.ack), to
		}
	}
	return a
}

// bury has the transactions of the leg's answered INVITEs keep no more than
// their afterlife.
func (l *leg) bury() {
	for _, o := range l.taken {
		if o.tx != nil {
			o.tx.Hand(l.afterlife(o))
		}
	}
	l.taken = nil
}

// Response implements transaction.ClientUser.
func (a *afterlife) Response(res *sipmsg.Response) {
	if !res.IsSuccess() || res.To() == nil || res.CSeq() == nil {
		return
	}
	tag, _ := res.To().Params.Get("tag")
	switch {
	case tag == a.remoteTag && a.ack != nil:
		_ = a.d.tx.Send(a.ack, a.ackTo) // lost again, it is asked for again
	case tag == a.remoteTag && a.reinvite: // it crossed the BYE
		a.acknowledge(res)
	default:
		a.dismiss(res)
	}
}

// Failed implements transaction.ClientUser.
func (a *afterlife) Failed(error) {}

// dismiss acknowledges and hangs up a dialog that nobody wants: a losing fork,
// or an answer that crossed our CANCEL.
func (a *afterlife) dismiss(res *sipmsg.Response) {
	fork := a.acknowledge(res)
	fork.cseq = max(fork.cseq, a.last)
	bye := fork.request(sipmsg.BYE)
	if _, err := a.d.startBy(fork.connectionFor(bye), bye, 0, unheard{}); err != nil {
		fork.log.Warn("an unwanted answer could not be hung up", zap.Error(err))
	}
}

// acknowledge sends the ACK for a 2xx and returns the leg it is on.
func (a *afterlife) acknowledge(res *sipmsg.Response) *leg {
	log := a.d.log.With(zap.String("call_id", a.callID))
	fork := &leg{c: &call{d: a.d}, log: log, hop: a.hop, transport: a.transport, peer: a.peer, connection: a.connection, callID: a.callID,
		localTag: a.localTag, local: a.local, remote: a.remote, target: a.target, cseq: a.cseq, state: legUp}
	fork.establish(res)
	if a.reinvite {
		fork.routes = a.routes
	}
	ack := fork.request(sipmsg.ACK)
	for _, h := range a.auth {
		ack.AppendHeader(h)
	}
	ack.SetBody(nil)
	if err := fork.write(ack); err != nil {
		log.Warn("an ACK could not be sent", zap.Error(err))
	}
	return fork
}

// credentialsOf are copies of a request's credentials.
func credentialsOf(req *sipmsg.Request) []sipmsg.Header {
	var out []sipmsg.Header
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, h := range headersOf(req, name) {
			out = append(out, sipmsg.HeaderClone(h))
		}
	}
	return out
}
