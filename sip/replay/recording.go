package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/trace"
)

// Recording is what a capture shows of one call at its first hop, between the
// caller and whom it called.
type Recording struct {
	CallID      string
	From, To    string    // user parts, as written
	At          time.Time // of the first INVITE
	Caller, Far netip.AddrPort
	Transport   string // "udp" or "tcp"
	steps       []step
	packets     []packet // the caller's RTP, in order of time
	answers     []packet // the far side's
	heard       heard    // the far side's
	farSections map[netip.AddrPort]int
	ownSections map[netip.AddrPort]int
	end         time.Duration // of the last message or packet, from At
	unencodable bool          // its media is keyed by DTLS: recorded packets would be noise
}

// step is one message.
type step struct {
	at     time.Duration // from the recording's At
	caller bool          // the caller sent it
	*message
}

// packet is one RTP packet.
type packet struct {
	at      time.Duration
	section int // of the descriptions
	data    []byte
}

// heard is what came from the far side as RTP.
type heard struct{ received, lost int }

// DefaultHeld is how many bytes of messages and packets Load holds at most.
const DefaultHeld = 512 << 20

// ErrHeld says that a capture holds more than may be held.
var ErrHeld = errors.New("its calls hold too much to be replayed at once; choose one")

// Load reads the calls of a capture, or the one with a Call-ID, in the order in
// which they began. Calls without a recorded INVITE that could be answered
// cannot be placed again; they are left out, and counted in without. An error that wraps trace.ErrCut comes
// with what stood before the cut. keys open its TLS connections; nil: only those whose
// secrets it brings along. held bounds what is kept, bytes.
func Load(r io.Reader, callID string, keys *trace.KeyLog, held int) (calls []*Recording, without int, err error) {
	g := gatherer{calls: map[string]*gathered{}, only: callID, left: held}
	_, err = trace.Read(r, trace.Options{Pieces: g.piece, AsTheyEnd: true, Keys: keys}, func(c *trace.Call) {
		if callID != "" && c.CallID != callID {
			return
		}
		one := g.calls[c.CallID]
		delete(g.calls, c.CallID)
		if one == nil {
			without++
			return
		}
		rec, rerr := one.recording(c)
		if rerr != nil {
			without++
			return
		}
		calls = append(calls, rec)
	})
	if g.left < 0 {
		return nil, 0, ErrHeld
	}
	if err != nil && !errors.Is(err, trace.ErrCut) {
		return nil, 0, err
	}
	slices.SortStableFunc(calls, func(a, b *Recording) int { return a.At.Compare(b.At) })
	return calls, without, err
}

// gatherer collects the pieces of calls.
type gatherer struct {
	calls map[string]*gathered
	only  string
	left  int // bytes that may still be held
}

type gathered struct {
	messages, rtp []trace.Piece
}

func (g *gatherer) piece(p trace.Piece) {
	if g.only != "" && p.CallID != g.only || g.left < 0 {
		return
	}
	c := g.calls[p.CallID]
	if c == nil {
		if p.RTP || !bytes.HasPrefix(p.Data, []byte("INVITE ")) {
			return
		}
		c = &gathered{}
		g.calls[p.CallID] = c
	}
	if g.left -= len(p.Data) + 128; g.left < 0 {
		g.calls = map[string]*gathered{}
		return
	}
	p.Data = bytes.Clone(p.Data)
	if p.RTP {
		c.rtp = append(c.rtp, p)
	} else {
		c.messages = append(c.messages, p)
	}
}

