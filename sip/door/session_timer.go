package door

import (
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// SessionTimers are how the door finds out that a side of a call is gone though
// nobody hung up (RFC 4028).
type SessionTimers struct {
	// Enabled negotiates session timers on every leg. Without it the extension
	// is hidden from both sides, and Require: timer is refused. Default: true.
	Enabled bool `yaml:"enabled"`
	// Expires is the session interval the door asks for, whole seconds; whoever
	// refreshes does so after half of it. Default: 30m.
	Expires time.Duration `yaml:"expires"`
	// MinSE is the shortest interval the door agrees to, whole seconds; a shorter
	// one is answered 422. RFC 4028 section 5 wants 90s at least: less is for
	// test beds, and not with Asterisk 16, which answers nothing at all to who
	// asks for less. Default: 90s.
	MinSE time.Duration `yaml:"min_se"`
}

// check reports mistakes.
func (s SessionTimers) check(fault func(path, format string, args ...any)) {
	for _, r := range []struct {
		path string
		d    time.Duration
	}{{"session_timers.expires", s.Expires}, {"session_timers.min_se", s.MinSE}} {
		if r.d < time.Second || r.d%time.Second != 0 {
			fault(r.path, "%v is no session interval; allowed: whole seconds, 1s and more", r.d)
		}
	}
	if s.Expires < s.MinSE {
		fault("session_timers.expires", "%v is shorter than min_se (%v), which the door itself would refuse", s.Expires, s.MinSE)
	}
}

// sessionTimer is the session timer of one leg. Each leg has its own, as the two
// are two sessions: what the carrier asks for is agreed with the carrier, what
// the PBX wants with the PBX.
type sessionTimer struct {
	supported bool          // the peer has said so
	update    bool          // the peer takes UPDATE
	interval  time.Duration // 0: no timer runs
	refresher bool          // the door refreshes
	agreed    bool          // by the peer; else the door refreshes for itself
	wanted    bool          // the peer asked for a timer of its own accord
	least     time.Duration // the largest Min-SE the peer has named
	raised    int           // how often it did so by 422
	next      *time.Timer   // the door's next refresh
	expiry    *time.Timer   // the end, unless somebody refreshes
}

// stop ends the timer with its leg, or before it starts anew.
func (t *sessionTimer) stop() {
	t.interval, t.agreed = 0, false
	for _, p := range []**time.Timer{&t.next, &t.expiry} {
		if *p != nil {
			(*p).Stop()
			*p = nil
		}
	}
}

// refresher names in Session-Expires, by who sends the request.
const (
	byUAC = "uac"
	byUAS = "uas"
)

// sessionExpires reads a Session-Expires (RFC 4028 section 4); 0: there is none
// that can be read.
func sessionExpires(m message) (interval time.Duration, refresher string) {
	h := header(m, "Session-Expires", "x")
	if h == nil {
		return 0, ""
	}
	v, params, _ := strings.Cut(h.Value(), ";")
	for _, p := range strings.Split(params, ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(strings.TrimSpace(name), "refresher") {
			refresher = strings.ToLower(strings.TrimSpace(value))
		}
	}
	return deltaSeconds(v), refresher
}

// minSE reads a Min-SE (RFC 4028 section 5); 0: there is none.
func minSE(m message) time.Duration {
	h := headerOf(m, "Min-SE")
	if h == nil {
		return 0
	}
	v, _, _ := strings.Cut(h.Value(), ";")
	return deltaSeconds(v)
}

// deltaSeconds reads seconds of at most 32 bits; 0: it cannot be read.
func deltaSeconds(s string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// tooShort says whether a request asks for an interval that the door does not
// agree to: 422 (RFC 4028 section 9). Whoever does not know the extension could
// do nothing with a 422; its Session-Expires, put in by a proxy, is passed over.
func (s SessionTimers) tooShort(req *sipmsg.Request) (refused bool, with sipmsg.Header) {
	if !s.Enabled || req.Method != sipmsg.INVITE && req.Method != sipmsg.UPDATE {
		return false, nil
	}
	asked, _ := sessionExpires(req)
	if asked == 0 || asked >= s.MinSE || !supports(req, "timer") {
		return false, nil
	}
	return true, sipmsg.NewHeader("Min-SE", seconds(s.MinSE))
}

// learn takes from a message of the peer what it can do.
func (l *leg) learn(m message) {
	if supports(m, "timer") {
		l.timer.supported = true
	}
	if headerOf(m, "Allow") != nil {
		l.timer.update = false
		for _, o := range options(m, "Allow") {
			l.timer.update = l.timer.update || o == "update"
		}
	}
	l.timer.least = max(l.timer.least, minSE(m))
}

// askTimer writes into our INVITE or UPDATE which session interval we want (RFC
// 4028 section 7.1). In a session with a timer every such request says so again,
// and who refreshes stays the same (section 7.4).
func (l *leg) askTimer(req *sipmsg.Request) {
	cfg := l.c.d.cfg.SessionTimers
	if !cfg.Enabled {
		return
	}
	addSupported(req, "timer")
	t := &l.timer
	first := req.IsInvite() && l.state < legUp
	if !first && !t.agreed {
		return // the peer has declined before, or was never asked
	}
	value := seconds(max(cfg.Expires, t.least))
	if t.agreed {
		value = seconds(max(t.interval, t.least)) + ";refresher=" + who(t.refresher, byUAC, byUAS)
	}
	req.AppendHeader(sipmsg.NewHeader("Session-Expires", value))
	if least := max(cfg.MinSE, t.least); least > 90*time.Second || t.least > 0 {
		req.AppendHeader(sipmsg.NewHeader("Min-SE", seconds(least)))
	}
}

func who(door bool, ours, theirs string) string {
	if door {
		return ours
	}
	return theirs
}

// grantTimer writes into our 2xx to the peer's INVITE or UPDATE what is agreed
// (RFC 4028 section 9, table 2), and starts the timer:
//
//	peer knows timers   it asked for        the refresher is
//	yes                 itself (uac)        the peer
//	yes                 us (uas)            the door
//	yes                 nobody in           who it was; at first the door if the peer takes UPDATE,
//	                    particular          which touches no media, else the peer
//	no                  an interval, by a   the door
//	                    proxy on the way
//	no                  nothing             no timer is agreed
func (l *leg) grantTimer(req *sipmsg.Request, res *sipmsg.Response) {
	cfg := l.c.d.cfg.SessionTimers
	if !cfg.Enabled || !res.IsSuccess() || req.Method != sipmsg.INVITE && req.Method != sipmsg.UPDATE {
		return
	}
	addSupported(res, "timer")
	l.learn(req)
	t := &l.timer
	knows := supports(req, "timer")
	asked, refresher := sessionExpires(req)
	if !knows && asked < cfg.MinSE { // a timer that was there ends with this request (section 7.4)
		l.runTimer(0, false, false)
		l.c.pairTimers()
		return
	}
	ours := !knows
	switch {
	case !knows:
	case refresher == byUAC || refresher == byUAS:
		ours = refresher == byUAS
	case t.agreed:
		ours = t.refresher
	default:
		ours = t.update
	}
	if asked == 0 {
		asked = max(cfg.Expires, t.least)
	}
	res.AppendHeader(sipmsg.NewHeader("Session-Expires", seconds(asked)+";refresher="+who(ours, byUAS, byUAC)))
	if knows {
		res.AppendHeader(sipmsg.NewHeader("Require", "timer"))
	}
	t.wanted = t.wanted || header(req, "Session-Expires", "x") != nil
	l.runTimer(asked, ours, true)
	l.c.pairTimers()
}

// grantedTimer starts the timer that a peer's 2xx to our INVITE or UPDATE agrees
// to (RFC 4028 section 7.2). Without a Session-Expires there is none.
func (l *leg) grantedTimer(res *sipmsg.Response) {
	if !l.c.d.cfg.SessionTimers.Enabled {
		return
	}
	l.learn(res)
	interval, refresher := sessionExpires(res)
	l.runTimer(interval, refresher != byUAS, interval > 0)
	l.c.pairTimers()
}

// shortestRefresh bounds how often a peer can have the door refresh.
const shortestRefresh = 500 * time.Millisecond

// runTimer starts a leg's timer anew, as every refresh does; interval 0 stops it.
func (l *leg) runTimer(interval time.Duration, ours, agreed bool) {
	t := &l.timer
	t.stop()
	if interval <= 0 || l.state == legGone || l.c.ending {
		return
	}
	t.interval, t.refresher, t.agreed = interval, ours, agreed
	if ours {
		t.next = l.c.after(max(interval/2, shortestRefresh), l.refresh)
	}
	if agreed {
		// RFC 4028 section 10: not at the very end, as the BYE has to arrive.
		t.expiry = l.c.after(interval-min(32*time.Second, interval/3), func() { l.c.expired(l) })
	}
}

// pairTimers has the door refresh a leg that has no timer when the other side
// asked for one: who wants to know that the call is alive means the whole call.
// That a PBX merely agreed to what the door asked for is no such wish, and a
// caller who knows no timers is left alone.
func (c *call) pairTimers() {
	for _, l := range []*leg{c.caller, c.far} {
		if l == nil || l.state != legUp || l.timer.interval > 0 {
			continue
		}
		if other := c.other(l); other != nil && other.timer.agreed && other.timer.wanted {
			l.runTimer(max(c.d.cfg.SessionTimers.Expires, l.timer.least), true, false)
		}
	}
}

// longer notes the Min-SE of a 422 and says whether asking again makes sense:
// with a larger interval than was asked for (RFC 4028 section 7.3).
func (l *leg) longer(req *sipmsg.Request, res *sipmsg.Response) bool {
	asked, _ := sessionExpires(req)
	least := minSE(res)
	if res.StatusCode != 422 || asked == 0 || least <= asked || least > maxInterval || l.timer.raised >= maxRaised {
		return false
	}
	l.timer.least = least
	l.timer.raised++
	return true
}

// maxRaised bounds the 422s that are followed on a leg, some for proxies on the
// way.
const maxRaised = 8

// theirs is a refusal as the other leg's peer may see it: a 422 was between the
// door and whoever sent it.
func theirs(res *sipmsg.Response) (code int, reason string) {
	if res.StatusCode == 422 {
		return 500, "Server Internal Error: no session interval suits both sides"
	}
	return res.StatusCode, res.Reason
}

// maxInterval is the longest Min-SE that is followed.
const maxInterval = 24 * time.Hour

// expired ends a call one side of which has stopped refreshing, or refreshes no
// more (RFC 4028 section 10).
func (c *call) expired(l *leg) {
	if c.ending || l.state != legUp {
		return
	}
	c.log.Warn("a session timer ran out", zap.String("leg", l.role), zap.Duration("interval", l.timer.interval),
		zap.Bool("door_refreshes", l.timer.refresher))
	if x := c.xfer; x != nil && l == x.by { // as if it had hung up; who is transferred is kept
		l.bye()
		c.transferorLeft(x)
		return
	}
	if l == c.far && (c.next != nil || c.talk != nil) { // the call is on its way elsewhere
		c.letGo(l)
		c.far = nil
		return
	}
	if l != c.caller && l != c.far {
		return
	}
	c.rec.Errors = append(c.rec.Errors, "session_expired: the "+l.role+" leg was not refreshed within its session interval")
	c.sayWhy(408, "Session expired")
	c.end("portero", "session timer expired on the "+l.role+" leg")
}

// sayWhy puts a Reason (RFC 3326) into the BYEs that the end of the call sends.
func (c *call) sayWhy(code int, text string) {
	bye := sipmsg.NewRequest(sipmsg.BYE, sipmsg.Uri{})
	bye.AppendHeader(reasonHeader(code, text))
	c.farewell = bye
}
