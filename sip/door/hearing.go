package door

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/sdp"
)

// hearing is the analysis of one call's caller. The judge's Call is touched
// only under mu, which a worker holds while it works; workers stand behind all
// other threads, so that a call must never wait for it: what a call has to say
// goes into the inbox, and what it wants at its end it comes back for.
type hearing struct {
	c       *call
	w       *worker
	set     int // its turn
	tap     *relay.Tap
	heard   *relay.Tap  // what the caller is sent; nil: nobody asked for it
	talking atomic.Bool // keys are told to the call
	leaving bool        // the call's own: it ends

	inboxMu sync.Mutex
	inbox   []func() // run under mu, before the next packet

	mu      sync.Mutex
	judged  *judge.Call         // nil: nobody judges this call; keys are heard all the same
	keys    *codec.Decoder      // that hears them; nil before there was need
	barge   barge               // and whether the caller speaks
	codecs  map[uint8]sdp.Codec // the caller's payload types, for keys
	onFrame func(*codec.Frame)  // bound once: a method value allocates
	onDigit func(codec.Digit)
	secure  bool // SRTP, whose keys the two sides have: nothing can be heard
	closed  bool
	seen    int // of the judge's verdicts, those told

	verdict atomic.Pointer[policy.Verdict]
}

// startHearing has the caller heard from now on.
func (c *call) startHearing() {
	h := &hearing{c: c, tap: c.session.Tap(), heard: c.session.HeardTap(), judged: c.judged}
	if c.judged != nil {
		v := c.judged.Verdict()
		h.verdict.Store(&v)
	}
	c.d.hearings.share(h)
	c.hearing = h
}

// listen hears what has arrived and lets the judge decide.
func (h *hearing) listen(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.guard(func() {
		h.told()
		h.take()
		if h.judged == nil {
			return
		}
		ds := h.judged.Advance(now)
		v := h.judged.Verdict()
		h.verdict.Store(&v)
		h.news()
		if len(ds) > 0 {
			c := h.c
			c.post(func() { c.decided(ds) })
		}
	})
}

// take hands the packets in the ring on.
func (h *hearing) take() {
	buf := packets.Get().(*[2048]byte)
	defer packets.Put(buf)
	if h.judged != nil && h.heard != nil {
		h.takeHeard(buf[:])
		h.judged.Late(int(h.tap.Dropped()), int(h.heard.Dropped()))
	}
	for {
		p, at, ok := h.tap.Next(buf[:])
		if !ok {
			return
		}
		if h.secure {
			continue
		}
		if h.judged != nil {
			h.judged.Packet(p, at)
		}
		if h.talking.Load() {
			_ = h.decoder().Packet(p, at, h.onFrame, h.onDigit)
		}
	}
}

// takeHeard hands on what the caller is sent. It is the analysis of a call that is
// judged alone: a recording has its own copy.
func (h *hearing) takeHeard(buf []byte) {
	for {
		p, at, ok := h.heard.Next(buf)
		if !ok {
			return
		}
		if !h.secure {
			h.judged.Heard(p, at)
		}
	}
}

// packets are buffers for one packet each, of the calls that are heard now.
var packets = sync.Pool{New: func() any { return new([2048]byte) }}

// decoder hears the keys of a caller whom the door itself talks to.
func (h *hearing) decoder() *codec.Decoder {
	if h.keys == nil {
		h.keys = codec.NewDecoder()
		h.onFrame, h.onDigit = h.frame, h.key
		for _, k := range h.codecs {
			h.keys.Payload(k.PT, k.Name, k.Clock)
		}
	}
	return h.keys
}

func (h *hearing) key(d codec.Digit) {
	c := h.c
	c.post(func() { c.digit(d.Key) })
}

// guard keeps a fault in the analysis from the call: the judge is let go and
// the call goes on as it is.
func (h *hearing) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			if j := h.judged; j != nil {
				h.judged = nil
				j.Abandon()
			}
			h.c.d.deps.Metrics.Panicked()
			h.c.log.Error("the analysis of this call failed and was given up", zap.Any("panic", r), zap.Stack("stack"))
			c := h.c
			c.post(func() { c.unheard(fmt.Sprint(r)) })
		}
	}()
	f()
}