// recording picks out what passed between the caller and the first hop.
func (g *gathered) recording(c *trace.Call) (*Recording, error) {
	first, invite, err := g.first()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} { // what every answer repeats
		if len(invite.get(name)) == 0 {
			return nil, fmt.Errorf("its INVITE has no %s", name)
		}
	}
	r := &Recording{
		CallID: c.CallID, From: c.FromUser, To: c.ToUser, At: first.At,
		Caller: first.Source, Far: first.Destination, Transport: first.Transport,
		farSections: map[netip.AddrPort]int{}, ownSections: map[netip.AddrPort]int{},
	}
	own := ownAddresses(first.Source, invite)
	seen := map[string]bool{}
	for _, p := range g.messages {
		m, err := parse(p.Data)
		if err != nil {
			continue
		}
		from, to := r.sides(p, own)
		if !from && !to {
			continue
		}
		// What comes again is a retransmission, or was captured twice.
		key := fmt.Sprint(from) + string(p.Data)
		if seen[key] {
			continue
		}
		seen[key] = true
		r.steps = append(r.steps, step{at: p.At.Sub(r.At), caller: from, message: m})
		r.describe(m, p.Source.Addr(), from)
		r.end = max(r.end, p.At.Sub(r.At))
	}
	slices.SortStableFunc(r.steps, func(a, b step) int { return int(a.at - b.at) })
	r.media(g.rtp)
	return r, nil
}

// first is the INVITE at the first hop: of those that a capture at a proxy shows of
// the call's first request, the one with the fewest Vias, whatever the order in
// which they were captured.
func (g *gathered) first() (trace.Piece, *message, error) {
	var first trace.Piece
	var invite *message
	fewest := 0
	for _, p := range g.messages {
		m, err := parse(p.Data)
		if err != nil {
			return first, nil, err
		}
		if m.method() != "INVITE" {
			continue
		}
		if invite != nil && !bytes.Equal(m.get("CSeq"), invite.get("CSeq")) {
			break
		}
		vias := 0
		for _, v := range m.all("Via") {
			for vias++; outside(v, ',') < len(v); vias++ {
				v = v[outside(v, ',')+1:]
			}
		}
		if invite == nil || vias < fewest || vias == fewest && p.At.Before(first.At) {
			first, invite, fewest = p, m, vias
		}
	}
	if invite == nil {
		return first, nil, errNoMessage
	}
	return first, invite, nil
}

// ownAddresses are where the caller sends from and says that it is.
func ownAddresses(source netip.AddrPort, invite *message) []netip.AddrPort {
	own := []netip.AddrPort{source}
	add := func(hostport []byte) {
		host, port, has := splitPort(hostport)
		a, ok := address(host)
		if !ok {
			return
		}
		n := uint16(5060)
		if has {
			p, err := netip.ParseAddrPort("0.0.0.0:" + string(port))
			if err != nil {
				return
			}
			n = p.Port()
		}
		own = append(own, netip.AddrPortFrom(a, n))
	}
	via := invite.get("Via")
	_, sentBy := viaParts(via)
	add(via[sentBy[0]:sentBy[1]])
	contact := invite.get("Contact")
	from, till := uriOf(contact)
	uri := contact[from:till]
	from, till = hostOf(uri)
	add(uri[from:till])
	return own
}

// sides says whether a message passed between the caller and somebody else, and
// which way. On one machine only ports tell the parties apart.
func (r *Recording) sides(p trace.Piece, own []netip.AddrPort) (from, to bool) {
	if r.Caller.Addr() != r.Far.Addr() {
		from = p.Source.Addr() == r.Caller.Addr()
		return from, !from && p.Destination.Addr() == r.Caller.Addr()
	}
	from = p.Source == r.Caller
	return from, !from && p.Source != r.Caller && slices.Contains(own, p.Destination)
}

// describe notes where the two sides want their media.
func (r *Recording) describe(m *message, sender netip.Addr, caller bool) {
	d := describes(m)
	if d == nil {
		return
	}
	into := r.farSections
	if caller {
		into = r.ownSections
	}
	for i, s := range d.Media {
		if strings.Contains(s.Proto, "TLS") {
			r.unencodable = true
		}
		if s.Port == 0 {
			continue
		}
		a, err := d.RTP(s)
		if err != nil || a.Addr().IsUnspecified() {
			a = netip.AddrPortFrom(sender, uint16(s.Port))
		}
		into[netip.AddrPortFrom(a.Addr().Unmap(), a.Port())] = i
	}
}

