package door

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/limit"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transaction"
)

// call is one caller's visit. All fields below box belong to its events, which run
// one after another.
type call struct {
	d       *Door
	id      string // Portero's own
	log     *zap.Logger
	trunk   Trunk
	in      received
	source  netip.AddrPort
	attempt string
	urgent  bool // an emergency call, taken beyond the door's limits
	box     mailbox
	over    chan struct{} // closed when the last event has run
	lateMu  sync.Mutex    // orders what late 2xx do after that

	bench   *judge.Bench
	mode    policy.Mode
	judged  *judge.Call // nil: Portero cannot judge this call and passes it on
	hearing *hearing
	session *relay.Session

	caller *leg
	far    *leg // where the caller is, or is being sent
	next   *leg // where the caller is being moved to
	old    []*leg

	branches []*early // early dialogs, the oldest first
	turned   *early   // the one whose dialog the caller's leg is in
	heard    *early   // the one whose media the caller hears

	talk     *talk  // a built-in dialogue has the caller
	earlyTag string // of the door's own early dialog toward the caller; empty: there is none

	taping    *taping         // the recording under way; nil: none
	tapes     int             // recordings begun
	tapesOpen int             // of these not yet finished
	copies    []*relay.Copies // of the RTP, for the recording under way
	kept      *relay.Copies   // of the RTP, for the packets of the last calls
	film      *film           // the caller leg's signalling, where it is recorded

	identity   *stir.Result    // what the Identity headers are worth; nil: not verified
	verstat    stir.Verstat    // by ourselves or a trusted trunk; empty: not known
	attested   string          // A, B or C; empty: not known
	plan       policy.Decision // in force
	arrived    bool            // counted by surge
	farTaken   bool            // the session's first far ports are in use
	ringing    *prompt.Player  // ringing tone for a caller who was answered
	promisedID int64           // a promise stored in this call
	promisedTo []string        // numbers promised a callback in this call
	answeredAt time.Time       // the caller's leg got its 2xx
	pending    limit.Attempt   // counted until then
	ending     bool
	byeAt      time.Time       // the BYE that ended it came
	farewell   *sipmsg.Request // the BYE or CANCEL that ends the call
	rec        store.Record
	written    bool
	checkup    *time.Timer // the next look for silence
	recordDue  *time.Timer // when the record no longer waits for the last answers
	crashed    bool
	promise    *promise     // this call is a callback: what is owed
	redirected *redirection // by 3xx responses; nil: never
	xfer       *transfer    // the door carries out a REFER
	unjudged   bool         // transferred or taken over: what is heard from now on moves nobody
	srs        *srs         // this call is a recording session; nil: it is not
	out        *outbound    // this call is the PBX's: where it goes
	sips       bool         // nothing but TLS will do
}

// recordWait is how long a call's record waits for the answers to the last
// CANCEL or BYE.
const recordWait = time.Second

const tagAlphabet = "0123456789abcdefghijklmnopqrstuvwxyz"

func token(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = tagAlphabet[rand.IntN(len(tagAlphabet))]
	}
	return string(b)
}

func (d *Door) newCall(callID string, logged ...zap.Field) *call {
	c := &call{d: d, id: token(16), over: make(chan struct{}), bench: d.bench.Load()}
	c.log = d.log.With(append(logged, zap.String("call_id", callID), zap.String("portero_id", c.id))...)
	c.mode = c.bench.Mode
	c.rec = store.Record{CallID: callID, ID: c.id, Mode: c.mode}
	return c
}

// post has an event run after those before it; false: the call is over. Whoever
// posts does not wait for it, and may hold locks.
func (c *call) post(f func()) bool {
	taken, mine := c.box.add(event{run: f})
	if mine {
		c.d.hand(c)
	}
	return taken
}

// deliver is post by a goroutine that has nothing else to do and holds no lock: a
// reader of the network with a message for the call, or a timer. If nobody is at
// the call's events it runs them itself: a message so costs no change of
// goroutines. With more messages waiting behind it another goroutine does, so that
// all processors are used.
func (c *call) deliver(e event) {
	taken, mine := c.box.add(e)
	switch {
	case mine:
		c.workHere()
	case !taken && e.late != nil:
		e.late()
	}
}

