package replay

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transport"
)

// reply makes a response to a request of the far side's, after a recorded one
// of the caller's if there is one (nil: none). What ties it to the request is
// the request's (RFC 3261 section 8.2.6.2); source is where that came from.
func (id *identity) reply(req, recorded *message, status string, source netip.AddrPort) *message {
	m := recorded
	if m == nil {
		m = &message{start: []byte("SIP/2.0 " + status), end: []byte("\r\n")}
		for _, h := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
			m.insert(len(m.lines), h, req.get(h))
		}
		if method := req.method(); status[0] == '2' && (method == "INVITE" || method == "UPDATE") {
			m.insert(len(m.lines), "Contact", []byte("<sip:"+hostText(id.local.Addr())+":"+strconv.Itoa(int(id.local.Port()))+">"))
		}
		m.insert(len(m.lines), "Content-Length", []byte("0"))
	}
	m = m.clone()
	at := max(m.index("Via"), 0)
	m.drop("Via", "Record-Route")
	for i, v := range req.all("Via") {
		if i == 0 {
			v = received(v, source)
		}
		m.insert(min(at+i, len(m.lines)), "Via", v)
	}
	if req.method() == "INVITE" {
		for _, v := range req.all("Record-Route") {
			m.insert(min(at+len(req.all("Via")), len(m.lines)), "Record-Route", v)
		}
	}
	for _, h := range []string{"From", "To", "Call-ID", "CSeq"} {
		m.set(h, req.get(h))
	}
	if m.code() > 100 {
		m.edit("To", func(v []byte) []byte { return setParam(v, "tag", []byte(id.tag), true) })
	}
	id.contact(m)
	id.body(m)
	return m
}

// received notes in a Via where the request came from (RFC 3261 section 18.2.1,
// RFC 3581 section 4).
func received(via []byte, source netip.AddrPort) []byte {
	_, sentBy := viaParts(via)
	host, _, _ := splitPort(via[sentBy[0]:sentBy[1]])
	end := outside(via, ',')
	asked := false
	for at := outside(via[:end], ';'); at < end; {
		next := at + 1 + outside(via[at+1:end], ';')
		if strings.EqualFold(string(bytes.TrimSpace(via[at+1:next])), "rport") {
			asked = true
			via = splice(via, at+1, next, []byte("rport="+strconv.Itoa(int(source.Port()))))
			break
		}
		at = next
	}
	if a, ok := address(host); asked || !ok || a != source.Addr().Unmap() {
		via = setParam(via, "received", []byte(source.Addr().Unmap().String()), true)
	}
	return via
}

// replyTo is where a response goes over UDP (RFC 3261 section 18.2.2, RFC 3581).
func replyTo(req *message, source netip.AddrPort) netip.AddrPort {
	via := req.get("Via")
	end := outside(via, ',')
	for at := outside(via[:end], ';'); at < end; {
		next := at + 1 + outside(via[at+1:end], ';')
		name, _, _ := bytes.Cut(via[at+1:next], []byte("="))
		if strings.EqualFold(string(bytes.TrimSpace(name)), "rport") {
			return source
		}
		at = next
	}
	_, sentBy := viaParts(via)
	_, port, has := splitPort(via[sentBy[0]:sentBy[1]])
	if !has {
		return netip.AddrPortFrom(source.Addr(), 5060)
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || n == 0 {
		return source
	}
	return netip.AddrPortFrom(source.Addr(), uint16(n))
}

// answer makes an answer (RFC 3264 section 6) to an offer out of the description
// that the caller sent last: its streams of the same kind, with those of the
// offered formats that it knows. Both are as they were sent.
func answer(own, offer *sdp.Description) []byte {
	d := &sdp.Description{}
	for _, l := range own.Lines {
		if l.Type == 'o' {
			l.Value = later(l.Value)
		}
		if l.Type != 'a' || !isDirection(l.Value) {
			d.Lines = append(d.Lines, l)
		}
	}
	used := map[*sdp.Media]bool{}
	for _, o := range offer.Media {
		m := &sdp.Media{Type: o.Type, Count: 1, Proto: o.Proto, Formats: slices.Clone(o.Formats)}
		d.Media = append(d.Media, m)
		i := slices.IndexFunc(own.Media, func(m *sdp.Media) bool { return m.Type == o.Type && m.Port != 0 && !used[m] })
		if o.Port == 0 || i < 0 {
			continue
		}
		mine := own.Media[i]
		used[mine] = true
		known := common(o, mine)
		if len(known) == 0 {
			continue
		}
		m.Port, m.Formats = mine.Port, known
		for _, l := range mine.Lines {
			if l.Type == 'c' || l.Type == 'a' && strings.HasPrefix(l.Value, "crypto:") && strings.Contains(o.Proto, "SAVP") {
				m.Lines = append(m.Lines, l)
			}
		}
		for _, l := range o.Lines {
			name, v, _ := strings.Cut(l.Value, ":")
			pt, _, _ := strings.Cut(v, " ")
			if l.Type == 'a' && (name == "rtpmap" || name == "fmtp") && slices.Contains(known, pt) {
				m.Lines = append(m.Lines, l)
			}
		}
		if dir := sdp.Mirror(offer.Direction(o)); dir != "sendrecv" {
			m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: dir})
		}
	}
	return d.Bytes()
}

