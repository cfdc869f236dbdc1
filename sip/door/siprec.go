package door

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/siprec"
	"github.com/portero/portero/sip/transaction"
)

// The door as a session recording server (RFC 7866): an SBC that has a call sends
// copies of its voices, each in a stream of its own, and says in the metadata who
// they are. The door answers, listens to all streams, judges the caller's as it
// judges any caller, and tells by webhook and in the call's record what it found.
// Nothing that it decides is acted on: it is in nobody's way.
//
//	what comes                                   answer
//	INVITE by a trunk with siprec: true          200, each audio section that can be heard recvonly
//	  without Require: siprec, or +sip.src       421
//	  without an offer, or nothing to hear       488
//	Require: siprec from anybody else            420
//	metadata that cannot be read                 as if there were none; the record says so
//	re-INVITE, UPDATE                            200: streams that came, went, rest or go on
//	a second communication session               it is heard, and not judged; the record says so

// srs is what a call that is a recording session has beside its leg.
type srs struct {
	streams []*copied // by media section of the description; nil: declined
	meta    siprec.Metadata
	judged  *copied // whose speaker is the caller
	who     siprec.Participant
	several bool // it was said that there are several communication sessions
}

// The values of siprec_caller.
const (
	callerByMetadata = "metadata"
	callerLabel      = "label:" // and the label
)

const siprecOption = "siprec"

// takesCopies says whether any trunk is a recording client.
func (c Config) takesCopies() bool {
	return slices.ContainsFunc(c.Trunks, func(t Trunk) bool { return t.SIPREC })
}

// checkSIPREC reports what makes no sense of a trunk.
func (t Trunk) checkSIPREC(at string, fault func(path, format string, args ...any)) {
	label, ok := strings.CutPrefix(t.SIPRECCaller, callerLabel)
	switch {
	case t.SIPRECCaller == "":
	case !t.SIPREC:
		fault(at+".siprec_caller", "is given, but siprec is not true; allowed: siprec: true, or no siprec_caller")
	case t.SIPRECCaller != callerByMetadata && (!ok || label == ""):
		fault(at+".siprec_caller", "%q is not known; allowed: metadata, label:NAME", t.SIPRECCaller)
	}
	if t.SIPREC && (t.URI != "" || t.Register.AOR != "") {
		fault(at+".siprec", "true, but the trunk has a uri or registers; allowed: a trunk of its own for the recording client")
	}
}

// inviteCopy takes the INVITE of a recording client; false: it is none.
func (d *Door) inviteCopy(trunk Trunk, in transaction.Incoming, tx *transaction.Server, log *zap.Logger) bool {
	required := slices.Contains(options(in.Req, "Require"), siprecOption)
	switch {
	case trunk.SIPREC && (required || isClient(in.Req)):
		d.begin(in, tx, log, func(c *call) { c.trunk, c.srs = trunk, &srs{} })
	case trunk.SIPREC:
		log.Info("a call by a trunk that is a recording client was refused: it does not require siprec", zap.String("trunk", trunk.Name))
		d.answer(in.Req, tx, 421, "Extension Required", sipmsg.NewHeader("Require", siprecOption))
	case required:
		d.answer(in.Req, tx, 420, "Bad Extension", sipmsg.NewHeader("Unsupported", siprecOption))
	default:
		return false
	}
	return true
}

// isClient says whether a Contact is that of a recording client (RFC 7866 section
// 6.1.1).
func isClient(req *sipmsg.Request) bool {
	h := req.Contact()
	if h == nil {
		return false
	}
	_, ok := h.Params.Get("+sip.src")
	return ok
}

