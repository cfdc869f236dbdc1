package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/sip/sdp"
)

// maxHeldBack bounds the finished calls that wait for an older one, so that
// calls are told in the order in which they began.
const maxHeldBack = 10_000

// maxLeap is the longest step of time from one packet to the next that is
// believed at once; a damaged timestamp must not end every call.
const maxLeap = 24 * time.Hour

// Summary is what a capture held besides its calls.
type Summary struct {
	Packets  int                     // read
	Messages int                     // of SIP
	Dialogs  int                     // Call-IDs, calls or not
	Kinds    map[string]int          // packets of RTCP, STUN, DTLS, ZRTP and announced T.38
	Others   map[string]int          // of them, those that are no calls, by Exchange.Kind
	Skipped  map[layers.LinkType]int // packets of link types that are not read
	Strays   []Stream                // RTP that no call announced, at most 10,000
	// StraysLeftOut is how many more of them there were.
	StraysLeftOut int
	Faxes         []Fax // T.38 that no call announced, at most 1,000
	Sealed        int   // TLS connections without their keys: all where keys were given, else those on port 5061
}

// reader rebuilds calls from packets.
type reader struct {
	options Options
	each    func(*Call)
	prior   float64
	summary Summary

	network   network
	tcp       tcpFlows
	calls     map[string]*call
	order     []*call // in order of their first INVITEs, told ones at the front cut off
	told      int     // calls in order that are ready but not told
	dues      dues
	crowded   bool
	judging   map[*call]struct{} // before a judge, whose clock goes on
	endpoints map[netip.AddrPort]*endpoint
	streams   map[streamKey]*stream
	lane      lane
	strays    strays
	faxes     faxes
	links     links

	now     time.Time // latest time of a packet
	leap    time.Time // one that was too far ahead to be believed
	swept   time.Time
	strayed time.Time // the strays were swept
}

func newReader(o Options, each func(*Call)) *reader {
	if o.Meter == nil {
		o.Meter = surge.New(surge.Defaults())
	}
	return &reader{
		options: o, each: each, prior: o.prior(),
		calls:     map[string]*call{},
		judging:   map[*call]struct{}{},
		endpoints: map[netip.AddrPort]*endpoint{},
		streams:   map[streamKey]*stream{},
		tcp:       tcpFlows{keys: &KeyLog{given: o.Keys}},
	}
}

// secrets takes the key log that a capture brings along. What is wrong in it is
// somebody else's mistake.
func (t *reader) secrets(keyLog []byte) { t.tcp.keys.Add(keyLog) } //nolint:errcheck // see above

func (t *reader) packet(p Packet) {
	t.summary.Packets++
	t.clock(p.At)
	// Before the packet: it is not of what was over when it came.
	if t.now.Sub(t.swept) >= time.Second {
		t.sweep()
	}
	if len(t.network.fragments.order) > 0 {
		t.broken(false)
	}
	if key, fits, done := t.quick(&p); !done {
		if s, ok := t.network.decode(p); ok {
			t.segments(&s)
		}
		if fits {
			t.remember(key)
		}
	}
}

// clock follows the capture's time, which may step back between interfaces.
func (t *reader) clock(at time.Time) {
	switch {
	case t.now.IsZero():
		t.now, t.swept = at, at
	case !at.After(t.now):
	case at.Sub(t.now) < maxLeap, !t.leap.IsZero() && at.Sub(t.leap).Abs() < maxLeap:
		t.now, t.leap = at, time.Time{}
	default:
		t.leap = at
	}
}

// broken hands on what stands at the start of datagrams that will not be whole.
func (t *reader) broken(all bool) {
	for _, d := range t.network.fragments.expired(t.now, all) {
		s := segment{at: d.since}
		if t.network.transport(d.key.proto, d.key.src, d.key.dst, d.prefix(), true, &s, 0) {
			t.segments(&s)
		}
	}
}

// segments files what one packet carried.
func (t *reader) segments(s *segment) {
	t.segment(s)
	for i := range t.network.more {
		t.segment(&t.network.more[i])
	}
	t.network.more = t.network.more[:0]
}

func (t *reader) segment(s *segment) {
	if s.tcp {
		t.tcp.add(s, t.segment)
		return
	}
	pair := flowPair{s.src, s.dst}
	if c, ok := t.faxes.expects(pair); ok {
		if seq, ok := udptl(s.payload); ok {
			t.summary.kind(kindT38)
			t.faxes.packet(pair, c, seq, s.at)
			return
		}
	}
	if h, ok := rtpHeader(s.payload); ok && t.rtp(s, h) {
		return
	}
	if m, ok := parseMessage(s.payload); ok {
		t.message(&m, s.src, s.dst, s.at, s.transport)
		return
	}
	if k := besideRTP(s.payload); k != "" {
		t.summary.kind(k)
		return
	}
	if seq, ok := udptl(s.payload); ok {
		t.faxes.packet(pair, nil, seq, s.at)
	}
}

