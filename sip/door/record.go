package door

import (
	"slices"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/refusal"
	"github.com/portero/portero/sip/sdp"
)

// outcome notes what the caller's INVITE came to.
func (c *call) outcome(code int, outcome store.Outcome, by string) {
	c.rec.FinalCode = code
	if outcome == "" {
		outcome = store.OutcomeOf(code, false)
	}
	c.rec.Outcome = outcome
	if by != "" {
		c.rec.EndedBy = store.Party(by)
	}
}

// writeRecord hands the call's record to whoever keeps it, once.
func (c *call) writeRecord() {
	if c.written {
		return
	}
	if c.hearing != nil || c.tapesOpen > 0 { // what was heard and recorded belongs into it
		c.after(windUpEvery, c.writeRecord)
		return
	}
	c.written = true
	for _, l := range c.legs() {
		if l.dest == "" { // the caller's own, or a replacement for it
			continue
		}
		f := store.FarLeg{Destination: l.dest, CallID: l.callID, AnsweredAt: store.At(l.answered), EndedAt: store.At(l.ended), Code: l.code}
		if l.at != nil {
			f.Peer = l.at.Address.String()
		}
		if l.invite != nil {
			f.URI = l.invite.Recipient.String()
		}
		c.rec.Far = append(c.rec.Far, f)
	}
	if c.session != nil {
		st := c.session.Stats()
		c.rec.CallerMedia, c.rec.FarMedia = mediaOf(st.Caller), c.farMedia()
		c.rec.CallerMedia.SRTP = c.caller.cipher()
		c.rec.AnalysisDropped = st.Dropped
		c.rec.CallerMedia.Codec = speechOf(c.agreedCodecs())
		c.rec.FarMedia.Codec = c.rec.CallerMedia.Codec
		if l := c.lastFar(); l != nil && l.converted != "" {
			c.rec.FarMedia.Codec = speechOf(codecsOf(l.theirs))
		}
		c.rec.CallerMedia.MOS = st.Caller.MOS(c.rec.CallerMedia.Codec)
		if l := c.lastFar(); l != nil && l.far != nil {
			c.rec.FarMedia.MOS = l.far.Stats().MOS(c.rec.FarMedia.Codec)
		}
		c.d.deps.Metrics.FramesDropped(st.Dropped)
	}
	if c.srs != nil {
		c.copyRecord()
	}
	if c.rec.Outcome == "" {
		c.rec.Outcome = store.OutcomeOf(c.rec.FinalCode, false)
	}
	c.d.deps.Metrics.CallEnded(c.rec)
	c.d.deps.Records(c.rec)
	c.tellEnded()
}

// farMedia adds up what came from the far legs; jitter and source are the last
// one's that sent anything.
func (c *call) farMedia() store.Media {
	var sum store.Media
	for _, l := range c.legs() {
		if l.far == nil {
			continue
		}
		m := mediaOf(l.far.Stats())
		m.Dropped, m.Forged, m.Replayed = m.Dropped+sum.Dropped, m.Forged+sum.Forged, m.Replayed+sum.Replayed
		if m.Packets == 0 {
			sum.Dropped, sum.Forged, sum.Replayed = m.Dropped, m.Forged, m.Replayed
			continue
		}
		m.Packets, m.Lost, m.SRTP = m.Packets+sum.Packets, m.Lost+sum.Lost, l.cipher()
		sum = m
	}
	return sum
}

// lastFar is the far leg that the caller was last connected to.
func (c *call) lastFar() *leg {
	if c.far != nil {
		return c.far
	}
	for _, l := range slices.Backward(c.old) {
		if l.far != nil && !l.answered.IsZero() {
			return l
		}
	}
	return nil
}

// speechOf is the name of the first codec for speech.
func speechOf(codecs []sdp.Codec) string {
	for _, k := range codecs {
		if isSpeech(k) {
			return k.Name
		}
	}
	return ""
}

func mediaOf(s relay.SideStats) store.Media {
	m := store.Media{Packets: s.Packets, Lost: s.Lost, JitterMS: s.Jitter, TripMS: s.RoundTrip, Dropped: s.Refused, Forged: s.Forged, Replayed: s.Replayed}
	if s.Latched.IsValid() {
		m.Latched = s.Latched.String()
	}
	return m
}

// reasonHeader tells a peer why (RFC 3326).
func reasonHeader(code int, reason string) sipmsg.Header {
	h := refusal.Reason(code, reason)
	return sipmsg.NewHeader(h.Name, h.Value)
}
