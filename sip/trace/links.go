package trace

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/sip/sdp"
)

// Limits of finding what belongs together.
const (
	maxLinks     = 16              // of one call
	maxSameUser  = 8               // calls to one host by one number, lately; more are not told apart
	linkWindow   = 5 * time.Second // from one leg's INVITE to the other's, at most
	minuteOrigin = time.Minute     // from one description to its like in another call
)

// Link says that another Call-ID belongs to the same conversation.
type Link struct {
	CallID string `json:"call_id"`
	// Kind is leg: the same call on the other side of a B2BUA; replaces: one of the
	// two took the other's place (RFC 3891); refer: one was made because the other
	// asked for it (RFC 3515).
	Kind LinkKind `json:"kind"`
	Sure string   `json:"sure"` // certain, likely or possible
	Why  []string `json:"why"`
}

// LinkKind is how two calls belong together.
type LinkKind string

// The kinds of links.
const (
	LinkLeg      LinkKind = "leg"
	LinkReplaces LinkKind = "replaces"
	LinkRefer    LinkKind = "refer"
)

// How much each sign counts; 90 is certain, 60 likely, 30 possible.
const (
	pointsNamed    = 100 // a header of one names the other
	pointsMedia    = 60  // the same description, or the same address of media
	pointsNumbers  = 50  // both numbers, the host and the time fit
	pointsNumber   = 30  // one of the numbers does
	pointsTogether = 20  // answered, or ended, together
)

// together is how near to each other the legs of a call are answered and ended.
const together = time.Second

// link is between two calls.
type link struct {
	a, b   *call // a began first
	kind   LinkKind
	points int
	why    []string
}

// links finds the calls that belong together, by indices of those that are open.
type links struct {
	sessions map[string]*call  // by a UUID of their Session-ID
	charges  map[string]*call  // by their charging identity
	origins  map[uint64]origin // by the o= line of a description
	lately   map[who][]recent  // by where they went and a number
	pruned   time.Time
}

type origin struct {
	call *call
	at   time.Time
}

// who is a number at a host. The port counts, and is not 0, where both ends of a
// hop are one host.
type who struct {
	host   netip.AddrPort
	number string
}

// whose is the host at one end of a hop.
func whose(end, other netip.AddrPort) netip.AddrPort {
	if end.Addr() == other.Addr() {
		return end
	}
	return netip.AddrPortFrom(end.Addr(), 0)
}

// recent is a call that went there, or one that asked for a call from there.
type recent struct {
	call  *call
	at    time.Time
	kind  LinkKind
	other string // the other number
}

// sameNumber makes numbers comparable that gateways write differently: the last nine
// digits, or the user in lower case where it is none.
func sameNumber(user string) string {
	digits := 0
	for _, c := range []byte(user) {
		if c >= '0' && c <= '9' {
			digits++
		} else if strings.IndexByte("+-.()", c) < 0 {
			return strings.ToLower(user)
		}
	}
	if digits < 6 {
		return strings.ToLower(user)
	}
	out := make([]byte, 0, 9)
	for i := len(user) - 1; i >= 0 && len(out) < 9; i-- {
		if c := user[i]; c >= '0' && c <= '9' {
			out = append(out, c)
		}
	}
	slices.Reverse(out)
	return string(out)
}

// join notes that two calls belong together. A second sign adds to the first.
func join(a, b *call, kind LinkKind, points int, why string) {
	if a == b || a == nil || b == nil {
		return
	}
	for _, l := range b.links {
		if l.a == a || l.b == a {
			if !slices.Contains(l.why, why) {
				l.points += points
				l.why = append(l.why, why)
			}
			return
		}
	}
	if len(a.links) >= maxLinks || len(b.links) >= maxLinks {
		return
	}
	l := &link{a: a, b: b, kind: kind, points: points, why: []string{why}}
	a.links, b.links = append(a.links, l), append(b.links, l)
}

