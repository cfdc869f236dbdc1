package trace

import (
	"bytes"
	"strings"

	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/siprec"
)

// A recording session (RFC 7866) that was captured is judged as the door judges one:
// the caller is who the metadata says, heard in the stream that it says.

// copied looks at an INVITE: what it says of the call that it sends copies of, and
// in which media section the caller speaks. nil: it is a call of its own. wanted is
// the label of the caller's stream, if that is configured.
func copied(m *message, wanted string) (*judge.Copy, int) {
	if !isCopy(m.raw) {
		return nil, 0
	}
	var meta siprec.Metadata
	if doc, err := siprec.Find(m.bodyType, m.body); err == nil && doc != nil {
		if read, err := siprec.Parse(doc); err == nil {
			meta = *read
		}
	}
	var labels []string
	var sections []int
	if d, err := sdp.Parse(m.description()); err == nil {
		for i, s := range d.Media {
			if s.Type == "audio" && s.Port != 0 {
				label, _ := s.Attribute("label")
				labels, sections = append(labels, label), append(sections, i)
			}
		}
	}
	at, who, called := meta.Choose(wanted, labels)
	c := &judge.Copy{From: who.User(), FromHost: who.Host(), DisplayName: who.Name, To: called.User()}
	if c.To == "" {
		c.To = strings.Clone(m.to.user)
	}
	if at < len(sections) {
		at = sections[at]
	}
	return c, at
}

// isCopy says whether an INVITE begins a recording session: Require: siprec, or
// +sip.src in its Contact (RFC 7866 section 6.1.1).
func isCopy(raw []byte) bool {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	for line := range bytes.Lines(head) {
		name, value, ok := strings.Cut(strings.ToLower(string(line)), ":")
		if !ok {
			continue
		}
		switch strings.TrimSpace(name) {
		case "require":
			if strings.Contains(value, "siprec") {
				return true
			}
		case "contact", "m":
			if strings.Contains(value, "+sip.src") {
				return true
			}
		}
	}
	return false
}

// voice is the section of a description that the caller's audio is in; nil: none.
func (c *call) voice(d *sdp.Description) *sdp.Media {
	if w := c.witness; w != nil && w.copied {
		if w.section < len(d.Media) {
			return d.Media[w.section]
		}
		return nil
	}
	return d.Audio()
}

// otherVoice is the section of whom the caller of a recording session talks to; nil:
// none, or it is no recording session.
func (c *call) otherVoice(d *sdp.Description) *sdp.Media {
	w := c.witness
	if w == nil || !w.copied {
		return nil
	}
	for i, m := range d.Media {
		if i != w.section && m.Type == "audio" && m.Port != 0 {
			return m
		}
	}
	return nil
}
