package trace

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/sdp"
)

// Options says before whom calls are put, and what is told of them.
type Options struct {
	// Others is told of each Call-ID that was no call, when nothing more of it is
	// expected; nil: they are only counted.
	Others func(*Exchange)
	// AsTheyEnd tells each call when it is over, and not in the order in which
	// the calls began: for who waits for them.
	AsTheyEnd bool
	// Linger is how long after its last message a call that has ended is waited
	// for; 0: 64 s, by when every retransmission has come.
	Linger time.Duration
	// Messages asks for the SIP messages of each call: up to 2,000, and 512 KiB of
	// their bytes, a call. Without it none are held.
	Messages bool
	// Keys are the secrets of TLS connections, besides those that a pcapng file
	// brings along; nil: there are none.
	Keys *KeyLog
	// Bench judges the calls whose INVITE was captured; nil: none are judged.
	Bench *judge.Bench
	// Trunk names the trunk that an INVITE's source belongs to, and says
	// whether it may assert identities; "" when it is none. nil: no trunks.
	Trunk func(source netip.Addr) (name string, trustIdentity bool)
	// CallerLabel is the label of the stream that callers speak in, in recording
	// sessions (RFC 7866) of a source; "" or nil: their metadata says it.
	CallerLabel func(source netip.Addr) string
	// Identity says what an INVITE's Identity headers are worth; nil, or a result
	// of nil: they are not verified.
	Identity func(raw []byte, at time.Time, trusted bool) *stir.Result
	// Meter counts arrivals and load for the judge, from the capture alone, so
	// it begins with nothing known. nil: one of the defaults. With Trunk only
	// calls that come by a trunk count.
	Meter *surge.Meter
	// Given alters what the judge is told of an arrival, for trials of what a
	// capture does not show: the load, the trunk, the day. nil: nothing is.
	Given func(*judge.Arrival)
	// Failed is told when judging a call broke; the call is told unjudged. May
	// be nil.
	Failed func(callID string, err error)
	// Pieces is given every message and RTP packet of every call as it is filed
	// with it, also of Call-IDs that turn out to be no call. May be nil.
	Pieces func(Piece)
	// Listen is asked who listens to a call, once, when its first audio comes; nil
	// as the answer: nobody. May be nil.
	Listen func(callID string) Listener
}

// behind is how much later than the capture's time the judge's ticks are run.
// Nobody waits for the decisions of a recording, and media captured ahead of
// the answer that announces it, or on another interface, is still in time.
const behind = 2 * time.Second

// witness puts one call before the judge, as a door would have done.
type witness struct {
	judged  *judge.Call // nil once the call has ended or the judge has failed
	cseq    string      // of the INVITE that was judged
	counted bool        // in the meter
	copied  bool        // it is a recording session
	section int         // of the descriptions, that its caller is in
	refused bool        // it got a final response that was no 2xx

	offered  netip.AddrPort // where the caller's description wants media: where it should come from
	codecs   map[uint8]sdp.Codec
	source   netip.AddrPort // of the caller's media, latched
	rank     int            // how well it fits offered
	told     bool           // a description told the caller where to send
	early    []earlyPacket  // from where the caller's media should come, before that
	frames   frames
	findings findings
}

// maxEarly bounds the packets that wait for an answer to say that they are
// meant for the callee.
const maxEarly = 128

type earlyPacket struct {
	stream *stream
	at     time.Time
	b      []byte
}

// findings outlive the judge's call.
type findings struct {
	print     *Fingerprint
	verdict   *Verdict
	decisions []Decision
}