func (c *call) workHere() {
	if c.d.net.Behind() {
		c.d.hand(c)
		return
	}
	c.work()
}

// hand has another goroutine at a call's events: one that waits for that and has
// its stack already, or a new one.
func (d *Door) hand(c *call) {
	select {
	case d.hands <- c:
	default:
		go c.work()
	}
}

// lend is such a goroutine, until the door has closed.
func (d *Door) lend(done <-chan struct{}) {
	for {
		select {
		case c := <-d.hands:
			c.work()
		case <-done:
			return
		}
	}
}

// after delivers an event later.
func (c *call) after(t time.Duration, f func()) *time.Timer {
	return time.AfterFunc(t, func() { c.deliver(event{run: f}) })
}

// work runs the call's events, until there are none or the call has ended.
func (c *call) work() {
	for events := c.box.take(nil); len(events) > 0; events = c.box.take(events) {
		for i, e := range events {
			events[i] = event{}
			c.do(e.run)
		}
		if c.finished() {
			c.finish()
			return
		}
	}
}

// finish lets go of everything. An event that came as the last one ran never
// will; some have to be told.
func (c *call) finish() {
	for _, e := range c.box.close() {
		if e.late != nil {
			c.do(e.late)
		}
	}
	c.do(c.release)
	close(c.over)
	c.d.forget(c)
}

// do runs one event. A panic ends this call and no other.
func (c *call) do(f func()) {
	defer func() {
		if r := recover(); r != nil {
			c.d.deps.Metrics.Panicked()
			c.log.Error("a fault of Portero's own ends this call", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			c.rec.Errors = append(c.rec.Errors, fmt.Sprint("panic: ", r))
			c.crash()
		}
	}()
	f()
}

// crash ends all legs as well as can still be done: whatever failed, the PBX
// must not be left with a call that nobody has. It may fail itself, and is
// called again; then everything is let go.
func (c *call) crash() {
	if c.crashed {
		for _, l := range c.legs() {
			c.safely(func() { l.gone(500) })
			l.state = legGone
		}
		return
	}
	c.crashed, c.ending = true, true
	c.rec.EndedBy = store.ByPortero
	if c.rec.EndedAt.IsZero() {
		c.rec.EndedAt = store.At(time.Now())
	}
	c.safely(c.stopTalk)
	c.safely(c.hushRing)
	c.safely(c.leaveTapes)
	c.safely(c.stopHearing)
	for _, l := range c.legs() {
		c.safely(func() {
			if l.uas && l.in != nil && l.state != legUp {
				l.respondPlain(l.in, 500, "Server Internal Error")
				c.outcome(500, "", "portero")
				l.gone(500)
				return
			}
			l.bye()
		})
	}
	c.settle()
}

// safely runs a step that must not keep the next one from running.
func (c *call) safely(f func()) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Error("ending the call failed in part", zap.Any("panic", r))
		}
	}()
	f()
}

func (c *call) legs() []*leg {
	out := append([]*leg(nil), c.old...)
	for _, l := range []*leg{c.caller, c.far, c.next} {
		if l != nil {
			out = append(out, l)
		}
	}
	return out
}

func (c *call) finished() bool {
	if !c.ending || c.hearing != nil || c.tapesOpen > 0 {
		return false
	}
	for _, l := range c.legs() {
		if l.state != legGone {
			return false
		}
	}
	return true
}

// settle has it looked whether the call is finished.
func (c *call) settle() { c.post(func() {}) }

// other is the leg at the far side of a leg.
func (c *call) other(l *leg) *leg {
	switch l {
	case c.caller:
		return c.far
	case c.far:
		return c.caller
	}
	return nil
}