// message looks at a message of a call for what ties it to another one. begins is
// true for the first INVITE.
func (x *links) message(t *reader, c *call, m *message, src, dst netip.AddrPort, at time.Time, begins bool) {
	if m.session != "" {
		x.session(c, m.session)
	}
	for _, v := range m.others[:m.othersSeen] {
		if other := t.calls[v]; other != nil {
			join(other, c, LinkLeg, pointsNamed, "a header names the other Call-ID")
		} else if _, icid, ok := strings.Cut(v, "icid-value="); ok {
			icid, _, _ = strings.Cut(icid, ";")
			x.same(&x.charges, strings.Trim(icid, `"`), c, "the same charging identity (RFC 7315)")
		}
	}
	if m.replaces != "" {
		id, _, _ := strings.Cut(m.replaces, ";")
		join(t.calls[strings.TrimSpace(id)], c, LinkReplaces, pointsNamed, "its Replaces names the other Call-ID")
	}
	if m.method == "REFER" {
		x.note(who{whose(dst, src), sameNumber(m.referred)}, recent{c, at, LinkRefer, ""})
	}
	if !begins {
		return
	}
	if base := beforeB2B(c.id); base != "" {
		join(t.calls[base], c, LinkLeg, pointsNamed, "its Call-ID is made of the other's")
	}
	x.numbers(c, src, dst, at)
}

// session looks for another call with a UUID of the Session-ID (RFC 7989): each
// leg has those of both ends of the whole way.
func (x *links) session(c *call, v string) {
	local, rest, _ := strings.Cut(v, ";")
	x.same(&x.sessions, strings.TrimSpace(local), c, "the same Session-ID (RFC 7989)")
	if r := parameter(rest, "remote"); r != "" {
		x.same(&x.sessions, r, c, "the same Session-ID (RFC 7989)")
	}
}

func (x *links) same(index *map[string]*call, key string, c *call, why string) {
	if len(key) < 8 || strings.Trim(key, "0") == "" { // the null UUID
		return
	}
	if *index == nil {
		*index = map[string]*call{}
	}
	switch other := (*index)[key]; {
	case other == nil:
		if len(c.marks) < maxLinks {
			key = strings.Clone(key)
			(*index)[key] = c
			c.marks = append(c.marks, key)
		}
	case other != c:
		join(other, c, LinkLeg, pointsNamed, why)
	}
}

// beforeB2B is what stands before the ending that some B2BUAs give the Call-ID of
// their other leg ("…_b2b-1", "…-b2b_2"); "" when there is none.
func beforeB2B(id string) string {
	s := strings.TrimRight(id, "0123456789")
	s = strings.TrimRight(s, "-_")
	if s, ok := strings.CutSuffix(s, "b2b"); ok && len(s) > 1 {
		return strings.TrimRight(s, "-_.")
	}
	return ""
}

// numbers looks for a call that went to where this one comes from, shortly before
// and with the same numbers.
func (x *links) numbers(c *call, src, dst netip.AddrPort, at time.Time) {
	from, to := sameNumber(c.from.user), sameNumber(c.to.user)
	var best recent
	points, several := 0, false
	for _, number := range []string{from, to} {
		if number == "" {
			continue
		}
		candidates := x.lately[who{netip.AddrPortFrom(src.Addr(), 0), number}]
		if src.Addr() == dst.Addr() {
			candidates = slices.Concat(candidates, x.lately[who{src, number}])
		}
		for _, r := range candidates {
			if r.call == c || at.Sub(r.at) > linkWindow || at.Before(r.at) || r.call.final > 0 {
				continue
			}
			p := pointsNumber
			if r.kind == LinkLeg && number == from && r.other == to {
				p = pointsNumbers
			}
			if r.kind == LinkRefer {
				if number != to {
					continue
				}
				p = pointsNumbers + 10
			}
			switch {
			case p > points:
				best, points, several = r, p, false
			case p == points && r.call != best.call:
				several = true
			}
		}
	}
	if points > 0 {
		why := "it began where the other went, " + at.Sub(best.at).Round(time.Millisecond).String() + " later, with a number of it"
		if points == pointsNumbers {
			why = "it began where the other went, " + at.Sub(best.at).Round(time.Millisecond).String() + " later, with its numbers"
		}
		if best.kind == LinkRefer {
			why = "it goes to where the other's REFER asked for a call, " + at.Sub(best.at).Round(time.Millisecond).String() + " later"
		}
		if several {
			points, why = pointsNumber, why+"; others fit too"
		}
		join(best.call, c, best.kind, points, why)
	}
	if from != "" {
		x.note(who{whose(dst, src), from}, recent{c, at, LinkLeg, to})
	}
	if to != "" && to != from {
		x.note(who{whose(dst, src), to}, recent{c, at, LinkLeg, from})
	}
}

