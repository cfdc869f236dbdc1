package door

import (
	"bytes"
	"mime"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

const sdpType = "application/sdp"

// body is a message body with its session description found, alone or as a
// part of a multipart body (SIP-I carries ISUP beside it).
type body struct {
	contentType string
	data        []byte
	start, end  int // the description within data; both 0: there is none
}

func bodyOf(m message) body {
	b := body{data: m.Body()}
	if h := m.ContentType(); h != nil {
		b.contentType = h.Value()
	}
	if len(b.data) == 0 {
		return b
	}
	mt, params, err := mime.ParseMediaType(b.contentType)
	switch {
	case err != nil:
		// Some stacks leave odd parameters behind; the type alone decides.
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(b.contentType)), sdpType) {
			b.end = len(b.data)
		}
	case mt == sdpType:
		b.end = len(b.data)
	case strings.HasPrefix(mt, "multipart/") && params["boundary"] != "":
		b.findPart([]byte("--" + params["boundary"]))
	}
	return b
}

// findPart looks for the description among the parts (RFC 2046 section 5.1).
func (b *body) findPart(delim []byte) {
	rest, at := b.data, 0
	for {
		i := bytes.Index(rest, delim)
		if i < 0 {
			return
		}
		eol := bytes.Index(rest[i:], []byte("\r\n"))
		if eol < 0 {
			return
		}
		at += i + eol + 2
		rest = rest[i+eol+2:]
		next := bytes.Index(rest, append([]byte("\r\n"), delim...))
		if next < 0 {
			return
		}
		part := rest[:next]
		head, _, ok := bytes.Cut(part, []byte("\r\n\r\n"))
		if ok && strings.Contains(strings.ToLower(string(head)), sdpType) {
			b.start, b.end = at+len(head)+4, at+next
			return
		}
		at += next + 2
		rest = rest[next+2:]
	}
}

// sdp returns the description's bytes, nil if there is none.
func (b body) sdp() []byte {
	if b.end == 0 {
		return nil
	}
	return b.data[b.start:b.end]
}

// with returns the body with another description in place of its own.
func (b body) with(sdp []byte) []byte {
	out := make([]byte, 0, len(b.data)+len(sdp))
	out = append(out, b.data[:b.start]...)
	out = append(out, sdp...)
	return append(out, b.data[b.end:]...)
}

// setBody gives a message a body of a type; an empty one removes both.
func setBody(m sipmsg.Message, contentType string, data []byte) {
	if len(data) == 0 {
		m.SetBody(nil)
		return
	}
	ct := sipmsg.ContentTypeHeader(contentType)
	m.AppendHeader(&ct)
	m.SetBody(data)
}
