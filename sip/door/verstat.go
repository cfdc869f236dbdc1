package door

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/identity/stir"
)

// withoutVerstat takes the verstat parameter out of a URI, wherever carriers put
// it: among the number's own parameters or the URI's.
func withoutVerstat(u sipmsg.Uri) sipmsg.Uri {
	out := *u.Clone()
	out.User = numberWithout(out.User)
	out.UriParams.Remove("verstat")
	if raw := u.Raw(); raw != "" && strings.Contains(strings.ToLower(raw), "verstat") {
		var tel sipmsg.Uri
		if err := sipmsg.ParseUri(u.Scheme+":"+numberWithout(raw), &tel); err == nil {
			return tel
		}
	}
	return out
}

// numberWithout takes verstat out of "number;name=value…" (RFC 3966 section 3).
func numberWithout(number string) string {
	if !strings.Contains(number, ";") {
		return number
	}
	parts := strings.Split(number, ";")
	kept := parts[:1]
	for _, p := range parts[1:] {
		if name, _, _ := strings.Cut(p, "="); !strings.EqualFold(strings.TrimSpace(name), "verstat") {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, ";")
}

// withVerstat puts the parameter behind the number of a URI; a URI without a
// number is left alone.
func withVerstat(u sipmsg.Uri, v stir.Verstat) sipmsg.Uri {
	out := withoutVerstat(u)
	number := out.User
	if strings.EqualFold(out.Scheme, "tel") {
		number = out.Raw()
	}
	if digits, _, _ := strings.Cut(number, ";"); digits == "" || strings.Trim(digits, "+0123456789-.()*#") != "" {
		return u
	}
	if !strings.EqualFold(out.Scheme, "tel") {
		out.User = number + ";verstat=" + v.Param()
		return out
	}
	var tel sipmsg.Uri
	if err := sipmsg.ParseUri("tel:"+number+";verstat="+v.Param(), &tel); err != nil {
		return u
	}
	return tel
}

// tellVerstat writes the outcome of the verification into the INVITE for a PBX
// that expects it there: into P-Asserted-Identity, or into From where there is none
// or it is From's number that was signed.
func (l *leg) tellVerstat(req *sipmsg.Request) {
	c := l.c
	if c.identity == nil || !c.d.deps.Verifier.VerstatParam() {
		return
	}
	v := c.verstat
	headers := headersOf(req, "P-Asserted-Identity")
	if len(headers) == 0 || c.identity.Matched == "From" {
		l.local.uri = withVerstat(l.local.uri, v)
		req.From().Address = *l.local.uri.Clone()
		return
	}
	removeAll(req, headerSet("P-Asserted-Identity"))
	for _, h := range headers {
		value := h.Value()
		var u sipmsg.Uri
		open, end := strings.IndexByte(value, '<'), strings.IndexByte(value, '>')
		switch {
		case open >= 0 && end > open:
			if err := sipmsg.ParseUri(value[open+1:end], &u); err == nil {
				u = withVerstat(u, v)
				value = value[:open+1] + u.String() + value[end:]
			}
		case open < 0:
			if err := sipmsg.ParseUri(strings.TrimSpace(value), &u); err == nil {
				u = withVerstat(u, v)
				value = "<" + u.String() + ">"
			}
		}
		req.AppendHeader(sipmsg.NewHeader("P-Asserted-Identity", value))
	}
}