// serveInvite begins the call.
func (c *call) serveInvite(req *sipmsg.Request, tx *transaction.Server) {
	c.d.deps.Metrics.CallStarted()
	c.filmed(req)
	c.d.answer(req, tx, 100, "Trying")
	l := c.callerLeg(req)
	l.in = &incoming{req: req, tx: tx}
	c.caller = l
	c.d.addDialog(l)
	tx.SetTag(l.localTag)
	begin := c.arrive
	switch {
	case c.srs != nil:
		begin = c.arriveCopy
	case c.out != nil:
		begin = c.arriveOut
	}
	tx.OnCancel(func(req *sipmsg.Request) { c.deliver(event{run: func() { c.onCancel(req) }}) })
	c.box.begin(begin)
	c.workHere()
}

// callerLeg makes the caller's leg from its INVITE (RFC 3261 section 12.1.1).
func (c *call) callerLeg(req *sipmsg.Request) *leg {
	l := &leg{c: c, role: "caller", uas: true, log: c.log, state: legCalling, invite: req,
		transport: req.Transport(), peer: req.Source(),
		callID: req.CallID().Value(), localTag: token(12), session: uint64(rand.Uint32()), version: 1,
		cseq: uint64to31(rand.Uint64()), remoteCSeq: req.CSeq().SeqNo}
	from, to := req.From(), req.To()
	if c.out == nil {
		l.trusts(c.trunk)
		l.distrust(req)
	}
	l.remote = l.remoteOf(partyOf(from.DisplayName, from.Address, from.Params))
	l.remoteTag, _ = from.Params.Get("tag")
	l.local = partyOf(to.DisplayName, to.Address, to.Params)
	l.target = *from.Address.Clone() // of a caller of RFC 2543, who is then reached where it came from
	l.retarget(req.Contact())
	l.allows = allowed(req)
	for _, h := range headersOf(req, "Record-Route") {
		if rr, ok := h.(*sipmsg.RecordRouteHeader); ok {
			l.routes = append(l.routes, *rr.Address.Clone())
		}
	}
	l.hop = c.d.hopAt(l.transport, c.in.local)
	l.connection = c.in.connection
	l.secures()
	l.learn(req)
	l.auth = c.trunk.Credentials.client()
	// Every response to it has this tag.
	req.To().Params.Add("tag", l.localTag)
	return l
}

func uint64to31(n uint64) uint32 { return uint32(n>>40) & 0xffffff }

// hopAt is the socket an address belongs to, or one of the transport.
func (d *Door) hopAt(transport string, local netip.AddrPort) *hop {
	for _, h := range d.hops {
		if h.transport == transport && h.addr == local {
			return h
		}
	}
	return d.hopFor(transport, local.String())
}

// arrive prepares for the call and verifies who calls.
func (c *call) arrive() {
	req := c.caller.invite
	c.rec.From, c.rec.To = c.caller.remote.uri.User, dialled(req)
	c.rec.Direction, c.rec.Trunk, c.rec.Source, c.rec.Transport = store.Inbound, c.trunk.Name, c.source.String(), c.caller.transport
	c.rec.InviteAt = store.At(c.in.at)
	if err := c.caller.welcome(bodyOf(req)); err != nil {
		c.log.Error("a browser cannot be served", zap.Error(err))
		c.refuse(503, "Service Unavailable", sipmsg.NewHeader("Retry-After", "5"))
		return
	}
	offer, err := c.caller.read(bodyOf(req))
	if err != nil {
		c.log.Info("the offer cannot be read", zap.Error(err))
		c.refuse(488, "Not Acceptable Here: "+err.Error())
		return
	}
	c.caller.passesKeys(offer)
	o := relay.Options{IPv6: describesIPv6(offer, c.source), Carrier: c.caller.web.carrier(), TapHeard: true}
	if c.session, err = c.d.deps.Relay.Open(c.rec.CallID, o); err != nil {
		c.log.Error("no media ports", zap.Error(err))
		c.refuse(503, "Service Unavailable", sipmsg.NewHeader("Retry-After", "5"))
		return
	}
	c.keepVoices()
	c.verified(func() { c.received(offer) })
}