// unheard: the analysis failed. A caller in a dialogue is passed on; any other
// stays where he is.
func (c *call) unheard(why string) {
	c.rec.Errors = append(c.rec.Errors, policy.ReasonAnalysisFailed+": "+why)
	c.judged = nil
	if c.talk != nil && c.promise == nil {
		c.overTo(func() { c.failOpen(policy.ReasonAnalysisFailed, why) })
	}
}

// tell has f run before the next packet is heard.
func (h *hearing) tell(f func()) {
	h.inboxMu.Lock()
	h.inbox = append(h.inbox, f)
	h.inboxMu.Unlock()
}

// told runs what the call has had to say. The caller holds mu.
func (h *hearing) told() {
	h.inboxMu.Lock()
	all := h.inbox
	h.inbox = nil
	h.inboxMu.Unlock()
	for _, f := range all {
		f()
	}
}

// with tells the judge something, in its turn.
func (h *hearing) with(f func(*judge.Call)) {
	h.tell(func() {
		if h.judged != nil {
			f(h.judged)
		}
	})
}

// stopHearing has the caller heard no more.
func (c *call) stopHearing() {
	h := c.hearing
	if h == nil || h.leaving {
		return
	}
	h.leaving = true
	h.w.forget(h)
	c.windUp(h)
}

// windUpEvery is how soon a call looks again whether the worker that is at it
// has done.
const windUpEvery = 5 * time.Millisecond

// windUp hears the rest and puts what was found into the record. The call does
// not wait: neither for a worker that is at it, nor for what is still to be heard.
func (c *call) windUp(h *hearing) {
	if !h.mu.TryLock() {
		c.after(windUpEvery, func() { c.windUp(h) })
		return
	}
	if h.tap.Empty() {
		c.heardOut(h, h.last(c.rec.EndedAt.Time))
		return
	}
	ended := c.rec.EndedAt.Time
	go func() {
		ds := h.last(ended)
		c.post(func() { c.heardOut(h, ds) })
	}()
}

// last is the hearing's last turn. It is entered with mu held, and gives it back.
func (h *hearing) last(ended time.Time) (ds []policy.Decision) {
	defer h.mu.Unlock()
	h.closed = true
	if h.judged == nil {
		return nil
	}
	h.guard(func() {
		h.told()
		h.take()
		ds = h.judged.Ended(ended)
	})
	if h.judged != nil {
		v := h.judged.Verdict()
		h.verdict.Store(&v)
	}
	return ds
}

// heardOut puts what was heard into the record. What the last turn decided comes
// too late to be acted on.
func (c *call) heardOut(h *hearing, late []policy.Decision) {
	c.hearing = nil
	for _, d := range late {
		c.note(d, false)
	}
	if h.judged == nil {
		return
	}
	v := *h.verdict.Load()
	c.rec.Verdicts = append([]policy.Verdict(nil), h.judged.Verdicts()...)
	if n := len(c.rec.Verdicts); n == 0 || !c.rec.Verdicts[n-1].At.Equal(v.At) {
		c.rec.Verdicts = append(c.rec.Verdicts, v)
	}
	f := h.judged.Facts()
	c.rec.Digits = len(f.Digits)
	p := h.judged.Print()
	c.rec.Fingerprint = store.Fingerprint{ID: p.ID, Text: p.Text, Stack: f.Stack, UserAgent: p.UserAgent, Signature: f.Signature, SignatureKind: f.SignatureKind}
}