// arriveCopy answers a recording client and begins to listen.
func (c *call) arriveCopy() {
	req, l := c.caller.invite, c.caller
	c.rec.Direction, c.rec.Trunk, c.rec.Source, c.rec.Transport = store.Copied, c.trunk.Name, c.source.String(), l.transport
	c.rec.InviteAt = store.At(c.in.at)
	c.unjudged = true // whatever is decided moves nobody
	b := bodyOf(req)
	l.srtp = srtpPass // each stream has a key of its own, see secure
	offer, err := offerOf(b)
	switch {
	case err != nil:
		c.refuse(488, "Not Acceptable Here: "+err.Error())
		return
	case offer == nil:
		c.refuse(488, "Not Acceptable Here: a recording session begins with an offer")
		return
	}
	c.readMetadata(b)
	if err := c.takeCopies(offer); err != nil {
		c.log.Warn("a recording session cannot be heard", zap.Error(err))
		if errors.Is(err, relay.ErrNoPorts) {
			c.refuse(503, "Service Unavailable", sipmsg.NewHeader("Retry-After", "5"))
			return
		}
		c.refuse(488, "Not Acceptable Here: "+err.Error())
		return
	}
	c.chooseCaller()
	d := c.judgeCopy()
	c.startHearing()
	c.hearCopy()
	in := l.in
	res := l.reply(in, 200, "OK")
	res.AppendHeader(sipmsg.NewHeader("Allow", allow))
	setBody(res, sdpType, c.copyAnswer(offer))
	c.answered()
	l.accept(in, res, false, func(*sipmsg.Request) {}, func() {
		c.log.Warn("the recording client never acknowledged the answer")
		l.sendBye()
		c.end("portero", "no ACK")
	})
	c.log.Info("recording session", zap.String("trunk", c.trunk.Name), zap.String("from", c.rec.From), zap.String("to", c.rec.To),
		zap.String("session", c.session0().ID), zap.Int("streams", len(c.srs.live())))
	c.tellStarted()
	c.note(d, false)
	if c.d.deps.Recorder != nil && c.trunk.Record && (c.d.deps.Recorder.Emergency() || !c.isEmergency()) {
		c.taping = &taping{}
		c.tape(c.taping)
	}
}

// offerOf is the description in a body as it is; nil if there is none.
func offerOf(b body) (*sdp.Description, error) {
	raw := b.sdp()
	if raw == nil {
		return nil, nil
	}
	return sdp.Parse(raw)
}

// readMetadata takes the metadata in a body over. What cannot be read costs nothing
// but what it would have said.
func (c *call) readMetadata(b body) {
	note := func(err error) {
		c.log.Warn("recording metadata cannot be used; the session goes on", zap.Error(err))
		c.rec.Errors = append(c.rec.Errors, err.Error())
	}
	doc, err := siprec.Find(b.contentType, b.data)
	if err != nil {
		note(err)
		return
	}
	if doc == nil {
		return
	}
	m, err := siprec.Parse(doc)
	if err != nil {
		note(err)
		return
	}
	s := c.srs
	s.meta.Update(m)
	running := 0
	for _, cs := range s.meta.Sessions {
		if cs.Stop.IsZero() {
			running++
		}
	}
	if running > 1 && !s.several {
		s.several = true
		note(fmt.Errorf("siprec: the recording session has %d communication sessions; the caller of the first is judged", running))
	}
}

// session0 is the communication session that is judged.
func (c *call) session0() siprec.Session {
	if len(c.srs.meta.Sessions) == 0 {
		return siprec.Session{}
	}
	return c.srs.meta.Sessions[0]
}

// chooseCaller finds the stream that the caller speaks in, and who he is.
func (c *call) chooseCaller() {
	s := c.srs
	live := s.live()
	labels := make([]string, len(live))
	for i, k := range live {
		labels[i] = k.label
	}
	at, who, called := s.meta.Choose(c.trunk.CallerLabel(), labels)
	to := live[at]
	if s.judged != nil && s.judged != to {
		c.log.Warn("the caller of a recording session is in another stream now", zap.String("label", to.label))
		c.rec.Errors = append(c.rec.Errors, "siprec: the caller was taken for the stream "+s.judged.label+", then for "+to.label)
	}
	s.judged, s.who = to, who
	c.session = to.session
	if who.ID == "" && who.AoR == "" {
		c.rec.To = first(c.rec.To, dialled(c.caller.invite))
		return
	}
	c.rec.From = who.User()
	c.rec.To = first(called.User(), c.rec.To)
}

