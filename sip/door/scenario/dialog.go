package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A dialog is one call of an agent (RFC 3261 section 12), with all the
// branches of it that the agent plays.
type dialog struct {
	id      string // Call-ID
	bound   bool   // a script has named it
	uac     bool   // the agent sent the first request
	self    string // the agent's From or To value, without tag
	peer    string // the peer's, without tag
	tag     string // the agent's own; branches add to it
	peerTag string
	target  string   // the peer's Contact
	routes  []string // the route set
	seq     int      // of the agent's last request
	version int      // of its session description
	last    string   // that description
	timed   bool     // the session has a timer (RFC 4028)
	made    string   // the last offer in a 2xx of the agent's

	contacts map[string]string   // the agent's Contact, by its tag
	peerSeq  map[string]int      // of the peer's last request, by the agent's tag
	sent     map[string]*message // last request by method
	branches map[string]*message // requests by Via branch
	got      map[string]*message // last request that the script took, by method
	open     []*message          // requests that it took and has not answered finally
	answers  map[string]*message // last response by status, method and branch
	origins  map[string]origin   // of the peer's last session description, by both tags
	earlies  map[string]*peer    // the peer's dialogs with the agent, by the peer's tag
	names    map[string]string   // what a script calls them
	sentRel  []*reliably         // reliable responses of the agent
	finals   map[string]string   // non-2xx finals sent to INVITEs by Via branch: what awaits its ACK
}

func newDialog(id string) *dialog {
	return &dialog{id: id, contacts: map[string]string{}, peerSeq: map[string]int{}, sent: map[string]*message{}, branches: map[string]*message{},
		got: map[string]*message{}, answers: map[string]*message{}, finals: map[string]string{},
		origins: map[string]origin{}, earlies: map[string]*peer{}, names: map[string]string{}}
}

// ownTag is the agent's tag in a branch.
func (d *dialog) ownTag(fork string) string {
	if fork == "" {
		return d.tag
	}
	return d.tag + "-" + fork
}

// mine says whether a tag is the agent's.
func (d *dialog) mine(tag string) bool {
	return tag == d.tag || strings.HasPrefix(tag, d.tag+"-")
}

// established says whether there is a peer to send in-dialog requests to.
func (d *dialog) established() bool { return d.peerTag != "" }

// learn takes what a message of the peer says of the dialog: its tag, its
// target and, once, the route set.
func (d *dialog) learn(m *message) {
	request := m.code() == 0
	tag := parameter(m.get("To"), "tag")
	if request {
		tag = parameter(m.get("From"), "tag")
	}
	refresh := slices.Contains([]string{"INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY"}, m.method()) && (request || m.code() > 100 && m.code() < 300)
	if !refresh {
		if request && d.peerTag == "" {
			d.peerTag = tag
		}
		return
	}
	d.learnEarly(m)
	if tag != "" && tag != d.peerTag && (d.peerTag == "" || m.code() >= 200) {
		d.peerTag = tag
		d.routes = slices.Clone(m.all("Record-Route"))
		if !request {
			slices.Reverse(d.routes) // section 12.1.2
		}
	}
	if c := m.all("Contact"); len(c) > 0 {
		d.target = address(c[0])
	}
}

// A builder makes an agent's messages.
type builder struct {
	name    string
	addr    netip.AddrPort
	counter int
}

func (b *builder) unique(kind string) string {
	b.counter++
	return fmt.Sprintf("%s%s%d", b.name, kind, b.counter)
}

func (b *builder) contact(fork string) string {
	user := b.name
	if fork != "" {
		user += "-" + fork
	}
	return fmt.Sprintf("<sip:%s@%s>", user, b.addr)
}

func (b *builder) via() string {
	return fmt.Sprintf("SIP/2.0/UDP %s;branch=z9hG4bK%s;rport", b.addr, b.unique("b"))
}

