package door

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/sip/transport"
)

// onRefer hands a transfer (RFC 3515) to the other leg: who is there carries it
// out and reports on it by NOTIFY. A Replaces in its Refer-To that names a dialog
// with the door is rewritten to the dialog behind it, which is the one the other
// side knows (RFC 3891).
//
// If the other side cannot take a REFER, and sip.refer is handle, the door does
// the transfer itself (transfer.go).
func (l *leg) onRefer(in *incoming) {
	c := l.c
	other := c.other(l)
	if other == nil || other.state != legUp {
		l.onOther(in)
		return
	}
	values := referTos(in.req)
	if len(values) != 1 { // RFC 3515 section 2.4.2
		l.respondPlain(in, 400, "Bad Request: a REFER needs one Refer-To")
		return
	}
	to, err := parseReferTo(values[0])
	if err != nil {
		l.respondPlain(in, 400, "Bad Request: "+err.Error())
		return
	}
	if mf := in.req.MaxForwards(); mf != nil && mf.Val() == 0 {
		l.respondPlain(in, 483, "Too Many Hops")
		return
	}
	if c.d.cfg.Refer == referHandle && !other.takesRefer() {
		c.transfer(l, other, in, to)
		return
	}
	if to.replaces == nil {
		l.passRefer(other, in, to, values[0])
		return
	}
	c.translate(*to.replaces, func(r replaces, target sipmsg.Uri, ok bool) {
		if c.other(l) != other || other.state != legUp { // the call went on meanwhile
			l.respondPlain(in, 481, "Call/Transaction Does Not Exist")
			return
		}
		out := to
		if ok {
			out.replaces = &r
			if c.d.is(&to.uri) { // the door's Contact means who is behind it
				params := to.uri.UriParams
				out.uri = target
				if m, has := params.Get("method"); has {
					out.uri.UriParams.Add("method", m)
				}
				out.text = out.uri.String()
			}
			l.log.Info("a transfer names another call of the door", zap.String("leg", l.role))
		}
		l.passRefer(other, in, to, out.String())
	})
}

const (
	referPass   = "pass"
	referHandle = "handle"
)

// takesRefer says whether the peer has not said otherwise.
func (l *leg) takesRefer() bool {
	if len(l.allows) == 0 {
		return true
	}
	return slices.Contains(l.allows, "REFER")
}

// allowed lists the methods in a message's Allow headers, upper case.
func allowed(m headed) []string {
	var out []string
	for _, o := range options(m, "Allow") {
		out = append(out, strings.ToUpper(o))
	}
	return out
}

// passRefer sends a REFER on.
func (l *leg) passRefer(other *leg, in *incoming, to referTo, value string) {
	c := l.c
	req, ok := l.handOn(in, other)
	if !ok {
		return
	}
	setReferTo(req, value)
	b := bodyOf(in.req)
	setBody(req, b.contentType, b.data)
	var o *outgoing
	o = other.send(req, func(res *sipmsg.Response) {
		switch {
		case res.StatusCode == 100:
			return
		case c.d.cfg.Refer == referHandle && refusesRefer(res.StatusCode) && c.other(l) == other:
			l.log.Info("the other side takes no transfer; the door does it itself", zap.Int("status", res.StatusCode))
			c.transfer(l, other, in, to)
			return
		case res.IsSuccess():
			other.referred(o.req.CSeq().SeqNo, in.req.CSeq().SeqNo)
		}
		out := l.reply(in, res.StatusCode, res.Reason)
		passHeaders(res, out)
		if res.IsSuccess() {
			out.AppendHeader(l.contact())
		}
		rb := bodyOf(res)
		setBody(out, rb.contentType, rb.data)
		l.respond(in, out)
	}, func(err error) {
		l.log.Info("no response to a REFER from the other leg", zap.Error(err))
		l.respondPlain(in, 408, "Request Timeout")
	})
	other.referred(req.CSeq().SeqNo, in.req.CSeq().SeqNo) // a NOTIFY may come before the 202
}

// refusesRefer says whether a status means that a REFER is not taken at all,
// rather than this one.
func refusesRefer(code int) bool { return code == 405 || code == 501 || code == 603 }

// referral is one REFER, which each leg knows by its own CSeq: the id of its
// implicit subscription (RFC 3515 section 2.4.6).
type referral struct{ ours, theirs uint32 }

// maxReferrals bounds the REFERs of a dialog that are remembered.
const maxReferrals = 16

func (l *leg) referred(ours, theirs uint32) {
	r := referral{ours, theirs}
	if slices.Contains(l.referrals, r) {
		return
	}
	if len(l.referrals) >= maxReferrals {
		l.referrals = slices.Delete(l.referrals, 0, 1)
	}
	l.referrals = append(l.referrals, r)
}

// translateEvent puts the other leg's id of a REFER in place of this leg's into
// a NOTIFY or SUBSCRIBE that goes from l to other.
func (l *leg) translateEvent(other *leg, req *sipmsg.Request) {
	if req.Method != sipmsg.NOTIFY && req.Method != sipmsg.SUBSCRIBE {
		return
	}
	name := "Event"
	h := headerOf(req, name)
	if h == nil {
		name = "o"
		if h = headerOf(req, name); h == nil {
			return
		}
	}
	parts := strings.Split(h.Value(), ";")
	if !strings.EqualFold(strings.TrimSpace(parts[0]), "refer") {
		return
	}
	for i, p := range parts[1:] {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		n, err := strconv.ParseUint(v, 10, 32)
		if !strings.EqualFold(k, "id") || err != nil {
			continue
		}
		for _, r := range l.referrals { // REFERs that went to this leg
			if r.ours == uint32(n) {
				parts[i+1] = "id=" + strconv.FormatUint(uint64(r.theirs), 10)
			}
		}
		for _, r := range other.referrals { // REFERs that came from it
			if r.theirs == uint32(n) {
				parts[i+1] = "id=" + strconv.FormatUint(uint64(r.ours), 10)
			}
		}
	}
	req.RemoveHeader(name)
	req.AppendHeader(sipmsg.NewHeader("Event", strings.Join(parts, ";")))
}

// pbxAt says whether a URI names an address of the PBX, and not of the door
// itself or of a trunk.
func (d *Door) pbxAt(u *sipmsg.Uri) bool {
	a, err := netip.ParseAddr(trimBrackets(u.Host))
	if err != nil || d.is(u) {
		return false
	}
	_, trunk := d.trunkOf(a)
	return !trunk && d.isPBX(a)
}

// inside says whether the leg's peer is the PBX.
func (l *leg) inside() bool {
	if transport.IsWebSocket(l.transport) {
		return false
	}
	a, err := netip.ParseAddrPort(l.peer)
	if err != nil {
		return l.role == "far" && l.c.out == nil // a destination by name
	}
	_, trunk := l.c.d.trunkOf(a.Addr())
	return !trunk && l.c.d.isPBX(a.Addr())
}