func (x *links) note(w who, r recent) {
	if x.lately == nil {
		x.lately = map[who][]recent{}
	}
	list := x.lately[w]
	for len(list) > 0 && (len(list) >= maxSameUser || r.at.Sub(list[0].at) > linkWindow) {
		list = list[1:]
	}
	if len(list) == 0 {
		list = make([]recent, 0, 1)
	}
	x.lately[w] = append(list, r)
}

// described looks for another call with the same description: a B2BUA that leaves
// the media alone hands it on.
func (x *links) described(c *call, d *sdp.Description, at time.Time) {
	for _, l := range d.Lines {
		if l.Type != 'o' {
			continue
		}
		f := strings.Fields(l.Value)
		if len(f) != 6 || len(f[1]) < 5 { // too short a number to be anybody's own
			return
		}
		key := maphash.String(waySeed, f[1]+" "+f[5])
		if x.origins == nil {
			x.origins = map[uint64]origin{}
		}
		switch o := x.origins[key]; {
		case o.call == nil || at.Sub(o.at) > minuteOrigin:
			x.origins[key] = origin{c, at}
			c.origin = append(c.origin, key)
		case o.call != c && chained(o.call, c):
			join(o.call, c, LinkLeg, pointsMedia, "the same session description")
		}
		return
	}
}

// media says that two calls announced the same address.
func (x *links) media(older, newer *call, now time.Time) {
	if chained(older, newer) && older.ended().IsZero() && now.Sub(older.last) < minuteOrigin {
		join(older, newer, LinkLeg, pointsMedia, "the same address for media")
	}
}

// chained says whether one of two calls comes from where the other went. Without
// that, what their media have in common is only that they are of one machine.
func chained(a, b *call) bool {
	if a.inviteAt.IsZero() || b.inviteAt.IsZero() {
		return false
	}
	from := func(x, y *call) bool { // y comes from where x went
		end, start := whose(x.hop.dst, x.hop.src), whose(y.hop.src, y.hop.dst)
		return end == start || end.Addr() == start.Addr() && (end.Port() == 0 || start.Port() == 0)
	}
	return from(a, b) || from(b, a)
}

// forget takes a call out of the indices.
func (x *links) forget(c *call) {
	for _, k := range c.marks {
		if x.sessions[k] == c {
			delete(x.sessions, k)
		}
		if x.charges[k] == c {
			delete(x.charges, k)
		}
	}
	for _, k := range c.origin {
		if x.origins[k].call == c {
			delete(x.origins, k)
		}
	}
}

// sweep forgets who called long ago.
func (x *links) sweep(now time.Time) {
	if now.Sub(x.pruned) < linkWindow {
		return
	}
	x.pruned = now
	for w, list := range x.lately {
		if now.Sub(list[len(list)-1].at) > linkWindow {
			delete(x.lately, w)
		}
	}
}

// report is what is told of a link to one of its calls; ok is false when it is not
// worth telling.
func (l *link) report(c *call) (out Link, ok bool) {
	other, points, why := l.a, l.points, slices.Clone(l.why)
	if other == c {
		other = l.b
	}
	if l.kind == LinkLeg && points < pointsNamed {
		if near(l.a.answerAt, l.b.answerAt) {
			points, why = points+pointsTogether, append(why, "answered together")
		}
		if near(l.a.ended(), l.b.ended()) {
			points, why = points+pointsTogether, append(why, "ended together")
		}
	}
	out = Link{CallID: other.id, Kind: l.kind, Why: why}
	switch {
	case !other.invited || points < 30:
		return out, false
	case points >= 90:
		out.Sure = "certain"
	case points >= 60:
		out.Sure = "likely"
	default:
		out.Sure = "possible"
	}
	return out, true
}

func near(a, b time.Time) bool {
	return !a.IsZero() && !b.IsZero() && a.Sub(b).Abs() <= together
}