// request makes the request that a script sends in a dialog, or before it.
func (b *builder) request(d *dialog, fork string, w what) *message {
	if w.method == "CANCEL" && d.sent["INVITE"] != nil {
		return b.finish(d, fork, w, cancel(d.sent["INVITE"]))
	}
	uri := w.uri
	if uri == "" && d.established() {
		uri = d.target
	}
	if uri == "" {
		uri = "sip:100@portero"
	}
	if d.tag == "" { // the first of a call
		d.uac, d.tag = true, b.unique("t")
		d.self, d.peer = fmt.Sprintf("<sip:%s@%s>", b.name, b.addr.Addr()), "<"+uri+">"
	}
	to, routes := d.peer, d.routes
	if d.established() {
		to += ";tag=" + d.peerTag
	}
	p := d.dialogOf(w)
	if p != nil {
		to, routes = d.peer+";tag="+p.tag, p.routes
		if w.uri == "" {
			uri = p.target
		}
	}
	switch invite := d.sent["INVITE"]; {
	case w.method == "ACK" && invite != nil:
		d.seq = max(d.seq, invite.seq())
	default:
		d.seq++
	}
	seq := d.seq
	if invite := d.sent["INVITE"]; w.method == "ACK" && invite != nil {
		seq = invite.seq() // section 13.2.2.4
	}
	m := &message{start: w.method + " " + uri + " SIP/2.0"}
	m.add("Via", b.via())
	m.add("Max-Forwards", "70")
	for _, r := range routes {
		m.add("Route", r)
	}
	m.add("From", d.self+";tag="+d.ownTag(fork))
	m.add("To", to)
	m.add("Call-ID", d.id)
	m.add("CSeq", fmt.Sprintf("%d %s", seq, w.method))
	if w.method == "PRACK" && p != nil && p.last != nil {
		m.add("RAck", fmt.Sprintf("%s %s", p.last.get("RSeq"), p.last.get("CSeq")))
	}
	if w.method != "PRACK" && w.method != "ACK" && w.method != "BYE" && w.method != "CANCEL" && w.method != "MESSAGE" && w.method != "INFO" {
		m.add("Contact", b.contact(fork))
	}
	return b.finish(d, fork, w, m)
}

// cancel is the CANCEL of an INVITE (section 9.1).
func cancel(invite *message) *message {
	m := &message{start: "CANCEL " + invite.uri() + " SIP/2.0"}
	m.add("Via", invite.all("Via")[0])
	m.add("Max-Forwards", "70")
	for _, name := range []string{"Route", "From", "To", "Call-ID"} {
		for _, v := range invite.all(name) {
			m.add(name, v)
		}
	}
	m.add("CSeq", fmt.Sprintf("%d CANCEL", invite.seq()))
	return m
}

// ack is the ACK of a final response other than 2xx (section 17.1.1.3).
func ack(invite, response *message) *message {
	m := cancel(invite)
	m.start = "ACK " + invite.uri() + " SIP/2.0"
	m.replace("To", response.get("To"))
	m.replace("CSeq", fmt.Sprintf("%d ACK", invite.seq()))
	return m
}

// phrases are the reason phrases that scripts get without asking.
var phrases = map[int]string{100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 183: "Session Progress", 199: "Early Dialog Terminated",
	200: "OK", 202: "Accepted", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 407: "Proxy Authentication Required", 408: "Request Timeout", 415: "Unsupported Media Type", 422: "Session Interval Too Small", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending", 500: "Server Internal Error",
	503: "Service Unavailable", 603: "Decline"}

