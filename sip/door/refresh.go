package door

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/sdp"
)

// ownReinvite is a re-INVITE of the door's own on a leg: no other leg waits for
// what it comes to.
type ownReinvite struct {
	then []func() // what waits until it is done
}

// afterOwn postpones what cannot run while the door's own re-INVITE is open; false:
// there is none.
func (l *leg) afterOwn(f func()) bool {
	if l.own == nil {
		return false
	}
	l.own.then = append(l.own.then, f)
	return true
}

// busy says whether a leg has an exchange open that an offer of ours would cross.
func (l *leg) busy() bool {
	return l.in != nil || l.out != nil || l.unacked != nil || l.updating != nil || l.offering != nil
}

// refresh tells a leg's peer that the session goes on (RFC 4028 section 7.4): by
// UPDATE without a description if the peer takes that, else by a re-INVITE with
// the description it was last given, of the same version.
//
//	answer              what follows
//	2xx                 the timer begins anew
//	422                 at once with the larger interval
//	491                 again after a time that the two sides do not share
//	405, 501 to UPDATE  at once by re-INVITE
//	408, 481, none      the call ends: the dialog is gone (RFC 3261 section 12.2.1.2)
//	any other           the peer is there: again after a quarter of the interval
func (l *leg) refresh() {
	c := l.c
	if c.ending || l.state != legUp || l.timer.interval == 0 {
		return
	}
	if l.busy() {
		l.refreshIn(refreshSoon)
		return
	}
	if l.timer.update {
		l.refreshByUpdate()
		return
	}
	if l.ours == nil {
		l.refreshIn(l.timer.interval / 4)
		return
	}
	l.reinvite(func() []byte { return l.repeat(nil) }, l.refreshed)
}

// refreshSoon is how long a refresh waits for an open exchange to end, which may
// be a refresh itself.
const refreshSoon = 500 * time.Millisecond

func (l *leg) refreshIn(t time.Duration) {
	if l.timer.next != nil {
		l.timer.next.Stop()
	}
	l.timer.next = l.c.after(max(t, refreshSoon), l.refresh)
}

func (l *leg) refreshByUpdate() {
	req := l.request(sipmsg.UPDATE)
	l.askTimer(req)
	l.send(req, func(res *sipmsg.Response) {
		if res.IsProvisional() {
			return
		}
		if res.IsSuccess() {
			l.retarget(res.Contact())
		}
		l.refreshed(req, res)
	}, func(err error) { l.unreachable("an UPDATE", err) })
}

// refreshed is what the answer to a refresh comes to.
func (l *leg) refreshed(req *sipmsg.Request, res *sipmsg.Response) {
	if l.c.ending || l.state != legUp {
		return
	}
	alone := !l.timer.agreed
	switch code := res.StatusCode; {
	case res.IsSuccess() && alone:
		l.learn(res)
		l.runTimer(l.timer.interval, true, false)
	case res.IsSuccess():
		l.grantedTimer(res)
	case l.longer(req, res):
		l.refresh()
	case code == 491:
		l.refreshIn(l.glareDelay())
	case code == 408 || code == 481:
		l.c.end(l.role, "its dialog is gone")
	case req.Method == sipmsg.UPDATE && (code == 405 || code == 501):
		l.timer.update = false
		l.refresh()
	default:
		l.log.Info("a session refresh was refused", zap.String("leg", l.role), zap.Int("status", code))
		l.refreshIn(max(l.timer.interval/4, retryAfterOf(res)))
	}
}

// unreachable ends a call when a request of the door's own got no answer on a
// leg (RFC 3261 section 12.2.1.2).
func (l *leg) unreachable(what string, err error) {
	if l.c.ending || l.state != legUp {
		return
	}
	l.log.Warn("no answer to "+what+" of the door's own", zap.String("leg", l.role), zap.Error(err))
	l.c.rec.Errors = append(l.c.rec.Errors, "no_answer: the "+l.role+" leg did not answer "+what+" of the door's own")
	l.c.sayWhy(408, "No answer to a refresh")
	l.c.end(l.role, "no answer to "+what+" of the door's own")
}

// glareDelay is how long to wait after a 491 (RFC 3261 section 14.1): the owner
// of the Call-ID waits longer, so that the two sides do not meet again.
func (l *leg) glareDelay() time.Duration {
	if l.uas { // the peer made the Call-ID
		return time.Duration(rand.IntN(201)) * 10 * time.Millisecond
	}
	return 2100*time.Millisecond + time.Duration(rand.IntN(191))*10*time.Millisecond
}