// summon opens the judge's call for an initial INVITE on the first hop. A new
// INVITE after a refusal (a challenge answered) is a new visit.
func (t *reader) summon(c *call, m *message, src netip.AddrPort, at time.Time, transport string) {
	if t.options.Bench == nil {
		return
	}
	w := c.witness
	if w != nil && (w.cseq == m.cseq || !w.refused) {
		return
	}
	if w != nil {
		t.dismiss(c, at)
	}
	w = &witness{cseq: strings.Clone(m.cseq), frames: frames{start: at, last: []int{t.summary.Packets}}}
	c.witness = w
	a := judge.Arrival{Raw: m.raw, At: at, Transport: transport, Source: src}
	w.counted = true
	if t.options.Trunk != nil {
		a.Trunk, a.TrustIdentity = t.options.Trunk(src.Addr().Unmap())
		w.counted = a.Trunk != ""
	}
	label := ""
	if t.options.CallerLabel != nil {
		label = t.options.CallerLabel(src.Addr().Unmap())
	}
	if a.Copy, w.section = copied(m, label); a.Copy != nil {
		w.copied, w.counted = true, false
	}
	if w.copied {
		// Copies are no load.
	} else if w.counted {
		a.Load = t.options.Meter.Arrived(at)
	} else {
		a.Load = t.options.Meter.Load(at)
	}
	t.guard(c, func() {
		if t.options.Identity != nil && !w.copied {
			a.Identity = t.options.Identity(a.Raw, at, a.TrustIdentity)
		}
		if t.options.Given != nil {
			t.options.Given(&a)
		}
		j, _, err := t.options.Bench.Open(a)
		if err != nil {
			t.failed(c, err)
			return
		}
		w.judged = j
		t.judging[c] = struct{}{}
	})
}

// guard runs what touches the judge. It listens to strangers: should it break,
// this call goes unjudged and the reading goes on.
func (t *reader) guard(c *call, f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.witness.judged = nil
			t.failed(c, fmt.Errorf("the judge broke: %v", p))
		}
	}()
	f()
}

func (t *reader) failed(c *call, err error) {
	if t.options.Failed != nil {
		t.options.Failed(c.id, err)
	}
}

// testify tells the judge what a message of the call means to the caller.
func (t *reader) testify(c *call, m *message, src, dst netip.AddrPort, at time.Time, transport string) {
	if m.method == "INVITE" && c.hop.fromCaller(src, dst) && c.answer == 0 {
		t.summon(c, m, src, at, transport)
	}
	w := c.witness
	if w == nil || w.judged == nil {
		return
	}
	switch {
	case m.method == "BYE" && c.answer > 0, m.method == "CANCEL" && c.answer == 0:
		t.dismiss(c, at)
	case m.code == 183 && m.cseqMethod == "INVITE" && m.cseq == w.cseq && c.hop.toCaller(src, dst) && m.description() != nil:
		t.guard(c, func() {
			if w.judged.TalksEarly() {
				w.judged.Answered(at)
			}
		})
	case m.code < 200 || m.cseqMethod != "INVITE" || m.cseq != w.cseq || !c.hop.toCaller(src, dst):
	case m.code < 300 && w.copied: // when the call itself was answered, a copy does not show
	case m.code < 300:
		t.guard(c, func() {
			w.judged.Answered(at)
			w.judged.FarAnswered(at)
		})
	default:
		w.refused = true
		t.dismiss(c, at)
	}
}

// agree tells the judge the payload types after a description on the first hop.
func (t *reader) agree(c *call, d *sdp.Description, fromCaller bool) {
	w := c.witness
	m := c.voice(d)
	if w == nil || w.judged == nil || m == nil {
		return
	}
	if fromCaller {
		if a, err := d.RTP(m); err == nil && m.Port != 0 {
			w.offered = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		}
	}
	if w.codecs == nil {
		w.codecs = map[uint8]sdp.Codec{}
	}
	for _, k := range m.Codecs() {
		// What the callee says of a payload type holds for what is sent to it.
		if _, known := w.codecs[k.PT]; !known || !fromCaller {
			w.codecs[k.PT] = k
		}
	}
	t.guard(c, func() { w.judged.Codecs(w.codecs) })
}

// overhear gives the judge a packet that came to where the caller was told to
// send. As in a relay, a source that fits the caller's description better
// displaces one that fits worse.
func (t *reader) overhear(c *call, src netip.AddrPort, b []byte, at time.Time) {
	w := c.witness
	if w == nil || w.judged == nil {
		return
	}
	if src != w.source {
		rank := 1
		switch {
		case src == w.offered:
			rank = 3
		case src.Addr() == w.offered.Addr() || src.Addr() == c.hop.src.Addr():
			rank = 2
		}
		if rank <= w.rank {
			return
		}
		w.source, w.rank = src, rank
	}
	t.guard(c, func() { w.judged.Packet(b, at) })
}

