package view

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/sip/trace"
)

// ladder is a call as a drawing has it: who takes part, and what went from one to
// the other, in the order of time.
type ladder struct {
	columns []column
	rungs   []rung
	start   time.Time // from which times are counted
	leftOut int       // messages that were not kept
}

// column is one who takes part: an address, with its port where several on one host
// talk to each other.
type column struct {
	name string
	role string // "caller", "callee" on the first hop, else ""
}

// rung is one row of the drawing.
type rung struct {
	kind     kind
	at       time.Time
	frame    int // 0: none
	from, to int // columns; equal, or -1, for what is no arrow
	label    string
	code     int  // of a response
	message  int  // its place in the call's Messages, from 1; 0: it is none
	sdp      bool // the message holds a session description
	onward   bool // the message of another hop, sent on
	detail   string
}

type kind byte

const (
	message kind = iota
	again        // a message that was sent again
	media        // a stream begins
	decided      // a rule spoke
)

// newLadder lays out the call's messages, the beginnings of its streams and its
// decisions.
func newLadder(c *trace.Call) *ladder {
	l := &ladder{start: began(c), leftOut: c.MessagesLeftOut}
	seats := seatsOf(c.Hops)
	for i := range c.Hops {
		for _, a := range []netip.AddrPort{c.Hops[i].Source, c.Hops[i].Destination} {
			l.column(seats.name(a))
		}
	}
	if len(c.Hops) > 0 {
		l.columns[l.column(seats.name(c.Hops[0].Source))].role = "caller"
		// Beyond a proxy the callee is anybody's guess.
		if to := l.column(seats.name(c.Hops[0].Destination)); len(c.Hops) == 1 && l.columns[to].role == "" {
			l.columns[to].role = "callee"
		}
	}
	l.messages(c, seats)
	l.streams(c, seats)
	l.faxes(c, seats)
	for _, d := range c.Decisions {
		if d.At != nil && d.Rule != "" {
			l.rungs = append(l.rungs, rung{kind: decided, at: d.At.Time, from: -1, to: -1, label: decision(d)})
		}
	}
	slices.SortStableFunc(l.rungs, func(a, b rung) int { return a.at.Compare(b.at) })
	return l
}

