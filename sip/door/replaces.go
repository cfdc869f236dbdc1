package door

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	sipmsg "github.com/emiago/sipgo/sip"
)

// replaces is a Replaces header (RFC 3891 section 6.1): a dialog as the one who
// is to let it be replaced sees it.
type replaces struct {
	callID, toTag, fromTag string
	earlyOnly              bool
	more                   []string // parameters that nobody here knows
}

func parseReplaces(s string) (replaces, error) {
	parts := strings.Split(s, ";")
	r := replaces{callID: strings.TrimSpace(parts[0])}
	for _, p := range parts[1:] {
		p = strings.TrimSpace(p)
		name, value, _ := strings.Cut(p, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "to-tag":
			r.toTag = value
		case "from-tag":
			r.fromTag = value
		case "early-only":
			r.earlyOnly = true
		default:
			r.more = append(r.more, p)
		}
	}
	if r.callID == "" || r.toTag == "" || r.fromTag == "" || strings.ContainsFunc(s, unicode.IsControl) {
		return r, errors.New("a Replaces needs a Call-ID, a to-tag and a from-tag")
	}
	return r, nil
}

func (r replaces) String() string {
	s := r.callID + ";to-tag=" + r.toTag + ";from-tag=" + r.fromTag
	if r.earlyOnly {
		s += ";early-only"
	}
	for _, p := range r.more {
		s += ";" + p
	}
	return s
}

// across is the dialog on the other side of a leg that a Replaces names, as the
// other side's peer sees it, and where that peer is.
func (l *leg) across(r replaces) (replaces, sipmsg.Uri, bool) {
	other := l.c.other(l)
	if r.fromTag != l.remoteTag || other == nil || other.remoteTag == "" || other.state == legGone {
		return r, sipmsg.Uri{}, false
	}
	r.callID, r.toTag, r.fromTag = other.callID, other.remoteTag, other.localTag
	return r, *other.target.Clone(), true
}

// translate asks the call that a Replaces is about for the dialog on the other
// side of it, and goes on with the answer in an event of c's own. Without one the
// dialog is none of the door's.
func (c *call) translate(r replaces, then func(r replaces, target sipmsg.Uri, ok bool)) {
	l := c.d.dialog(r.callID, r.toTag)
	switch {
	case l == nil:
		then(r, sipmsg.Uri{}, false)
	case l.c == c:
		then(l.across(r))
	default:
		l.c.deliver(event{run: func() {
			out, target, ok := l.across(r)
			c.post(func() { then(out, target, ok) })
		}, late: func() { c.post(func() { then(r, sipmsg.Uri{}, false) }) }})
	}
}

// referTo is the value of a Refer-To header (RFC 3515 section 2.1). A URI's
// headers are kept as they are written: only Replaces is of interest.
type referTo struct {
	before, after string // of the URI: display name and bracket, bracket and parameters
	uri           sipmsg.Uri
	text          string    // of the URI, as it was written and is written again
	headers       []string  // of the URI, but for Replaces, still escaped
	replaces      *replaces // nil without one
}

func parseReferTo(s string) (referTo, error) {
	t := referTo{before: "<", after: ">"}
	text := strings.TrimSpace(s)
	if open := strings.IndexByte(text, '<'); open >= 0 {
		end := strings.IndexByte(text[open:], '>')
		if end < 0 {
			return t, fmt.Errorf("the Refer-To %q has no closing bracket", s)
		}
		t.before, t.after, text = text[:open+1], text[open+end:], text[open+1:open+end]
	} else if i := strings.IndexByte(text, ';'); i >= 0 { // parameters of the header, without brackets
		text, t.after = text[:i], ">"+text[i:]
	}
	text, headers, _ := strings.Cut(text, "?")
	t.text = text
	if strings.ContainsFunc(text+headers, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' || r == '<' || r == '>' }) {
		return t, fmt.Errorf("the Refer-To %q has no readable URI", s)
	}
	if err := sipmsg.ParseUri(text, &t.uri); err != nil {
		return t, fmt.Errorf("the Refer-To %q has no readable URI: %w", s, err)
	}
	for _, h := range strings.FieldsFunc(headers, func(r rune) bool { return r == '&' }) {
		name, value, _ := strings.Cut(h, "=")
		if !strings.EqualFold(name, "Replaces") {
			t.headers = append(t.headers, h)
			continue
		}
		plain, err := url.PathUnescape(value)
		if err != nil {
			return t, fmt.Errorf("the Replaces in the Refer-To: %w", err)
		}
		r, err := parseReplaces(plain)
		if err != nil || t.replaces != nil {
			return t, errors.Join(errors.New("the Refer-To has no one readable Replaces"), err)
		}
		t.replaces = &r
	}
	return t, nil
}

func (t referTo) String() string {
	var headers []string
	if t.replaces != nil {
		headers = append(headers, "Replaces="+escapeHeader(t.replaces.String()))
	}
	headers = append(headers, t.headers...)
	s := t.before + t.text
	if len(headers) > 0 {
		s += "?" + strings.Join(headers, "&")
	}
	return s + t.after
}

// escapeHeader escapes what a header of a URI may not have as it is (RFC 3261
// section 25.1, hvalue).
func escapeHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.!~*'()[]/?:+$", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// referTos are the Refer-To values of a request; the compact form is r.
func referTos(req *sipmsg.Request) []string {
	var out []string
	for _, name := range []string{"Refer-To", "r"} {
		for _, h := range headersOf(req, name) {
			out = append(out, h.Value())
		}
	}
	return out
}

func setReferTo(req *sipmsg.Request, value string) {
	for _, name := range []string{"Refer-To", "r"} {
		for req.RemoveHeader(name) {
		}
	}
	req.AppendHeader(sipmsg.NewHeader("Refer-To", value))
}