// received judges the INVITE and carries out what that came to.
func (c *call) received(offer *sdp.Description) {
	decision := c.judge()
	c.startHearing()
	c.log.Info("call", zap.String("from", c.rec.From), zap.String("to", c.rec.To), zap.String("trunk", c.trunk.Name),
		zap.String("action", string(decision.Action)), zap.String("rule", decision.Rule), zap.String("reason", decision.Reason),
		zap.String("mode", string(c.mode)))
	c.caller.settleMedia(offer)
	c.carryOut(decision)
}

// dialled is the number or name that was called.
func dialled(req *sipmsg.Request) string {
	if u := req.Recipient; u.User != "" {
		return u.User
	} else if r := u.Raw(); r != "" {
		n, _, _ := strings.Cut(r, ";")
		return n
	}
	return req.Recipient.Host
}

// onCancel: the caller gave up. A CANCEL that crossed a final response does
// nothing (RFC 3261 section 9.2).
func (c *call) onCancel(req *sipmsg.Request) {
	c.log.Info("CANCEL received")
	if c.caller.in == nil {
		return
	}
	c.farewell = req
	c.caller.respondPlain(c.caller.in, 487, "Request Terminated")
	c.caller.gone(487)
	c.outcome(487, "cancelled", "caller")
	c.end("caller", "CANCEL")
}

// refuse gives the caller's INVITE a final response and ends the call.
func (c *call) refuse(code int, reason string, headers ...sipmsg.Header) {
	if c.caller.in != nil {
		c.caller.respondPlain(c.caller.in, code, reason, headers...)
	}
	c.caller.gone(code)
	c.outcome(code, "", "portero")
	c.end("portero", reason)
}

// hangup ends the call from Portero's side.
func (c *call) hangup(why string) {
	if c.ending {
		return
	}
	if c.caller != nil && c.caller.uas && c.caller.in != nil && c.answeredAt.IsZero() {
		c.refuse(503, "Service Unavailable", sipmsg.NewHeader("Retry-After", "5"))
		return
	}
	c.end("portero", why)
}

// end ends every leg. The call goes on until all are gone.
func (c *call) end(by, why string) {
	if c.ending {
		return
	}
	c.ending = true
	c.rec.EndedBy = store.Party(by)
	c.rec.EndedAt = store.At(time.Now())
	if !c.byeAt.IsZero() { // what is heard until then is judged, live as in a capture
		c.rec.EndedAt = store.At(c.byeAt)
	}
	c.stopTalk()
	c.hushRing()
	for _, l := range c.legs() {
		if l.uas && l.in != nil && l.state != legUp {
			l.respondPlain(l.in, 487, "Request Terminated")
			l.gone(487)
			continue
		}
		l.bye()
	}
	c.leaveTapes()  // not before: the BYE belongs into it
	c.stopHearing() // last: what is still to be heard takes its time
	c.log.Info("call ended", zap.String("by", by), zap.String("why", why))
	// The last responses belong into the record, but nobody waits long for them.
	c.recordDue = c.after(recordWait, c.writeRecord)
	c.settle()
}

// abandon lets a call go that has been ended, whatever it still waits for.
func (c *call) abandon() {
	for _, l := range c.legs() {
		l.gone(0)
	}
	c.settle()
}

// release gives back what the call held.
func (c *call) release() {
	c.writeRecord()
	for _, t := range []*time.Timer{c.checkup, c.recordDue} {
		if t != nil {
			t.Stop()
		}
	}
	c.unfilmed()
	for _, l := range c.legs() {
		l.gone(0)
	}
	c.branches, c.turned, c.heard = nil, nil, nil
	if c.session != nil {
		c.session.Close()
	}
	for _, l := range c.legs() {
		l.web.close()
	}
	c.srs.closeCopies()
	if c.arrived {
		c.d.deps.Surge.Left()
	}
	for _, n := range c.promisedTo {
		c.d.onTheLine(n, -1)
	}
	for _, l := range c.legs() {
		l.bury()
	}
}