// overhearOther gives the judge a packet that the caller was sent: from where the
// caller was told that media comes, to where the caller said it should go, or to
// where the caller's own comes from (behind NAT). Before an answer has told the
// caller anything, whatever goes there is early media.
func (t *reader) overhearOther(c *call, st *stream, b []byte, at time.Time) {
	w := c.witness
	if w != nil && w.judged != nil && w.copied {
		if e := t.endpoints[st.key.dst]; e != nil && e.call == c && e.other {
			t.guard(c, func() { w.judged.Heard(b, at) })
		}
		return
	}
	if w == nil || w.judged == nil || st.key.dst != w.offered && st.key.dst != w.source || w.told && !st.spoken {
		return
	}
	t.guard(c, func() { w.judged.Heard(b, at) })
}

// keep holds a packet of the caller's that was captured ahead of the answer.
func (w *witness) keep(st *stream, b []byte, at time.Time) {
	if !w.told && w.judged != nil && st.key.src == w.offered && len(w.early) < maxEarly {
		w.early = append(w.early, earlyPacket{st, at, append([]byte(nil), b...)})
	}
}

// recall gives the judge what was held once it is known where it went.
func (t *reader) recall(c *call) {
	w := c.witness
	if w == nil || w.told {
		return
	}
	w.told = true
	early := w.early
	w.early = nil
	for _, p := range early {
		if p.stream.lookup(uint8(p.stream.pt)); p.stream.heard {
			t.overhear(c, p.stream.key.src, p.b, p.at)
		}
	}
}

// dismiss ends the judge's call and keeps what it found.
func (t *reader) dismiss(c *call, at time.Time) {
	w := c.witness
	if w == nil {
		return
	}
	if w.counted {
		w.counted = false
		t.options.Meter.Left()
	}
	if w.judged == nil {
		return
	}
	t.guard(c, func() {
		w.judged.Ended(at)
		w.findings = w.find()
	})
	w.judged, w.codecs, w.early = nil, nil, nil
}

func (w *witness) find() findings {
	j := w.judged
	p, made, v := j.Print(), j.Made(), j.Verdict()
	f := findings{
		print:   &Fingerprint{ID: p.ID, Text: p.Text, Stack: made.Stack, UserAgent: p.UserAgent, Signature: made.Name(), SignatureKind: made.Kind()},
		verdict: &Verdict{Class: v.Class, PMachine: v.PMachine, Prior: math.Round(policy.Probability(j.Prior())*1e4) / 1e4, Evidence: []Evidence{}},
	}
	for _, e := range j.Contributions() {
		at := j.Since(e.Name)
		f.verdict.Evidence = append(f.verdict.Evidence, Evidence{Name: e.Name, LLR: e.LLR, Says: e.Says, Effect: math.Round(e.Effect*1e4) / 1e4,
			At: moment(at), Frame: w.frames.until(at)})
	}
	for _, v := range j.Verdicts() {
		f.verdict.Course = append(f.verdict.Course, Moment{At: Time{v.At}, Class: v.Class, PMachine: v.PMachine})
	}
	for _, d := range j.Decisions() {
		f.decisions = append(f.decisions, Decision{At: moment(d.At), Stage: d.Stage, Rule: d.Rule, Action: d.Action, Destination: d.Destination, Reason: d.Reason})
	}
	return f
}

// unjudged is the verdict on a call whose INVITE was not captured.
func unjudged(prior float64) *Verdict {
	return &Verdict{Class: policy.Unknown, PMachine: prior, Prior: prior, Evidence: []Evidence{}, Course: []Moment{}}
}

// prior is the probability of a machine before anything is known of a call.
func (o Options) prior() float64 {
	switch b := o.Bench; {
	case b == nil:
		return policy.DefaultFusion().Prior
	case b.Config.Prior > 0:
		return b.Config.Prior
	case b.Fusion == nil:
		return policy.DefaultFusion().Prior
	default:
		return b.Fusion.Prior
	}
}
