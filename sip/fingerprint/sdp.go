package fingerprint

import (
	"bytes"
	"strconv"
)

// sdp is what a session description (RFC 8866) tells of its maker.
type sdp struct {
	origin  []byte // user name of o=
	id, ver []byte // session id and version of o=
	session []byte // s=
	codecs  []byte // the payload types of the first m=audio, as written
	events  []byte // fmtp of telephone-event, "0-15" or "0-16"
	tool    []byte // a=tool, or a=x-... of that kind
	text    []byte // the order of lines
	typed   bool   // real-time text is offered
}

// parseSDP collects the make-up of the SDP in body. Repeated lines count once:
// how many candidates or payload types there are changes from call to call,
// their order does not. The payload types are the maker's only in an offer; in
// a response they are what the other side offered (RFC 3264 section 6.1).
func parseSDP(body []byte, order []byte, offer bool) sdp {
	d := sdp{text: order}
	var last []byte
	var eventType []byte
	media := 0
	for len(body) > 0 {
		var line []byte
		line, body = cut(body)
		if len(line) < 2 || line[1] != '=' {
			continue
		}
		value := line[2:]
		key := line[:1]
		switch line[0] {
		case 'o':
			d.origin, value, _ = bytes.Cut(value, []byte{' '})
			d.id, value, _ = bytes.Cut(value, []byte{' '})
			d.ver, _, _ = bytes.Cut(value, []byte{' '})
		case 's':
			d.session = value
		case 'm':
			media++
			if media > 4 {
				return d // more says nothing of the maker
			}
			kind, rest, _ := bytes.Cut(value, []byte{' '})
			port, rest, _ := bytes.Cut(rest, []byte{' '})
			d.typed = d.typed || bytes.Equal(kind, []byte("text")) && !bytes.Equal(port, []byte("0"))
			proto, formats, _ := bytes.Cut(rest, []byte{' '})
			if d.codecs == nil && bytes.Equal(kind, []byte("audio")) {
				d.codecs = formats
			}
			d.text = append(d.text, "|m:"...)
			d.text = clean(d.text, kind, 12)
			d.text = append(d.text, ':')
			d.text = clean(d.text, proto, 20)
			if offer {
				d.text = append(d.text, ':')
				d.text = clean(d.text, formats, 64)
			}
			last = nil
			continue
		case 'a':
			name, v, _ := bytes.Cut(value, []byte{':'})
			key = name
			switch {
			case bytes.Equal(name, []byte("rtpmap")):
				pt, enc, _ := bytes.Cut(v, []byte{' '})
				if len(enc) >= 6 && foldEqual(enc[:6], "t140c/") {
					d.typed = true
				}
				if len(enc) >= 15 && foldEqual(enc[:15], "telephone-event") {
					eventType = pt
				}
			case bytes.Equal(name, []byte("fmtp")):
				pt, f, _ := bytes.Cut(v, []byte{' '})
				if d.events == nil && (eventType != nil && bytes.Equal(pt, eventType) ||
					bytes.HasPrefix(f, []byte("0-1"))) {
					d.events = f
				}
			case bytes.Equal(name, []byte("tool")):
				d.tool = v
			}
		}
		if bytes.Equal(key, last) {
			continue
		}
		last = key
		d.text = append(d.text, ',')
		d.text = clean(d.text, key, 24)
	}
	return d
}

// versions says how the two numbers of o= relate, and how long they are: the
// numbers change with every call, the habit does not.
func (d sdp) versions(dst []byte) []byte {
	a, errA := strconv.ParseUint(string(d.id), 10, 64)
	b, errB := strconv.ParseUint(string(d.ver), 10, 64)
	switch {
	case errA != nil || errB != nil:
		return append(dst, "odd"...)
	case a == b:
		dst = append(dst, "same"...)
	case b == a+1:
		dst = append(dst, "next"...)
	default:
		dst = append(dst, "apart"...)
	}
	switch {
	case a < 1<<16:
		return append(dst, "16"...)
	case a < 1<<32:
		return append(dst, "32"...)
	}
	return append(dst, "64"...)
}

// clean appends at most n bytes of v, blanks as '+', anything that could break
// the line or the reader's terminal as '?'.
func clean(dst, v []byte, n int) []byte {
	for i, c := range v {
		if i == n {
			return append(dst, '~')
		}
		switch {
		case c == ' ' || c == '\t':
			c = '+'
		case c <= ' ' || c >= 0x7f:
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}