// retryAfterOf reads a Retry-After, at most 5 minutes; 0: there is none.
func retryAfterOf(res *sipmsg.Response) time.Duration {
	h := headerOf(res, "Retry-After")
	if h == nil {
		return 0
	}
	v := h.Value()
	if i := strings.IndexAny(v, "(; "); i >= 0 {
		v = v[:i]
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, 5*time.Minute)
}

// reinvite sends a re-INVITE of the door's own with an offer and tells done its
// final response. No other leg is asked: the session stays what it is.
func (l *leg) reinvite(offer func() []byte, done func(*sipmsg.Request, *sipmsg.Response)) {
	before := l.ours
	req := l.request(sipmsg.INVITE)
	l.askTimer(req)
	setBody(req, sdpType, offer())
	own := &ownReinvite{}
	l.own = own
	finish := func() {
		l.out, l.own = nil, nil
		for _, f := range own.then {
			f()
		}
	}
	var o *outgoing
	o = l.send(req, func(res *sipmsg.Response) {
		if res.IsProvisional() {
			o.within(l.c.d.cfg.RingTimeout)
			return
		}
		if res.IsSuccess() {
			l.retarget(res.Contact())
			l.acknowledge(o, "", "", nil)
			if answer, err := l.read(bodyOf(res)); err == nil && answer != nil {
				l.settleMedia(answer)
				l.c.agreed()
			}
		} else {
			l.ours = before
		}
		finish()
		done(req, res)
	}, func(err error) {
		finish()
		l.unreachable("a re-INVITE", err)
	})
	l.out = o
}

// repeat is the description this leg's peer was last given, with a change or
// without (nil). Its version counts up only if it differs from what was sent
// last.
func (l *leg) repeat(change func(*sdp.Description)) []byte {
	d := l.ours.Clone()
	if change != nil {
		change(d)
	}
	return l.described(d, l.mediaAddr().Addr(), l.theirs)
}

// inert are end-to-end headers that say nothing of the call as it stands: a
// refresh with no others is for the leg's own timer alone.
var inert = map[string]bool{
	"user-agent": true, "server": true, "supported": true, "k": true, "allow": true, "allow-events": true, "u": true,
	"accept": true, "accept-encoding": true, "accept-language": true, "date": true, "organization": true, "require": true,
	"content-disposition": true, "mime-version": true, "content-encoding": true, "e": true, "authorization": true,
}

// mereRefresh says whether a re-INVITE or UPDATE of the peer does nothing but
// keep the leg's own session timer (RFC 4028 section 7.4): the description is
// the one agreed on already, or there is none in an UPDATE.
func (l *leg) mereRefresh(req *sipmsg.Request, offer *sdp.Description) bool {
	if l.timer.interval == 0 {
		return false
	}
	if asked, _ := sessionExpires(req); asked == 0 {
		return false
	}
	if offer == nil {
		return req.Method == sipmsg.UPDATE && len(req.Body()) == 0
	}
	return l.ours != nil && sameSession(offer, l.theirs) && len(offer.Media) == len(l.ours.Media)
}

// concernsOther says whether a request carries something for the other side of
// the call, such as a new identity of who speaks (RFC 3325).
func concernsOther(req *sipmsg.Request) bool {
	for _, h := range req.Headers() {
		name := strings.ToLower(h.Name())
		if !hopByHop[name] && !inert[name] && !strings.HasPrefix(name, "x-portero-") {
			return true
		}
	}
	return false
}

// sameSession says whether two descriptions differ in their version at most.
func sameSession(a, b *sdp.Description) bool {
	if a == nil || b == nil {
		return false
	}
	return withoutOrigin(a) == withoutOrigin(b) && sameKeys(a, b)
}

func withoutOrigin(d *sdp.Description) string {
	c := sdp.Description{Media: d.Media}
	for _, l := range d.Lines {
		if l.Type != 'o' {
			c.Lines = append(c.Lines, l)
		}
	}
	return string(c.Bytes())
}

// answerRefresh answers a mere refresh with what was agreed before. It is not
// handed on: the other leg has a timer of its own, and may at the moment be
// busy, being replaced, or not there at all.
func (l *leg) answerRefresh(in *incoming, offer *sdp.Description) {
	res := l.reply(in, 200, "OK")
	res.AppendHeader(sipmsg.NewHeader("Allow", allow))
	l.retarget(in.req.Contact())
	if in.req.Method == sipmsg.UPDATE {
		if offer != nil {
			setBody(res, sdpType, l.repeat(nil))
		}
		l.grantTimer(in.req, res)
		l.respond(in, res)
		return
	}
	setBody(res, sdpType, l.repeat(nil))
	l.accept(in, res, false, func(*sipmsg.Request) {}, func() { l.unacknowledged() })
}
