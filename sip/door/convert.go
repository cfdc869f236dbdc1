package door

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/sdp"
)

// The two sides of a call agree on codecs with each other, and the door passes
// their packets untouched. Where they did not agree with each other, because the
// door answered one of them or moved the call, or because one lacks what the other
// speaks, the relay converts: between the laws of G.711, G.722 and either, and the
// numbers of payload types.
//
//	the destination                            the door
//	is called first                            offers what the caller offered
//	refuses that (488, 606) and the caller     asks once more, with the other law
//	has G.711 of one law, or only G.722        of G.711 beside it, and converts
//	is one that the call is moved to           offers what the caller speaks, and both laws
//	answers with a law or numbers of its own   converts
//	answers with nothing that can be           is hung up: a move fails, and the
//	converted                                  call stays where it is

// audioOf is the audio that the door can look into and convert: plain, and on.
func audioOf(d *sdp.Description) *sdp.Media {
	if d == nil {
		return nil
	}
	if m := anchored(d); m != nil && m.Type == "audio" && m.Port != 0 && !encrypted(m) && !keyed(m) {
		return m
	}
	return nil
}

// codecsOf are the payload types of a description's audio, the preferred one first.
func codecsOf(d *sdp.Description) []sdp.Codec {
	if m := audioOf(d); m != nil {
		return m.Codecs()
	}
	return nil
}

// sameCodec says whether two payload types are the same by name, clock and channels.
func sameCodec(a, b sdp.Codec) bool {
	return strings.EqualFold(a.Name, b.Name) && a.Clock == b.Clock && max(a.Channels, 1) == max(b.Channels, 1) && a.Name != ""
}

// isSpeech says whether a payload type is audio, and not what comes beside it.
func isSpeech(c sdp.Codec) bool {
	return !strings.EqualFold(c.Name, "telephone-event") && !strings.EqualFold(c.Name, "CN") && !strings.EqualFold(c.Name, "red")
}

// converts says whether the relay can convert a codec: into any other such.
func converts(c sdp.Codec) bool {
	_, ok := codec.NewConverter(c.Name, "PCMU")
	return ok && c.Clock == codec.Rate
}

// partner is what packets of a codec go out as to a side that takes those of a
// list: the same codec, else the first that it can be converted to.
func partner(c sdp.Codec, list []sdp.Codec) (sdp.Codec, bool) {
	if i := slices.IndexFunc(list, func(o sdp.Codec) bool { return sameCodec(c, o) }); i >= 0 {
		return list[i], true
	}
	if !converts(c) {
		return sdp.Codec{}, false
	}
	i := slices.IndexFunc(list, func(o sdp.Codec) bool { return converts(o) && !strings.EqualFold(o.Name, "G722") })
	if i < 0 { // the laws cost less
		i = slices.IndexFunc(list, converts)
	}
	if i < 0 {
		return sdp.Codec{}, false
	}
	return list[i], true
}

// changes is how packets of a side must change that was told to send one thing,
// and may send what it said itself too, toward one that takes another.
func changes(told, own, takes []sdp.Codec) (all []relay.Change, needed bool) {
	known := [128]bool{}
	for i, list := range [][]sdp.Codec{told, own} {
		for _, c := range list {
			if known[c.PT] {
				continue
			}
			known[c.PT] = true
			to, ok := partner(c, takes)
			if !ok {
				continue
			}
			x := relay.Change{From: c.PT, To: to.PT}
			x.Audio, _ = codec.NewConverter(c.Name, to.Name)
			all = append(all, x)
			needed = needed || i == 0 && (x.From != x.To || x.Audio != nil)
		}
	}
	return all, needed
}

// convert has the relay convert what the two sides agreed on differently. It is
// called whenever that may have changed.
func (c *call) convert() {
	l := c.far
	if l == nil || l.far == nil || c.caller.far != nil && c.caller.state != legUp {
		return
	}
	agreed := agreement{c.caller.ours, c.caller.theirs, l.ours, l.theirs}
	if agreed == l.agreement {
		return
	}
	l.agreement = agreed
	up, needed := changes(codecsOf(c.caller.ours), codecsOf(c.caller.theirs), codecsOf(l.theirs))
	if !needed {
		up = nil
	}
	down, needed := changes(codecsOf(l.ours), codecsOf(l.theirs), codecsOf(c.caller.theirs))
	if !needed {
		down = nil
	}
	converted := written(up, down)
	if converted == l.converted { // a converter keeps what it has heard
		return
	}
	l.converted = converted
	l.far.Convert(relay.NewConversion(up...), relay.NewConversion(down...))
	if converted == "" {
		return
	}
	l.log.Info("media is converted between the caller and a destination", zap.String("destination", l.dest),
		zap.String("caller", names(c.caller.ours)), zap.String("far", names(l.theirs)))
	if a, b := keysOf(c.caller.ours), keysOf(l.theirs); a != nil && b != nil && !sameCodec(*a, *b) {
		l.log.Info("keys pass unchanged, by a clock that the other side did not agree to (RFC 4733 section 2.1)", zap.Int("caller", a.Clock), zap.Int("far", b.Clock))
	}
}

