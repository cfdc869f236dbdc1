package siprec

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// The limits of one document.
const (
	MaxSize     = 64 << 10 // bytes
	maxDepth    = 16
	maxElements = 2000
	maxItems    = 64  // sessions, participants, streams: of each
	maxText     = 256 // bytes of one text
)

// Parse reads a metadata document.
func Parse(doc []byte) (*Metadata, error) {
	if len(doc) > MaxSize {
		return nil, fmt.Errorf("siprec: metadata of more than %d bytes", MaxSize)
	}
	d := xml.NewDecoder(bytes.NewReader(doc))
	p := parser{m: &Metadata{}}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("siprec: metadata: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := p.open(t); err != nil {
				return nil, err
			}
		case xml.EndElement:
			p.shut()
		case xml.CharData:
			if n := len(p.path); n > 0 && len(p.path[n-1].text)+len(t) <= 4*maxText {
				p.path[n-1].text += string(t)
			}
		case xml.Directive:
			return nil, errors.New("siprec: metadata with a document type")
		}
	}
	if !p.seen {
		return nil, errors.New("siprec: metadata without a recording element")
	}
	p.settle()
	return p.m, nil
}

// element is one that is open.
type element struct {
	name string
	id   string // what it is about
	text string
}

type parser struct {
	m        *Metadata
	path     []element
	seen     bool
	elements int
	assocs   []assoc
}

// assoc says something of a participant, maybe before it is named.
type assoc struct {
	participant string
	sends       string // a stream
	hears       string
	joined      time.Time
	left        time.Time
}

func (p *parser) open(t xml.StartElement) error {
	if p.elements++; p.elements > maxElements {
		return fmt.Errorf("siprec: metadata of more than %d elements", maxElements)
	}
	if len(p.path) == maxDepth {
		return fmt.Errorf("siprec: metadata more than %d elements deep", maxDepth)
	}
	e := element{name: strings.ToLower(t.Name.Local)}
	attr := func(names ...string) string {
		for _, n := range names {
			for _, a := range t.Attr {
				if strings.EqualFold(a.Name.Local, n) {
					return clean(a.Value)
				}
			}
		}
		return ""
	}
	switch e.name {
	case "recording":
		if len(p.path) > 0 {
			return errors.New("siprec: a recording element within another")
		}
		p.seen = true
	case "session":
		e.id = attr("session_id", "id")
		p.m.Sessions = add(p.m.Sessions, Session{ID: e.id})
	case "participant":
		e.id = attr("participant_id", "id")
		p.m.Participants = add(p.m.Participants, Participant{ID: e.id})
	case "stream":
		e.id = attr("stream_id", "id")
		p.m.Streams = add(p.m.Streams, Stream{ID: e.id, Session: attr("session_id", "session")})
	case "nameid":
		if q := p.participant(); q != nil {
			q.AoR = first(q.AoR, attr("aor"))
		}
	case "participantstreamassoc", "participantsessionassoc":
		e.id = attr("participant_id", "participant")
	}
	p.path = append(p.path, e)
	if !p.seen {
		return errors.New("siprec: metadata that begins with no recording element")
	}
	return nil
}

// participant is the one that is open; nil for none.
func (p *parser) participant() *Participant {
	if p.inside("participant") && len(p.m.Participants) > 0 {
		return &p.m.Participants[len(p.m.Participants)-1]
	}
	return nil
}

func (p *parser) inside(name string) bool {
	for _, e := range p.path {
		if e.name == name {
			return true
		}
	}
	return false
}

// shut takes the text of the element that ends.
func (p *parser) shut() {
	e := p.path[len(p.path)-1]
	p.path = p.path[:len(p.path)-1]
	if len(p.path) == 0 {
		return
	}
	text, in := clean(e.text), p.path[len(p.path)-1]
	var s *Session
	if in.name == "session" && len(p.m.Sessions) > 0 {
		s = &p.m.Sessions[len(p.m.Sessions)-1]
	}
	q := p.participant()
	switch e.name {
	case "datamode":
		p.m.Partial = strings.EqualFold(text, "partial")
	case "label":
		if in.name == "stream" && len(p.m.Streams) > 0 {
			p.m.Streams[len(p.m.Streams)-1].Label = text
		}
	case "name":
		if q != nil {
			q.Name = first(q.Name, text)
		}
	case "aor":
		if q != nil {
			q.AoR = first(q.AoR, text)
		}
	case "sipsessionid":
		if s != nil {
			s.SIP = add(s.SIP, text)
		}
	case "group-ref":
		if s != nil {
			s.Group = text
		}
	case "reason":
		if s != nil {
			s.Reason = first(s.Reason, text)
		}
	case "start-time":
		if s != nil {
			s.Start = moment(text)
		}
	case "stop-time":
		if s != nil {
			s.Stop = moment(text)
		}
	case "send", "recv":
		a := assoc{participant: in.id}
		if q != nil { // as the drafts had it
			a.participant = q.ID
		}
		if e.name == "send" {
			a.sends = text
		} else {
			a.hears = text
		}
		p.assocs = append(p.assocs, a)
	case "associate-time":
		if in.name == "participantsessionassoc" {
			p.assocs = append(p.assocs, assoc{participant: in.id, joined: moment(text)})
		}
	case "disassociate-time":
		if in.name == "participantsessionassoc" {
			p.assocs = append(p.assocs, assoc{participant: in.id, left: moment(text)})
		}
	}
}

// settle gives the participants what was said of them elsewhere. Who is not named
// here was in a document before, if this one is partial.
func (p *parser) settle() {
	for _, a := range p.assocs {
		i := 0
		for i < len(p.m.Participants) && p.m.Participants[i].ID != a.participant {
			i++
		}
		if i == len(p.m.Participants) {
			if i == maxItems {
				continue
			}
			p.m.Participants = append(p.m.Participants, Participant{ID: a.participant})
		}
		q := &p.m.Participants[i]
		if a.sends != "" {
			q.Sends = add(q.Sends, a.sends)
		}
		if a.hears != "" {
			q.Hears = add(q.Hears, a.hears)
		}
		q.Joined, q.Left = when(q.Joined, a.joined), when(a.left, q.Left)
	}
}

// moment reads a time (RFC 3339); one that is none is not known.
func moment(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// clean is a text without what would not be seen in a record or log, cut to its
// limit.
func clean(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s))
	for n := range s {
		if n > maxText {
			return strings.ToValidUTF8(s[:maxText], "")
		}
	}
	return s
}