// message files a SIP message with its call.
func (t *reader) message(m *message, src, dst netip.AddrPort, at time.Time, transport string) {
	t.summary.Messages++
	c := t.calls[m.callID]
	if c == nil {
		if len(t.calls) >= maxDialogs {
			t.thin()
		}
		c = &call{id: strings.Clone(m.callID)}
		t.calls[c.id] = c
		t.summary.Dialogs++
		t.follow(c)
	}
	c.message(m, src, dst, at)
	t.links.message(t, c, m, src, dst, at, !c.listed && !c.inviteAt.IsZero())
	if c.invited && !c.listed {
		c.listed = true
		t.order = append(t.order, c)
	}
	t.hasten(c)
	t.piece(c, src, dst, at, transport, m.raw)
	hop, repeat := c.way.file(m, src, dst, at, transport)
	if t.options.Messages {
		c.ladder.add(m, Message{Frame: t.summary.Packets, At: Time{at}, Source: src, Destination: dst, Transport: transport, Hop: hop, Repeat: repeat})
	}
	t.testify(c, m, src, dst, at, transport)
	c.witness.saw(at, t.summary.Packets)
	body := m.description()
	if body == nil {
		return
	}
	parsed, err := sdp.Parse(body)
	if err != nil {
		return
	}
	d := newDescribed(parsed)
	c.markMedia(d, m.code == 0)
	if c.invited {
		t.links.described(c, parsed, at)
	}
	toCaller, fromCaller := c.hop.toCaller(src, dst), c.hop.fromCaller(src, dst)
	media := c.describe(d, src.Addr(), toCaller, fromCaller)
	if toCaller || fromCaller {
		t.agree(c, parsed, fromCaller)
	}
	for _, a := range udptlPorts(parsed, src.Addr()) {
		t.faxes.announce(a, c)
	}
	for _, e := range media {
		t.announce(e)
	}
	if toCaller && len(media) > 0 {
		t.recall(c)
	}
}

// announce directs the media of an endpoint to its call.
func (t *reader) announce(e *endpoint) {
	old := t.endpoints[e.addr]
	t.endpoints[e.addr] = e
	if old != nil && old.call != e.call {
		t.links.media(old.call, e.call, t.now)
	}
	// A port is used again by the next call: what comes now is another stream,
	// even with the same SSRC.
	if old != nil && old.call != e.call && !old.call.ended().IsZero() {
		for _, s := range old.call.streams {
			if s.key.src == e.addr || s.key.dst == e.addr {
				t.lose(s)
			}
		}
	}
	for _, s := range t.strays.claim(e.addr, t.now) {
		t.adopt(s, e.call)
		t.strays.release(s)
	}
}

// rtp files an RTP packet with its stream, and says whether it is one.
func (t *reader) rtp(s *segment, h header12) bool {
	key := streamKey{s.src, s.dst, h.ssrc}
	st := t.streams[key]
	if st == nil {
		e := t.endpoints[key.dst]
		if e == nil {
			e = t.endpoints[key.src]
		}
		if e == nil {
			x := t.strays.add(key, h, s.payload, s.at)
			t.lane.hit = laneEntry{stray: x}
			return x != nil
		}
		st = t.open(key, e.call)
	}
	t.lane.hit = laneEntry{stream: st}
	t.media(st, h, s.payload, s.at)
	return true
}

// media measures a packet of a stream, and lets hear it who listens.
func (t *reader) media(st *stream, h header12, b []byte, at time.Time) {
	c := st.call
	c.last = later(c.last, at)
	st.packet(h, b, at)
	t.piece(c, st.key.src, st.key.dst, at, "", b)
	t.listen(st, b, at)
	if c.witness == nil {
		return
	}
	c.witness.saw(at, t.summary.Packets)
	if st.heard {
		t.overhear(c, st.key.src, b, at)
		return
	}
	t.overhearOther(c, st, b, at)
	c.witness.keep(st, b, at)
}

// lose ends the gathering of a stream.
func (t *reader) lose(s *stream) {
	delete(t.streams, s.key)
	s.gone = true
}

// maxStreams bounds the streams of one call; more are not told.
const maxStreams = 256

func (t *reader) open(key streamKey, c *call) *stream {
	st := &stream{key: key, call: c, pt: -1}
	if len(c.streams) < maxStreams {
		c.streams = append(c.streams, st)
		t.streams[key] = st
	}
	return st
}