// agreement is what the two sides of a call have told each other, as the door has
// passed it on.
type agreement struct{ toCaller, fromCaller, toFar, fromFar *sdp.Description }

// written is a conversion in words, for comparison; empty if there is none.
func written(up, down []relay.Change) string {
	if up == nil && down == nil {
		return ""
	}
	s := ""
	for _, x := range slices.Concat(up, []relay.Change{{}}, down) {
		s += fmt.Sprint(x.From, ">", x.To, x.Audio != nil, " ")
	}
	return s
}

// keysOf is the first telephone-event of a description.
func keysOf(d *sdp.Description) *sdp.Codec {
	for _, c := range codecsOf(d) {
		if strings.EqualFold(c.Name, "telephone-event") {
			return &c
		}
	}
	return nil
}

// names are a description's codecs, for the log.
func names(d *sdp.Description) string {
	var all []string
	for _, c := range codecsOf(d) {
		all = append(all, strconv.Itoa(int(c.PT))+" "+c.Name)
	}
	return strings.Join(all, ", ")
}

// agreedCodecs is what the caller agreed to speak, by the payload types that the caller
// takes, in the order of what the caller was answered.
func (c *call) agreedCodecs() []sdp.Codec {
	ours, theirs := codecsOf(c.caller.ours), codecsOf(c.caller.theirs)
	if ours == nil {
		return theirs
	}
	var all []sdp.Codec
	for _, o := range ours {
		if i := slices.IndexFunc(theirs, func(t sdp.Codec) bool { return sameCodec(o, t) }); i >= 0 {
			all = append(all, theirs[i])
		}
	}
	return all
}

// movable says whether a place that the call is moved to can be offered anything.
func (c *call) movable() bool { return slices.ContainsFunc(c.agreedCodecs(), isSpeech) }

// moveOffer is the offer to a place that an answered call is moved to: what the
// caller speaks, by the caller's own payload types, and of what the relay
// converts to what that lacks.
func (l *leg) moveOffer() []byte {
	d := blank()
	m := &sdp.Media{Type: "audio", Port: int(l.mediaAddr().Port()), Count: 1, Proto: "RTP/AVP"}
	agreed := l.c.agreedCodecs()
	for _, k := range agreed {
		addCodec(m, k)
	}
	for _, k := range lacking(agreed) {
		addCodec(m, k)
	}
	v, _ := l.c.talking()
	ptime := v.ptime
	if ptime == 0 {
		ptime = 20
	}
	m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: "ptime:" + strconv.Itoa(ptime)}, sdp.Line{Type: 'a', Value: sdp.SendRecv})
	d.Media = []*sdp.Media{m}
	setConnection(d, l.mediaAddr().Addr(), false)
	return l.described(d, l.mediaAddr().Addr(), l.theirs)
}

// lacking is what can be offered beside some codecs because they are converted to
// it: the laws of G.711 that are not among them, by payload types that are free.
func lacking(codecs []sdp.Codec) (more []sdp.Codec) {
	if !slices.ContainsFunc(codecs, converts) {
		return nil
	}
	for _, pt := range []uint8{codec.PayloadPCMU, codec.PayloadPCMA} {
		k, _ := sdp.Static(pt)
		if !slices.ContainsFunc(codecs, func(c sdp.Codec) bool { return sameCodec(c, k) || c.PT == pt }) {
			more = append(more, k)
		}
	}
	return more
}

// addCodec adds a payload type to a section.
func addCodec(m *sdp.Media, k sdp.Codec) {
	pt := strconv.Itoa(int(k.PT))
	m.Formats = append(m.Formats, pt)
	channels := ""
	if k.Channels > 1 {
		channels = "/" + strconv.Itoa(k.Channels)
	}
	m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: "rtpmap:" + pt + " " + k.Name + "/" + strconv.Itoa(k.Clock) + channels})
	switch {
	case k.Fmtp != "":
		m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: "fmtp:" + pt + " " + k.Fmtp})
	case strings.EqualFold(k.Name, "telephone-event"):
		m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: "fmtp:" + pt + " 0-16"})
	}
}

// dropFormat takes a payload type out of a section.
func dropFormat(m *sdp.Media, pt uint8) {
	text := strconv.Itoa(int(pt))
	m.Formats = slices.DeleteFunc(m.Formats, func(f string) bool { return f == text })
	m.Lines = slices.DeleteFunc(m.Lines, func(s sdp.Line) bool {
		name, v, _ := strings.Cut(s.Value, ":")
		of, _, _ := strings.Cut(strings.TrimSpace(v), " ")
		return s.Type == 'a' && of == text && (strings.EqualFold(name, "rtpmap") || strings.EqualFold(name, "fmtp"))
	})
}