// describes is the session description in a message, nil without one that can
// be read.
func describes(m *message) *sdp.Description {
	body := description(m.body)
	if body == nil {
		return nil
	}
	d, err := sdp.Parse(body)
	if err != nil {
		return nil
	}
	return d
}

// media sorts the RTP into what the caller sent and what it was sent.
func (r *Recording) media(rtp []trace.Piece) {
	slices.SortStableFunc(rtp, func(a, b trace.Piece) int { return a.At.Compare(b.At) })
	streams := map[string]*codec.Stats{}
	last := map[string]trace.Piece{}
	twice := doubled(rtp)
	for _, p := range rtp {
		if len(p.Data) < 12 {
			continue
		}
		to, toFar := r.farSections[p.Destination]
		_, toCaller := r.ownSections[p.Destination]
		from, fromCaller := r.ownSections[p.Source]
		_, fromFar := r.farSections[p.Source]
		section := to
		switch {
		case toFar && !fromFar: // on one machine, of two relays, both may hold
		case toCaller:
			toFar = false
		case fromCaller:
			toFar, section = true, from
		default:
			toFar, toCaller = false, fromFar
		}
		if !toFar && !toCaller {
			continue
		}
		key := p.Source.String() + p.Destination.String() + string(p.Data[8:12])
		if before, ok := last[key]; ok && twice[key] && p.At.Sub(before.At) < soon && bytes.Equal(before.Data, p.Data) {
			continue
		}
		last[key] = p
		at := p.At.Sub(r.At)
		r.end = max(r.end, at)
		if toFar {
			r.packets = append(r.packets, packet{at: at, section: section, data: p.Data})
			continue
		}
		section = r.ownSections[p.Destination]
		r.answers = append(r.answers, packet{at: at, section: section, data: p.Data})
		s := streams[key]
		if s == nil {
			s = &codec.Stats{}
			streams[key] = s
		}
		seq, ts := rtpNumbers(p.Data)
		s.Packet(seq, ts, p.At, 0)
	}
	for _, s := range streams {
		r.heard.received += s.Packets
		r.heard.lost += s.Lost()
	}
}

// soon is how far apart the copies of a packet are that is captured at two
// interfaces of a machine.
const soon = 5 * time.Millisecond

// doubled tells the streams that a capture of every interface has twice. A packet
// here and there that comes twice was sent twice.
func doubled(rtp []trace.Piece) map[string]bool {
	last := map[string]trace.Piece{}
	all, again := map[string]int{}, map[string]int{}
	for _, p := range rtp {
		if len(p.Data) < 12 {
			continue
		}
		key := p.Source.String() + p.Destination.String() + string(p.Data[8:12])
		all[key]++
		if before, ok := last[key]; ok && p.At.Sub(before.At) < soon && bytes.Equal(before.Data, p.Data) {
			again[key]++
		}
		last[key] = p
	}
	out := map[string]bool{}
	for key, n := range all {
		out[key] = again[key]*5 > n*2
	}
	return out
}

func rtpNumbers(b []byte) (seq uint16, ts uint32) {
	return uint16(b[2])<<8 | uint16(b[3]), uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])
}

// answerAt is when the recorded call was answered, 0 when it was not.
func (r *Recording) answerAt() time.Duration {
	s := r.script()
	if !s.answered {
		return 0
	}
	return r.end - s.talk
}

// earlyMedia is when the caller was told, ahead of the answer, where its media
// may go.
func (r *Recording) earlyMedia() (time.Duration, bool) {
	for _, m := range r.steps {
		if _, method := m.cseq(); !m.caller && method == "INVITE" && m.code() > 100 {
			switch {
			case m.code() >= 300:
			case m.code() >= 200:
				return 0, false
			case describes(m.message) != nil:
				return m.at, true
			}
		}
	}
	return 0, false
}
