package door

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/upstream"
)

// A call goes from one target of a destination to the next (RFC 3263 section
// 4.3) as long as the caller has waited for less than try_for:
//
//	what came of it                       the call           the target
//	nothing within its share of try_for   next target        passed over for cooldown
//	it could not be sent                  next target        passed over for cooldown
//	503, ringing or not                   next target        passed over for Retry-After, if it has one
//	408, 502, 504, before it rang         next target        nothing: it lives, what is behind it does not
//	100 or ringing, then nothing          ring_timeout       nothing: the call may be in the PBX
//	anything else                         to the caller      nothing
//
// RFC 3263 names the first three. 502 and 504 say that the request was good and
// the server's own way on is not (RFC 3261 section 21.5), and 408 is how a proxy
// in front of a dead PBX says so: another target has another way. 500 and the
// other 5xx may be the request's own fault, and would be so everywhere.

// search is a call's way through the targets of a destination.
type search struct {
	dest  string
	place *upstream.Pool    // that has it
	leg   func(target) *leg // toward one of its addresses
	tried []upstream.Address
	spent time.Duration // of try_for, by the attempts before
	began time.Time     // of the attempt under way
	rang  time.Time     // when it rang; zero: it has not
}

// waited is for how long the caller has heard nothing.
func (s *search) waited(now time.Time) time.Duration {
	if !s.rang.IsZero() {
		now = s.rang
	}
	return s.spent + now.Sub(s.began)
}

// pick chooses the next target and takes a place there.
func (c *call) pick(s *search) (*upstream.Attempt, error) {
	now := time.Now()
	if len(s.tried) > 0 {
		s.spent = s.waited(now)
	}
	if s.spent >= c.d.cfg.Upstream.TryFor {
		return nil, errTried
	}
	at, err := s.place.Pick(s.dest, upstream.Options{Tried: s.tried, BeyondCaps: c.plan.Reason == policy.ReasonEmergency, Secure: c.sips}, now)
	if err != nil {
		return nil, err
	}
	s.tried = append(s.tried, at.Address)
	s.began, s.rang = now, time.Time{}
	return at, nil
}

var errTried = errors.New("the time for other targets is used up (sip.try_for)")

// try sends the call to the next target.
func (c *call) try(s *search) (*leg, error) {
	at, err := c.pick(s)
	if err != nil {
		return nil, err
	}
	l := s.leg(target{uri: at.URI, transport: at.Address.Transport, hostport: at.Address.AddrPort.String()})
	l.search, l.at = s, at
	if _, err := c.place(l, nil); err != nil {
		at.Done()
		return nil, err
	}
	return l, nil
}

// takes takes a leg's place at the target that it is sent to unsearched.
func (c *call) takes(l *leg) *upstream.Attempt {
	a, err := netip.ParseAddrPort(l.peer)
	if err != nil {
		return nil
	}
	return c.d.upstream.Take(l.dest, l.transport, a, time.Now())
}

// leastPatience is how many T1 a target has at least: by then the INVITE was sent
// three times (RFC 3261 section 17.1.1.2), and one lost packet is not its fault.
const leastPatience = 4

// patience is how long a leg's peer may say nothing: its share of what is left of
// try_for, if there are others.
func (l *leg) patience() time.Duration {
	cfg := l.c.d.cfg
	if l.at == nil || len(l.search.tried) == 1 && l.at.More == 0 {
		return cfg.AnswerTimeout
	}
	left := cfg.Upstream.TryFor - l.search.spent
	share := max(left/time.Duration(l.at.More+1), leastPatience*l.c.d.timers.T1)
	return min(cfg.AnswerTimeout, left, share)
}

// lives notes a response that shows that the target takes calls.
func (l *leg) lives() {
	if l.at == nil {
		return
	}
	now := time.Now()
	if l.search.rang.IsZero() {
		l.search.rang = now
	}
	l.at.Answered(now)
}

// concluded notes the final response of a target, or that none came, and
// returns whether another target may take the call. A leg that the call no
// longer wanted says nothing of its target.
func (l *leg) concluded(res *sipmsg.Response, err error) (another bool) {
	c := l.c
	if l.at == nil || c.ending || l != c.far && l != c.next && l != c.caller {
		return false
	}
	now, f, result := time.Now(), upstream.Failure(-1), "refused"
	rang := !l.search.rang.IsZero()
	switch {
	case res == nil && (rang || l.out != nil && l.out.alive || !l.answered.IsZero()):
		return false // it had the call, for as long as a call may ring
	case res == nil && !errors.Is(err, errSilent):
		f = upstream.Unsent
	case res == nil:
		f = upstream.Silent
	case res.StatusCode == 503:
		f = upstream.Unavailable
	case !rang && (res.StatusCode == 408 || res.StatusCode == 502 || res.StatusCode == 504):
		f = upstream.Elsewhere
	case res.IsSuccess():
		result = "answered"
	}
	if f >= 0 {
		result = f.String()
		var wait time.Duration
		if res != nil {
			wait = retryAfterOf(res)
		}
		l.at.Failed(f, wait, now)
	} else {
		l.at.Answered(now)
	}
	c.d.deps.Metrics.Attempted(l.at.Destination, l.at.Target, result)
	return f >= 0
}

// failover sends the call to another target in place of a leg that came to
// nothing. It returns false when there is none, and the leg's end is the call's
// or the move's.
func (c *call) failover(l *leg, why string) bool {
	next, err := c.try(l.search)
	if err != nil {
		l.log.Info("no other target", zap.String("destination", l.dest), zap.String("why", err.Error()))
		return false
	}
	c.old = append(c.old, l)
	c.endBranches(l, why)
	c.dropMedia(l)
	if l == c.next {
		c.next = next
	} else {
		c.far = next
	}
	l.log.Warn("another target is tried", zap.String("destination", l.dest), zap.Stringer("failed", l.at.Address), zap.String("why", why),
		zap.Stringer("next", next.at.Address))
	return true
}

// fullWait is for how long a caller's side is sent away when every target is
// full: until a call ends, which nobody knows.
const fullWait = 5 * time.Second

// unserved refuses a call that no target of a destination takes. It tells the
// caller's side when to come back (RFC 3261 section 21.5.4).
func (c *call) unserved(dest, reason string, err error) {
	c.came("failed: " + err.Error())
	c.rec.Errors = append(c.rec.Errors, fmt.Sprintf("%s: destination %s: %s", reason, dest, err))
	c.log.Error("no target takes the call", zap.String("destination", dest), zap.String("reason", reason), zap.Error(err))
	c.d.deps.Metrics.SIPRefused(reason)
	if c.caller.in == nil || !c.answeredAt.IsZero() {
		c.end("portero", err.Error())
		return
	}
	wait := c.d.upstream.RetryAfter(dest, time.Now())
	if reason == policy.ReasonUpstreamFull {
		wait = max(wait, fullWait)
	}
	c.refuse(503, "Service Unavailable", sipmsg.NewHeader("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds())))), reasonHeader(503, reason))
}

// lack is the reason code of an error of try that says that there is no target
// for the call, and empty for others.
func lack(err error) string {
	switch {
	case errors.Is(err, upstream.ErrFull):
		return policy.ReasonUpstreamFull
	case errors.Is(err, upstream.ErrNowhere), errors.Is(err, upstream.ErrUnknown), errors.Is(err, errTried):
		return policy.ReasonNoUpstream
	}
	return ""
}