// judge opens the call before the judge. Whatever fails there, the call goes on.
func (c *call) judge() (d policy.Decision) {
	load := c.d.deps.Surge.Arrived(c.in.at)
	c.arrived = true
	defer func() {
		if r := recover(); r != nil {
			c.d.deps.Metrics.Panicked()
			c.log.Error("judging the INVITE failed", zap.Any("panic", r), zap.Stack("stack"))
			c.rec.Errors = append(c.rec.Errors, fmt.Sprint(policy.ReasonAnalysisFailed, ": ", r))
			c.judged = nil
			d = c.toAgents(policy.Arrival, "fail-open", policy.ReasonAnalysisFailed)
		}
	}()
	j, d, err := c.bench.Open(judge.Arrival{
		Raw: c.in.raw, At: c.in.at, Transport: c.rec.Transport, Source: c.source,
		Trunk: c.trunk.Name, TrustIdentity: c.trunk.TrustIdentity, Load: load, Identity: c.identity,
	})
	if err != nil {
		c.log.Error("the INVITE cannot be judged, the call goes on", zap.Error(err))
		c.rec.Errors = append(c.rec.Errors, policy.ReasonAnalysisFailed+": "+err.Error())
		return d
	}
	c.judged = j
	f := j.Facts()
	c.verstat, c.attested = stir.Verstat(f.Verstat), f.Attestation
	switch {
	case f.Anonymous: // who asked to be withheld is not written down
		c.rec.From = ""
	case f.From != "":
		c.rec.From = f.From
	}
	return d
}

func (c *call) verdict() policy.Verdict {
	if c.hearing != nil {
		if v := c.hearing.verdict.Load(); v != nil {
			return *v
		}
	}
	if c.judged != nil && c.hearing == nil {
		return c.judged.Verdict()
	}
	return policy.Verdict{Class: policy.Unknown}
}

// callersCodecs are the payload types the caller now uses: what was answered to
// the caller, and what the caller's own description adds. secure: nobody but the
// two sides can hear it.
func (c *call) callersCodecs() (codecs map[uint8]sdp.Codec, secure bool) {
	codecs = map[uint8]sdp.Codec{}
	if c.srs != nil {
		for _, k := range c.srs.live() {
			maps.Copy(codecs, k.codecs)
		}
		return codecs, false
	}
	var both []*sdp.Media
	for _, d := range []*sdp.Description{c.caller.theirs, c.caller.ours} {
		if d == nil {
			continue
		}
		m := d.Audio()
		if m == nil || m.Port == 0 {
			continue
		}
		both = append(both, m)
		secure = blind(both[0], m)
		for _, k := range m.Codecs() {
			codecs[k.PT] = k
		}
	}
	return codecs, secure
}

// agreed tells the judge, and the recording, what the caller now speaks.
func (c *call) agreed() {
	c.convert()
	codecs, secure := c.callersCodecs()
	if t := c.taping; t != nil && t.rec != nil {
		tellCodecs(t.rec, codecs)
	}
	c.keepAgreed(codecs, secure)
	h := c.hearing
	if h == nil {
		return
	}
	h.tell(func() { h.agreed(codecs, secure) })
}

// agreed takes over the payload types. The caller holds mu.
func (h *hearing) agreed(codecs map[uint8]sdp.Codec, secure bool) {
	h.secure = secure
	if h.judged != nil {
		h.judged.Codecs(codecs)
	}
	if h.codecs == nil {
		h.codecs = map[uint8]sdp.Codec{}
	}
	maps.Copy(h.codecs, codecs) // types once agreed stay known: packets of theirs may be under way
	if h.keys != nil {
		for _, k := range codecs {
			h.keys.Payload(k.PT, k.Name, k.Clock)
		}
	}
}

// listenFrom tells the judge that the caller's leg is answered. Of a copy that would
// be when the client got its answer, which says nothing of the call.
func (c *call) listenFrom(at time.Time) {
	if c.hearing != nil && c.srs == nil {
		c.hearing.with(func(j *judge.Call) { j.Answered(at) })
	}
}

// farAnswered tells the judge that a destination answered.
func (c *call) farAnswered(l *leg) {
	at := l.answered
	if c.hearing != nil {
		c.hearing.with(func(j *judge.Call) { j.FarAnswered(at) })
	}
	c.came("answered by " + l.dest)
	c.recordAt(l)
}