// common are the offered formats that the caller's section knows, by their names.
func common(offered, mine *sdp.Media) []string {
	if offered.Codecs() == nil { // no RTP: T.38 and the like
		return slices.Clone(offered.Formats)
	}
	var out []string
	for _, c := range offered.Codecs() {
		if slices.ContainsFunc(mine.Codecs(), func(k sdp.Codec) bool {
			return strings.EqualFold(k.Name, c.Name) && k.Clock == c.Clock && (c.Name != "" || k.PT == c.PT)
		}) {
			out = append(out, strconv.Itoa(int(c.PT)))
		}
	}
	return out
}

func isDirection(v string) bool {
	return v == "sendrecv" || v == "sendonly" || v == "recvonly" || v == "inactive"
}

// later raises the version of an o= line (RFC 3264 section 8).
func later(v string) string {
	f := strings.Fields(v)
	if len(f) != 6 {
		return v
	}
	n, err := strconv.ParseUint(f[2], 10, 63)
	if err != nil {
		return v
	}
	f[2] = strconv.FormatUint(n+1, 10)
	return strings.Join(f, " ")
}

// hop is where requests of a dialog go: the first route, else the far side's
// Contact, if it is an address over UDP; the target otherwise.
func (d *dialog) hop(protocol string, target netip.AddrPort) netip.AddrPort {
	if d == nil || protocol != transport.UDP {
		return target
	}
	uri := d.target
	if len(d.routes) > 0 {
		from, till := uriOf(d.routes[0])
		uri = d.routes[0][from:till]
	}
	a, b := hostOf(uri)
	host, port, has := splitPort(uri[a:b])
	ip, ok := address(host)
	if !ok || ip.IsUnspecified() || ip.Is4() != target.Addr().Is4() {
		return target
	}
	n := uint64(5060)
	if has {
		var err error
		if n, err = strconv.ParseUint(string(port), 10, 16); err != nil || n == 0 {
			return target
		}
	}
	return netip.AddrPortFrom(ip, uint16(n))
}

// dialogOf is the dialog that a response establishes (RFC 3261 section 12.1.2).
func dialogOf(res *message) *dialog {
	d := &dialog{tag: res.tag("To")}
	contact := res.get("Contact")
	from, till := uriOf(contact)
	if a, b := hostOf(contact[from:till]); a < b {
		d.target = contact[from:till]
	}
	for _, v := range res.all("Record-Route") {
		for len(v) > 0 {
			end := outside(v, ',')
			d.routes = append(d.routes, bytes.TrimSpace(v[:end]))
			v = v[min(end+1, len(v)):]
		}
	}
	slices.Reverse(d.routes)
	return d
}