// CallerLabel is the label of the caller's stream, if it is configured.
func (t Trunk) CallerLabel() string {
	label, fixed := strings.CutPrefix(t.SIPRECCaller, callerLabel)
	if !fixed {
		return ""
	}
	return label
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// judgeCopy opens the call before the judge, who is not told of any answer: when
// the call was answered, a copy does not show.
func (c *call) judgeCopy() (d policy.Decision) {
	defer func() {
		if r := recover(); r != nil {
			c.d.deps.Metrics.Panicked()
			c.log.Error("judging a recording session failed", zap.Any("panic", r), zap.Stack("stack"))
			c.rec.Errors = append(c.rec.Errors, fmt.Sprint(policy.ReasonAnalysisFailed, ": ", r))
			c.judged = nil
			d = c.toAgents(policy.Arrival, "fail-open", policy.ReasonAnalysisFailed)
		}
	}()
	who := c.srs.who
	j, d, err := c.bench.Open(judge.Arrival{
		Raw: c.in.raw, At: c.in.at, Transport: c.rec.Transport, Source: c.source, Trunk: c.trunk.Name,
		Copy: &judge.Copy{From: c.rec.From, FromHost: who.Host(), DisplayName: who.Name, To: c.rec.To},
	})
	if err != nil {
		c.log.Error("a recording session cannot be judged", zap.Error(err))
		c.rec.Errors = append(c.rec.Errors, policy.ReasonAnalysisFailed+": "+err.Error())
		return d
	}
	c.judged = j
	return d
}

// hearCopy has the judge hear the caller's stream, from now on if it was another,
// and whom he talks to.
func (c *call) hearCopy() {
	h := c.hearing
	if h == nil {
		return
	}
	tap, codecs := c.srs.judged.session.Tap(), c.srs.judged.codecs
	var heard *relay.Tap
	if k := c.srs.other(); k != nil {
		heard = k.session.Tap()
	}
	h.tell(func() {
		h.tap, h.heard = tap, heard
		h.agreed(codecs, false)
	})
	if t := c.taping; t != nil && t.rec != nil {
		all, _ := c.callersCodecs()
		tellCodecs(t.rec, all)
	}
}

// onCopyChanged answers a re-INVITE or UPDATE of a recording client.
func (l *leg) onCopyChanged(in *incoming) {
	c := l.c
	b := bodyOf(in.req)
	offer, err := offerOf(b)
	if err != nil {
		l.respondPlain(in, 488, "Not Acceptable Here: "+err.Error())
		return
	}
	c.readMetadata(b)
	if offer != nil {
		if len(offer.Media) < len(c.srs.streams) { // RFC 3264 section 8: sections never go
			l.respondPlain(in, 488, "Not Acceptable Here: media sections are missing")
			return
		}
		if err := c.takeCopies(offer); err != nil {
			c.log.Warn("a stream of a recording session cannot be heard", zap.Error(err))
		}
	}
	c.chooseCaller()
	c.hearCopy()
	res := l.reply(in, 200, "OK")
	res.AppendHeader(sipmsg.NewHeader("Allow", allow))
	if offer != nil {
		setBody(res, sdpType, c.copyAnswer(offer))
	}
	if !in.req.IsInvite() {
		l.acceptUpdate(in, res)
		return
	}
	l.retarget(in.req.Contact())
	late := offer == nil
	if late {
		setBody(res, sdpType, l.repeat(nil))
	}
	l.accept(in, res, late, func(ack *sipmsg.Request) {
		if !late || ack == nil {
			return
		}
		if answer, err := offerOf(bodyOf(ack)); err == nil && answer != nil && len(answer.Media) == len(c.srs.streams) {
			if err := c.takeCopies(answer); err == nil {
				c.chooseCaller()
				c.hearCopy()
			}
		}
	}, l.unacknowledged)
}

// copyRecord puts what the client said, and what came, into the call's record.
func (c *call) copyRecord() {
	s := c.srs
	out := &store.Copy{Session: c.session0().ID, SIP: c.session0().SIP}
	if s.judged != nil {
		out.Judged = s.judged.label
	}
	for _, p := range s.meta.Participants {
		out.Participants = append(out.Participants, store.CopyParticipant{ID: p.ID, AoR: p.AoR, Name: p.Name})
	}
	for _, k := range s.live() {
		st := k.session.Stats().Caller
		stream := store.CopyStream{Label: k.label, Media: mediaOf(st)}
		if p, ok := s.meta.Sender(k.label); ok {
			stream.Participant = p.ID
		}
		for _, f := range hearableNames(k.codecs) {
			stream.Media.Codec = f
		}
		out.Streams = append(out.Streams, stream)
		if k == s.judged {
			c.rec.CallerMedia = stream.Media
		} else if c.rec.FarMedia.Packets == 0 {
			c.rec.FarMedia = stream.Media
		}
	}
	c.rec.Copy = out
}