// adopt gives a stray to the call that announced it.
func (t *reader) adopt(s *stray, c *call) {
	st := t.open(s.key, c)
	if s.full {
		st.lookup(s.guess.pt)
		st.stats = s.guess.stats
		st.types = []typeCount{{codec: st.codec, packets: st.stats.Packets}}
		c.last = later(c.last, st.stats.LastAt)
		return
	}
	for _, p := range s.held {
		b := p.b
		h, _ := rtpHeader(b)
		st.packet(h, b, p.at)
		t.piece(c, s.key.src, s.key.dst, p.at, "", b)
		t.listen(st, b, p.at)
		if st.heard {
			t.overhear(c, s.key.src, b, p.at)
		} else {
			t.overhearOther(c, st, b, p.at)
		}
	}
	c.last = later(c.last, s.guess.last)
}

// sweep closes the calls of which nothing more is expected. It runs once a
// second of capture time.
func (t *reader) sweep() {
	t.swept = t.now
	for c := range t.judging {
		w := c.witness
		if w == nil || w.judged == nil {
			delete(t.judging, c)
			continue
		}
		t.guard(c, func() { w.judged.Advance(t.now.Add(-behind)) })
	}
	t.over()
	t.tell()
	t.links.sweep(t.now)
	if t.now.Sub(t.strayed) > strayLinger/4 {
		t.strayed = t.now
		t.strays.sweep(t.now)
		t.faxes.sweep(t.now)
	}
}

// close ends the gathering of a call.
func (t *reader) close(c *call) {
	delete(t.calls, c.id)
	delete(t.judging, c)
	t.dismiss(c, c.last)
	c.hearing.end()
	t.faxes.forget(c)
	t.links.forget(c)
	for _, e := range c.media {
		if t.endpoints[e.addr] == e {
			delete(t.endpoints, e.addr)
		}
	}
	for _, s := range c.streams {
		if t.streams[s.key] == s {
			t.lose(s)
		}
	}
	c.closed = true
	switch {
	case !c.listed:
		t.other(c)
	case t.options.AsTheyEnd:
		t.report(c)
	default:
		t.told++
	}
}

// tell tells the closed calls in order, up to the first that is still open.
func (t *reader) tell() {
	n := 0
	for n < len(t.order) && t.order[n].closed {
		t.emit(t.order[n])
		n++
	}
	t.order = t.order[n:]
	if t.told <= maxHeldBack {
		return
	}
	kept := make([]*call, 0, len(t.order)-t.told)
	for _, c := range t.order {
		if c.closed {
			t.emit(c)
		} else {
			kept = append(kept, c)
		}
	}
	t.order = kept
}

func (t *reader) emit(c *call) {
	if !t.options.AsTheyEnd {
		t.told--
		t.report(c)
	}
}

// report tells a call. What another call may still refer to it for is its times.
func (t *reader) report(c *call) {
	t.each(c.report(t.prior))
	c.links, c.streams, c.media, c.witness, c.ladder, c.way = nil, nil, nil, nil, ladder{}, way{}
}

// other tells a Call-ID that was no call.
func (t *reader) other(c *call) {
	x := c.exchanged()
	if t.summary.Others == nil {
		t.summary.Others = map[string]int{}
	}
	if t.summary.Others[x.Kind] > 0 || len(t.summary.Others) < maxMethods {
		t.summary.Others[x.Kind]++
	}
	if t.options.Others != nil {
		t.options.Others(x)
	}
}

func (t *reader) finish() Summary {
	t.broken(true)
	t.tcp.flush(t.segment)
	rest := make([]*call, 0, len(t.calls))
	for _, c := range t.calls {
		rest = append(rest, c)
	}
	slices.SortFunc(rest, func(a, b *call) int {
		return cmp.Or(a.exchange.firstAt.Compare(b.exchange.firstAt), cmp.Compare(a.id, b.id))
	})
	for _, c := range rest {
		t.close(c)
	}
	t.tell()
	t.summary.Skipped = t.network.strange
	t.summary.Faxes = t.faxes.left()
	t.summary.Strays, t.summary.StraysLeftOut = t.strays.all(), t.strays.left
	t.summary.Sealed = t.tcp.sealed
	return t.summary
}

func (s *Summary) kind(k string) {
	if s.Kinds == nil {
		s.Kinds = map[string]int{}
	}
	s.Kinds[k]++
}

// String says how many of what was read.
func (s Summary) String() string {
	return fmt.Sprintf("%d packets, %d SIP messages", s.Packets, s.Messages)
}