// errForeign: nothing that a destination answered can be converted to what the
// caller speaks.
var errForeign = errors.New("it does not speak the caller's codec, nor one that can be converted to it")

// understands says whether a place that the call is moved to speaks what the
// caller does, converted if need be.
func (c *call) understands(answer *sdp.Description) error {
	for _, k := range c.agreedCodecs() {
		if !isSpeech(k) {
			continue
		}
		if _, ok := partner(k, codecsOf(answer)); !ok {
			return errForeign
		}
		return nil // what the caller may change to is the caller's risk
	}
	return errForeign
}

// wider is the other side's offer as this leg's peer gets it. While the call is
// converted that has what this peer speaks too, which the other side's need not.
func (l *leg) wider(offer *sdp.Description) *sdp.Description {
	l.added = nil
	far := l.c.far
	if far == nil || far.converted == "" || audioOf(offer) == nil {
		return offer
	}
	offered, speaks := codecsOf(offer), codecsOf(l.theirs)
	for _, k := range lacking(offered) {
		if slices.ContainsFunc(speaks, func(s sdp.Codec) bool { return sameCodec(s, k) }) {
			l.added = append(l.added, k)
		}
	}
	return adding(offer, l.added)
}

// adding is a description with further codecs in its audio, the least wanted last.
func adding(d *sdp.Description, more []sdp.Codec) *sdp.Description {
	if len(more) == 0 {
		return d
	}
	d = d.Clone()
	m := audioOf(d)
	for _, k := range more {
		addCodec(m, k)
	}
	return d
}

// understood is the answer to an offer that codecs were added to, as whoever made
// the offer gets it: those are taken out, and when none is left that he offered,
// he is answered with the first of his that is converted.
func understood(answer, offer *sdp.Description, added []sdp.Codec) *sdp.Description {
	if len(added) == 0 || audioOf(answer) == nil || audioOf(offer) == nil {
		return answer
	}
	d := answer.Clone()
	m := audioOf(d)
	speech := false
	in := func(list []sdp.Codec, k sdp.Codec) bool {
		return slices.ContainsFunc(list, func(o sdp.Codec) bool { return sameCodec(o, k) })
	}
	for _, k := range m.Codecs() {
		if in(added, k) && !in(codecsOf(offer), k) {
			dropFormat(m, k.PT)
			continue
		}
		speech = speech || isSpeech(k)
	}
	if speech {
		return d
	}
	for _, k := range codecsOf(offer) {
		if !converts(k) {
			continue
		}
		rest, lines := m.Formats, m.Lines
		m.Formats, m.Lines = nil, nil
		addCodec(m, k)
		m.Formats, m.Lines = append(m.Formats, rest...), append(m.Lines, lines...)
		break
	}
	return d
}

// otherLaw says whether a destination that refused the caller's codecs is asked
// again, with codecs beside them that the relay converts to; then the INVITE has
// got them.
func (l *leg) otherLaw(req *sipmsg.Request, res *sipmsg.Response) bool {
	c := l.c
	if res.StatusCode != 488 && res.StatusCode != 606 || !c.answeredAt.IsZero() || l.lateOffer || l.added != nil {
		return false
	}
	offer := c.callerOffer()
	if audioOf(offer) == nil || slices.ContainsFunc(offer.Media, func(m *sdp.Media) bool { return encrypted(m) || m.Secure != nil && m.Secure.Crypto != nil }) { // that may be what was refused
		return false
	}
	if l.added = lacking(codecsOf(offer)); l.added == nil {
		return false
	}
	b := bodyOf(req)
	setBody(req, b.contentType, b.with(l.rewrite(adding(offer, l.added))))
	l.log.Info("a destination refused the caller's codecs: it is asked again with what they are converted to", zap.String("destination", l.dest))
	return true
}

// speaking is a voice that prompts in µ-law can be said with to a caller in
// another codec.
func speaking(sp *relay.Speaker, k sdp.Codec) prompt.Speaker {
	if !strings.EqualFold(k.Name, "G722") {
		return sp
	}
	c, _ := codec.NewConverter("PCMU", k.Name)
	return &converted{Speaker: sp, c: c}
}

// converted is a voice in another codec than it is given.
type converted struct {
	*relay.Speaker
	c *codec.Converter
	b []byte // what is sent: clips are said more than once
}

// Send implements prompt.Speaker.
func (s *converted) Send(payload []byte, position, samples uint32) error {
	s.b = append(s.b[:0], payload...)
	s.c.Convert(s.b)
	return s.Speaker.Send(s.b, position, samples)
}