// began is the first that is known of a call.
func began(c *trace.Call) time.Time {
	var first time.Time
	note := func(at time.Time) {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if c.InviteAt != nil {
		return c.InviteAt.Time
	}
	for _, m := range c.Messages {
		note(m.At.Time)
	}
	for _, s := range c.Streams {
		note(s.FirstAt.Time)
	}
	for _, at := range []*trace.Time{c.RingingAt, c.AnsweredAt, c.EndedAt} {
		if at != nil {
			note(at.Time)
		}
	}
	return first
}

// seats says which addresses are one column: all ports of a host, unless it talks
// to itself.
type seats map[netip.Addr]bool // true: by port

func seatsOf(hops []trace.Hop) seats {
	s := seats{}
	for _, h := range hops {
		for _, a := range []netip.Addr{h.Source.Addr(), h.Destination.Addr()} {
			s[a] = s[a] || h.Source.Addr() == h.Destination.Addr()
		}
	}
	return s
}

func (s seats) name(a netip.AddrPort) string {
	if s[a.Addr()] {
		return a.String()
	}
	return a.Addr().String()
}

// column is the place of a name; it comes last if it is new.
func (l *ladder) column(name string) int {
	if i := slices.IndexFunc(l.columns, func(c column) bool { return c.name == name }); i >= 0 {
		return i
	}
	l.columns = append(l.columns, column{name: name})
	return len(l.columns) - 1
}

// messages adds the SIP messages as arrows between the ends of their hops.
func (l *ladder) messages(c *trace.Call, s seats) {
	type once struct {
		method     string
		code, cseq int
	}
	hopOf := map[once]int{}
	answered := false
	for i, m := range c.Messages {
		if m.Hop < 0 || m.Hop >= len(c.Hops) {
			continue
		}
		h := c.Hops[m.Hop]
		from, to := h.Source, h.Destination
		if backwards(h, m) {
			from, to = to, from
		}
		r := rung{kind: message, at: m.At.Time, frame: m.Frame, from: l.column(s.name(from)), to: l.column(s.name(to)), sdp: m.SDP, code: m.Code, message: i + 1}
		if m.Repeat {
			r.kind = again
		}
		key := once{m.Method, m.Code, m.CSeq}
		if first, ok := hopOf[key]; !ok {
			hopOf[key] = m.Hop
		} else {
			r.onward = first != m.Hop
		}
		r.label = clean(m.Line)
		if m.Code == 0 {
			r.label = clean(m.Method)
			if m.Method == "INVITE" && answered && !m.Repeat {
				r.label = "re-INVITE"
			}
		} else {
			if _, status, ok := strings.Cut(r.label, " "); ok {
				r.label = status
			}
			if m.Method != "INVITE" && m.Method != "" {
				r.label += " (" + clean(m.Method) + ")"
			}
			answered = answered || m.Method == "INVITE" && m.Code/100 == 2
		}
		r.detail = fmt.Sprintf("%s > %s %s", m.Source, m.Destination, m.Transport)
		l.rungs = append(l.rungs, r)
	}
}

// backwards says whether a message went from a hop's destination to its source.
func backwards(h trace.Hop, m trace.Message) bool {
	switch {
	case m.Source == h.Source || m.Destination == h.Destination:
		return false
	case m.Source == h.Destination || m.Destination == h.Source:
		return true
	}
	return m.Source.Addr() != h.Source.Addr()
}

// streams adds where each stream begins. Media often takes another way than the
// signalling: where its addresses are nobody's column, it is told across all.
func (l *ladder) streams(c *trace.Call, s seats) {
	for i := range c.Streams {
		st := &c.Streams[i]
		label := fmt.Sprintf("RTP %s × %d", clean(codecOf(st)), st.Packets)
		if st.SRTP {
			label = "S" + label
		}
		l.rungs = append(l.rungs, l.stream(c, s, st, label))
	}
}

// stream is the beginning of one.
func (l *ladder) stream(c *trace.Call, s seats, st *trace.Stream, label string) rung {
	r := rung{kind: media, at: st.FirstAt.Time, label: label, detail: fmt.Sprintf("%s > %s", st.Source, st.Destination)}
	find := func(a netip.Addr) int {
		return slices.IndexFunc(l.columns, func(c column) bool { return c.name == a.String() })
	}
	r.from, r.to = find(st.Source.Addr()), find(st.Destination.Addr())
	if (r.from < 0 || r.to < 0 || r.from == r.to) && len(c.Hops) > 0 && st.Side != "" {
		r.from, r.to = l.column(s.name(c.Hops[0].Source)), l.column(s.name(c.Hops[0].Destination))
		if st.Side == trace.Far {
			r.from, r.to = r.to, r.from
		}
	}
	if r.from < 0 || r.to < 0 {
		r.from, r.to = -1, -1
		r.label += " " + r.detail
	}
	return r
}

// faxes adds where fax over IP begins.
func (l *ladder) faxes(c *trace.Call, s seats) {
	for _, f := range c.Faxes {
		st := trace.Stream{Source: f.Source, Destination: f.Destination, FirstAt: f.FirstAt}
		l.rungs = append(l.rungs, l.stream(c, s, &st, fmt.Sprintf("T.38 × %d", f.Packets)))
	}
}

// codecOf is a stream's codec, or its payload type.
func codecOf(s *trace.Stream) string {
	return cmp.Or(s.Codec, fmt.Sprintf("PT %d", s.PayloadType))
}

// decision is what a rule ordered, in a line.
func decision(d trace.Decision) string {
	s := fmt.Sprintf("%s: rule %s says %s", d.Stage, clean(d.Rule), d.Action)
	if d.Destination != "" && d.Destination != string(d.Action) {
		s += " to " + clean(d.Destination)
	}
	return s + " (" + clean(d.Reason) + ")"
}

// tally counts the messages by what they are.
func (l *ladder) tally() (all, repeats, onward int) {
	for _, r := range l.rungs {
		switch {
		case r.kind == again:
			all++
			repeats++
		case r.kind == message:
			all++
			if r.onward {
				onward++
			}
		}
	}
	return all, repeats, onward
}