// response makes the response that a script sends to a request it took.
func (b *builder) response(d *dialog, fork string, w what) (*message, error) {
	req := d.got[w.method]
	if w.method == "" && len(d.open) > 0 {
		req = d.open[len(d.open)-1]
	}
	for i := len(d.open) - 1; i >= 0 && fork != ""; i-- { // the branch's own, if it has one
		o := d.open[i]
		if parameter(o.get("To"), "tag") == d.ownTag(fork) && (w.method == "" || w.method == o.method()) {
			req = o
			break
		}
	}
	if req == nil {
		return nil, fmt.Errorf("there is no %s request to answer here", w.method)
	}
	reason := w.reason
	if reason == "" {
		reason = phrases[w.code]
	}
	m := &message{start: fmt.Sprintf("SIP/2.0 %d %s", w.code, reason)}
	for _, v := range req.all("Via") {
		m.add("Via", v)
	}
	for _, v := range req.all("Record-Route") {
		m.add("Record-Route", v)
	}
	m.add("From", req.get("From"))
	to := req.get("To")
	if parameter(to, "tag") == "" && w.code > 100 {
		to += ";tag=" + d.ownTag(fork)
	}
	m.add("To", to)
	m.add("Call-ID", d.id)
	m.add("CSeq", req.get("CSeq"))
	method := req.method()
	if w.code > 100 && w.code < 300 && slices.Contains([]string{"INVITE", "UPDATE", "SUBSCRIBE", "REFER"}, method) {
		m.add("Contact", b.contact(fork))
	}
	if w.rel {
		m.add("Require", "100rel")
		m.add("RSeq", fmt.Sprint(d.nextRSeq(d.ownTag(fork))))
	}
	return b.finish(d, fork, w, m), nil
}

// finish adds the body and what the script says of headers.
func (b *builder) finish(d *dialog, fork string, w what, m *message) *message {
	switch {
	case w.sdp != nil:
		m.add("Content-Type", "application/sdp")
		m.body = w.sdp.text(b.addr, d.version)
		if d.version == 0 || m.body != d.last { // the same description keeps its version
			d.version++
			m.body = w.sdp.text(b.addr, d.version)
		}
		d.last = m.body
	case len(w.body) > 0:
		m.body = strings.Join(w.body, "\r\n") + "\r\n"
	}
	values := map[string][]string{}
	for _, f := range w.fields {
		if f.absent {
			m.replace(f.name)
			continue
		}
		v := f.value
		if old := m.get(f.name); (same(f.name, "From") || same(f.name, "To")) && parameter(v, "tag") == "" && parameter(old, "tag") != "" {
			v += ";tag=" + parameter(old, "tag") // a script writes tags only when they are wrong
		}
		values[f.name] = append(values[f.name], v)
	}
	for _, f := range w.fields {
		if v, ok := values[f.name]; ok && !f.absent {
			m.replace(f.name, v...)
			delete(values, f.name)
		}
	}
	if m.body != "" && !m.has("Content-Type") {
		m.add("Content-Type", "text/plain")
	}
	return m
}

// noteSent keeps what the agent has to know of a message it sent.
func (d *dialog) noteSent(m *message, fork string) {
	method := m.method()
	if m.code() == 0 {
		if v := m.all("Via"); len(v) > 0 && method != "CANCEL" && method != "ACK" {
			d.branches[parameter(v[0], "branch")] = m
		}
		d.sent[method] = m
		if method == "PRACK" {
			d.notePrack(m)
		}
		d.id = m.get("Call-ID")
		if !d.established() && d.uac {
			d.self, d.peer = untagged(m.get("From")), untagged(m.get("To"))
		}
		if tag := parameter(m.get("From"), "tag"); tag != "" {
			if !d.mine(tag) {
				d.tag = tag
			}
			if c := m.get("Contact"); c != "" {
				d.contacts[tag] = address(c)
			}
		}
		return
	}
	if reliable(m) {
		d.sentRel = append(d.sentRel, &reliably{message: m})
	}
	d.answers[answerKey(m.code(), method, fork)] = m
	d.answers[answerKey(m.code(), "", fork)] = m
	d.noteTimer(m)
	if m.code()/100 == 2 && method == "INVITE" {
		d.made = m.body
	}
	if tag, c := parameter(m.get("To"), "tag"), m.get("Contact"); tag != "" && c != "" {
		d.contacts[tag] = address(c)
	}
	if m.code() < 200 {
		return
	}
	branch := parameter(m.all("Via")[0], "branch")
	if method == "INVITE" && m.code() >= 300 {
		d.finals[branch] = m.start
	}
	d.open = slices.DeleteFunc(d.open, func(r *message) bool {
		return r.method() == method && r.seq() == m.seq()
	})
}

func answerKey(code int, method, fork string) string { return fmt.Sprint(code, method, "~", fork) }
