package door

import (
	"slices"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/sdp"
)

// leaving settles what is open between the caller and a far leg that the call
// leaves, so that the caller's exchange does not go down with it:
//
//	the caller's re-INVITE or UPDATE   answered by the door itself
//	the far leg's re-INVITE            cancelled on the caller's leg
func (c *call) leaving(far *leg) {
	l := c.caller
	if l.state != legUp || far.state != legUp {
		return
	}
	if in := l.in; in != nil && in.req.IsInvite() {
		l.in = nil
		if offer, err := l.read(bodyOf(in.req)); err == nil {
			l.answerReinvite(in, offer)
		} else {
			l.refuseUnreadable(in, err)
		}
	}
	if far.in != nil {
		far.respondPlain(far.in, 487, "Request Terminated")
		if l.out != nil && l.own == nil {
			l.out.cancel()
		}
	}
}

// unhold has both sides of a call talk again that were put on hold by somebody
// who is there no more, or not any more: a place that the call has left, a
// re-INVITE that was cancelled too late. Nobody else would take them off. Who
// holds of its own accord says so again in its answer (RFC 3264 section 8.4).
func (c *call) unhold() {
	for _, l := range []*leg{c.caller, c.far} {
		if l != nil {
			l.unhold()
		}
	}
}

func (l *leg) unhold() {
	c := l.c
	other := c.other(l)
	if c.ending || l.state != legUp || !l.muted() || other != nil && other.theirs != nil && restricts(other.theirs) {
		return
	}
	if l.busy() {
		c.after(refreshSoon, l.unhold)
		return
	}
	l.log.Info("taken off a hold that nobody keeps any more", zap.String("leg", l.role))
	l.reinvite(func() []byte { return l.repeat(l.resume) }, func(_ *sipmsg.Request, res *sipmsg.Response) {
		switch {
		case res.StatusCode == 491:
			c.after(l.glareDelay(), l.unhold)
		case res.StatusCode == 408 || res.StatusCode == 481:
			c.end(l.role, "its dialog is gone")
		case !res.IsSuccess():
			l.log.Warn("a side of the call stays on hold", zap.String("leg", l.role), zap.Int("status", res.StatusCode))
		default:
			l.grantedTimer(res)
		}
	})
}

// muted says whether this leg's peer was told that nobody listens to it.
func (l *leg) muted() bool { return l.ours != nil && restricts(l.ours) }

// restricts says whether whoever gave a description does not want to hear the
// other side: on hold.
func restricts(d *sdp.Description) bool {
	m := anchored(d)
	if m == nil || m.Port == 0 || m.Type != "audio" {
		return false
	}
	dir := d.Direction(m)
	return dir == sdp.SendOnly || dir == sdp.Inactive
}

// resume takes every spelling of hold out of a description of the door's own.
func (l *leg) resume(d *sdp.Description) {
	isDirection := func(s sdp.Line) bool {
		return s.Type == 'a' && slices.Contains([]string{sdp.SendRecv, sdp.SendOnly, sdp.RecvOnly, sdp.Inactive}, s.Value)
	}
	isConnection := func(s sdp.Line) bool { return s.Type == 'c' }
	drop := func(s sdp.Line) bool { return isDirection(s) || isConnection(s) }
	d.Lines = slices.DeleteFunc(d.Lines, drop)
	if m := anchored(d); m != nil {
		m.Lines = slices.DeleteFunc(m.Lines, drop)
	}
	setConnection(d, l.mediaAddr().Addr(), false)
}
