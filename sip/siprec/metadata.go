package siprec

import (
	"slices"
	"strings"
	"time"
)

// Metadata is what a recording client says of the calls in one recording session
// (RFC 7865 section 6).
type Metadata struct {
	Partial      bool          `json:"-"` // it changes what was said before
	Sessions     []Session     `json:"sessions"`
	Participants []Participant `json:"participants"`
	Streams      []Stream      `json:"streams"`
}

// Session is a communication session: the call itself.
type Session struct {
	ID     string    `json:"id"`
	SIP    []string  `json:"sip_session_ids,omitempty"` // RFC 7989
	Group  string    `json:"group,omitempty"`
	Start  time.Time `json:"start,omitzero"`
	Stop   time.Time `json:"stop,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// Participant is one of those who talk.
type Participant struct {
	ID     string    `json:"id"`
	AoR    string    `json:"aor,omitempty"` // sip:, sips: or tel:
	Name   string    `json:"name,omitempty"`
	Joined time.Time `json:"joined,omitzero"` // its session; the first time
	Left   time.Time `json:"left,omitzero"`
	Sends  []string  `json:"sends,omitempty"` // stream ids
	Hears  []string  `json:"hears,omitempty"`
}

// Stream is one media stream, which a=label names in the session description.
type Stream struct {
	ID      string `json:"id"`
	Session string `json:"session,omitempty"`
	Label   string `json:"label"`
}

// User is the user part of the participant's address of record: a number or a name.
func (p Participant) User() string {
	u := p.AoR
	if scheme, rest, ok := strings.Cut(u, ":"); ok {
		switch strings.ToLower(scheme) {
		case "sip", "sips", "tel":
			u = rest
		}
	}
	u, _, _ = strings.Cut(u, "@")
	u, _, _ = strings.Cut(u, ";")
	return u
}

// Caller finds who called, and the label of what he says. Metadata does not tell
// who sent the INVITE of a call, so it is, of those who send a stream: who joined
// before all others, else who is named first. ok is false when nobody sends
// anything that has a label.
func (m *Metadata) Caller() (who Participant, label string, ok bool) {
	for _, p := range m.Participants {
		l := m.label(p)
		if l == "" {
			continue
		}
		if !ok || !p.Joined.IsZero() && !who.Joined.IsZero() && p.Joined.Before(who.Joined) {
			who, label, ok = p, l, true
		}
	}
	return who, label, ok
}

// Choose finds the stream that the caller speaks in, among streams with these
// labels: the one that is wanted, else whom the metadata shows to be the caller,
// else the first. who speaks in it, and whom he called, are zero where the metadata
// does not say so.
func (m *Metadata) Choose(wanted string, labels []string) (at int, who, called Participant) {
	if wanted == "" {
		_, wanted, _ = m.Caller()
	}
	if wanted != "" {
		at = max(0, slices.Index(labels, wanted))
	}
	if at >= len(labels) || labels[at] == "" {
		return at, who, called
	}
	who, known := m.Sender(labels[at])
	if known {
		called, _ = m.Other(who)
	}
	return at, who, called
}

// label is that of the first stream that a participant alone sends: a stream of
// several is a mix.
func (m *Metadata) label(p Participant) string {
	for _, id := range p.Sends {
		senders := 0
		for _, other := range m.Participants {
			if slices.Contains(other.Sends, id) {
				senders++
			}
		}
		for _, s := range m.Streams {
			if s.ID == id && s.Label != "" && senders == 1 {
				return s.Label
			}
		}
	}
	return ""
}

// Host is the host of the participant's address of record; of tel: there is none.
func (p Participant) Host() string {
	_, host, _ := strings.Cut(p.AoR, "@")
	host, _, _ = strings.Cut(host, ";")
	return host
}

// Sender is who alone sends the stream of a label.
func (m *Metadata) Sender(label string) (Participant, bool) {
	for _, p := range m.Participants {
		for _, id := range p.Sends {
			if slices.ContainsFunc(m.Streams, func(s Stream) bool { return s.ID == id && s.Label == label }) && m.label(p) == label {
				return p, true
			}
		}
	}
	return Participant{}, false
}

// Other is the first participant besides one.
func (m *Metadata) Other(than Participant) (Participant, bool) {
	for _, p := range m.Participants {
		if p.ID != than.ID {
			return p, true
		}
	}
	return Participant{}, false
}

// Update takes over what a later document says: all of it, or if it is partial what
// it names (RFC 7865 section 6.1.1). It keeps within the limits of one document.
func (m *Metadata) Update(later *Metadata) {
	if !later.Partial {
		*m = *later
		return
	}
	for _, s := range later.Sessions {
		i := slices.IndexFunc(m.Sessions, func(o Session) bool { return o.ID == s.ID })
		if i < 0 {
			m.Sessions = add(m.Sessions, s)
			continue
		}
		o := &m.Sessions[i]
		o.SIP, o.Group, o.Reason = either(s.SIP, o.SIP), first(s.Group, o.Group), first(s.Reason, o.Reason)
		o.Start, o.Stop = when(s.Start, o.Start), when(s.Stop, o.Stop)
	}
	for _, p := range later.Participants {
		i := slices.IndexFunc(m.Participants, func(o Participant) bool { return o.ID == p.ID })
		if i < 0 {
			m.Participants = add(m.Participants, p)
			continue
		}
		o := &m.Participants[i]
		o.AoR, o.Name = first(p.AoR, o.AoR), first(p.Name, o.Name)
		o.Joined, o.Left = when(o.Joined, p.Joined), when(p.Left, o.Left)
		o.Sends, o.Hears = either(p.Sends, o.Sends), either(p.Hears, o.Hears)
	}
	for _, s := range later.Streams {
		i := slices.IndexFunc(m.Streams, func(o Stream) bool { return o.ID == s.ID })
		if i < 0 {
			m.Streams = add(m.Streams, s)
			continue
		}
		o := &m.Streams[i]
		o.Session, o.Label = first(s.Session, o.Session), first(s.Label, o.Label)
	}
}

func add[T any](list []T, v T) []T {
	if len(list) >= maxItems {
		return list
	}
	return append(list, v)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func either(a, b []string) []string {
	if len(a) > 0 {
		return a
	}
	return b
}

func when(a, b time.Time) time.Time {
	if !a.IsZero() {
		return a
	}
	return b
}
