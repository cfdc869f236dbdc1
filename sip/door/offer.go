package door

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/sip/sdp"
)

// hidden are attributes that describe one leg's transport and would be wrong
// on the other, whose media goes through the relay (RFC 8839 ICE, RFC 3605, RFC
// 5761, RFC 9143 BUNDLE). What becomes of SRTP's keys is told in secure.go.
var hidden = map[string]bool{
	"ice-pacing": true, "bundle-only": true,
	"candidate": true, "ice-ufrag": true, "ice-pwd": true, "ice-options": true, "ice-lite": true, "ice-mismatch": true,
	"end-of-candidates": true, "remote-candidates": true, "rtcp": true, "rtcp-mux": true, "rtcp-mux-only": true,
}

// read parses a message's session description, nil if it has none, and takes its
// encryption off.
func (l *leg) read(b body) (*sdp.Description, error) {
	raw := b.sdp()
	if raw == nil {
		return nil, nil
	}
	d, err := sdp.Parse(raw)
	if err != nil {
		return nil, err
	}
	if l.web != nil {
		return l.web.plain(d)
	}
	return l.undressed(d)
}

// anchored is the media section that goes through the relay, which carries one
// stream: the first plain audio, else the first audio or fax (T.38) that is
// switched on. Who offers the same audio encrypted and plain (SRTP at best
// effort), or voice and fax, so gets what every PBX takes.
func anchored(d *sdp.Description) *sdp.Media {
	var other *sdp.Media
	for _, m := range d.Media {
		switch {
		case m.Port == 0:
		case m.Type == "audio" && !encrypted(m):
			return m
		case other == nil && (m.Type == "audio" || m.Type == "image"):
			other = m
		}
	}
	if other != nil {
		return other
	}
	return d.Audio()
}

// answering is an answer with its sections where the offer has them (RFC 3264
// section 6): a side that leaves out what it declines, or answers out of order,
// is put right before the other side sees it.
func answering(answer, offer *sdp.Description) *sdp.Description {
	same := func(a, o *sdp.Media) bool { return a.Type == o.Type && strings.EqualFold(a.Proto, o.Proto) }
	if offer == nil || slices.EqualFunc(answer.Media, offer.Media, same) {
		return answer
	}
	rest := slices.Clone(answer.Media)
	d := &sdp.Description{Lines: answer.Lines}
	for _, o := range offer.Media {
		i := slices.IndexFunc(rest, func(a *sdp.Media) bool { return same(a, o) })
		if i < 0 {
			d.Media = append(d.Media, declined(o))
			continue
		}
		d.Media = append(d.Media, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return d
}

// declined is a section that says no to an offered one.
func declined(o *sdp.Media) *sdp.Media {
	return &sdp.Media{Type: o.Type, Proto: o.Proto, Count: 1, Formats: slices.Clone(o.Formats)}
}

// rewriteAnswer is rewrite for the answer to this leg's peer's offer.
func (l *leg) rewriteAnswer(answer, offer *sdp.Description) []byte {
	if offer != nil {
		l.mux = muxes(offer)
	}
	if other := l.c.other(l); other != nil {
		answer = understood(answer, offer, other.added)
	}
	return l.rewriteAt(answering(answer, offer), l.mediaAddr(), cmp.Or(offer, l.theirs))
}

// inRefusal is a body for a response that refuses, as this leg's peer gets it: a
// description in it says what the other side could do (488) or lacks (580). It
// agrees to nothing, and this leg's own description stays as it is.
func (l *leg) inRefusal(b body) []byte {
	raw := b.sdp()
	if raw == nil {
		return b.data
	}
	d, err := sdp.Parse(raw)
	if err != nil {
		return b.data
	}
	view := *l
	if l.srtp != "" && l.srtp != srtpPass {
		view.srtp = srtpOff
		dropKeys(d) // none is agreed on, and none crosses
	}
	return b.with(view.rewriteAt(d, l.mediaAddr(), nil))
}

// rewrite turns the other side's description into the one this leg's peer gets:
// everything as it was, but media comes from and goes to the relay, and what is
// not relayed is declined (RFC 3264 section 6).
func (l *leg) rewrite(in *sdp.Description) []byte { return l.rewriteAt(in, l.mediaAddr(), l.theirs) }

func (l *leg) rewriteAt(in *sdp.Description, at netip.AddrPort, toward *sdp.Description) []byte {
	if l.theirs == nil { // an offer: what the other side can do, the relay can
		l.mux = muxes(in)
	}
	d := in.Clone()
	main := slices.Index(in.Media, anchored(in))
	held := false
	for i, m := range d.Media {
		m.Secure = nil // the other side's
		if i != main {
			d.Media[i] = declined(m)
			continue
		}
		if a, err := in.RTP(in.Media[i]); err == nil && a.Addr().IsUnspecified() {
			held = true // the old spelling of hold stays one (RFC 3264 section 8.4)
		}
		if m.Port != 0 {
			m.Port, m.Count = int(at.Port()), 1
		}
		m.Lines = slices.DeleteFunc(m.Lines, func(s sdp.Line) bool {
			name, _, _ := strings.Cut(s.Value, ":")
			return s.Type == 'c' || s.Type == 'a' && hidden[strings.ToLower(name)]
		})
	}
	d.Lines = slices.DeleteFunc(d.Lines, func(s sdp.Line) bool {
		name, _, _ := strings.Cut(s.Value, ":")
		return s.Type == 'c' || s.Type == 'a' && (hidden[strings.ToLower(name)] || strings.EqualFold(name, "group"))
	})
	setConnection(d, at.Addr(), held)
	return l.described(d, at.Addr(), toward)
}

// setConnection puts the session's connection line where it belongs: after the
// lines that RFC 8866 section 5 puts before it.
func setConnection(d *sdp.Description, a netip.Addr, held bool) {
	family, text := "IP4", a.String()
	if a.Is6() && !a.Is4In6() {
		family = "IP6"
	}
	if held {
		text = "0.0.0.0"
		if family == "IP6" {
			text = "::"
		}
	}
	pos := 0
	for pos < len(d.Lines) && strings.IndexByte("vosiuep", d.Lines[pos].Type) >= 0 {
		pos++
	}
	d.Lines = slices.Insert(d.Lines, pos, sdp.Line{Type: 'c', Value: "IN " + family + " " + text})
}

// settleMedia tells the relay where this leg's peer wants its media.
func (l *leg) settleMedia(d *sdp.Description) {
	if d == nil {
		return
	}
	l.theirs, l.mux = d, muxes(d)
	m := anchored(d)
	if m == nil || m.Port == 0 {
		return
	}
	l.settleKeys(m)
	rtp, err := d.RTP(m)
	if err != nil {
		return // a name: what arrives tells where to send
	}
	rtcp, err := d.RTCP(m)
	if err != nil {
		rtcp = netip.AddrPort{}
	}
	l.setRemote(rtp, rtcp)
}

// muxes says whether RTCP may come on RTP's port (RFC 5761).
func muxes(d *sdp.Description) bool {
	m := anchored(d)
	if m == nil {
		return false
	}
	_, ok := m.Attribute("rtcp-mux")
	return ok
}

// encrypted says whether a section's packets are SRTP (RFC 3711).
func encrypted(m *sdp.Media) bool { return strings.Contains(strings.ToUpper(m.Proto), "SAVP") }

// voice is how the caller and the door, or a destination, talk to each other.
type voice struct {
	audio sdp.Codec // PCMU or PCMA, else G722, for what the door says itself
	event sdp.Codec // telephone-event; PT 0 and no name if there is none
	ptime int
}

// common finds what the door itself can speak in an offer or answer.
func common(d *sdp.Description) (v voice, ok bool) {
	if d == nil {
		return v, false
	}
	m := d.Audio()
	if m == nil || m.Port == 0 || keyed(m) || strings.ToUpper(m.Proto) != "RTP/AVP" && strings.ToUpper(m.Proto) != "RTP/AVPF" {
		return v, false
	}
	var wide sdp.Codec // G.722, for who has no G.711
	for _, c := range m.Codecs() {
		switch strings.ToUpper(c.Name) {
		case "PCMU", "PCMA":
			if v.audio.Name == "" && c.Clock == 8000 {
				v.audio = c
			}
		case "G722":
			wide = c
		case "TELEPHONE-EVENT":
			if v.event.Name == "" && c.Clock == 8000 {
				v.event = c
			}
		}
	}
	if v.audio.Name == "" && wide.Clock == 8000 {
		v.audio = wide
	}
	v.ptime = m.Ptime()
	if text, _ := m.Attribute("maxptime"); text != "" {
		if most, err := strconv.Atoi(text); err == nil && most > 0 && (v.ptime > most || v.ptime == 0 && most < 20) {
			v.ptime = most
		}
	}
	return v, v.audio.Name != ""
}

// spoken is what the door offers when it has to make the offer itself.
var spoken = voice{
	audio: sdp.Codec{PT: 0, Name: "PCMU", Clock: 8000},
	event: sdp.Codec{PT: 101, Name: "telephone-event", Clock: 8000, Fmtp: "0-16"},
}

// ownAnswer answers an offer on the door's behalf: G.711, or G.722 when there is
// none, and keys; everything else declined.
func (l *leg) ownAnswer(offer *sdp.Description) ([]byte, voice, bool) {
	v, ok := common(offer)
	if !ok {
		return nil, v, false
	}
	main := offer.Audio()
	l.mux = muxes(offer)
	d := blank()
	for _, m := range offer.Media {
		if m == main {
			d.Media = append(d.Media, l.audio(v, sdp.Mirror(offer.Direction(m))))
			continue
		}
		d.Media = append(d.Media, declined(m))
	}
	setConnection(d, l.mediaAddr().Addr(), false)
	return l.described(d, l.mediaAddr().Addr(), offer), v, true
}

// ownOffer is an offer on the door's behalf. With a voice given, only that is
// offered: whoever is called next must speak what the caller already speaks.
func (l *leg) ownOffer(v voice, more bool) []byte {
	d := blank()
	m := l.audio(v, sdp.SendRecv)
	if more && v.audio.Name == "PCMU" { // both laws, in our order
		m.Formats = slices.Insert(m.Formats, 1, "8")
		m.Lines = slices.Insert(m.Lines, 1, sdp.Line{Type: 'a', Value: "rtpmap:8 PCMA/8000"})
	}
	d.Media = []*sdp.Media{m}
	setConnection(d, l.mediaAddr().Addr(), false)
	return l.described(d, l.mediaAddr().Addr(), l.theirs)
}

func blank() *sdp.Description {
	return &sdp.Description{Lines: []sdp.Line{{Type: 'v', Value: "0"}, {Type: 's', Value: "-"}, {Type: 't', Value: "0 0"}}}
}

func (l *leg) audio(v voice, direction string) *sdp.Media {
	pt := strconv.Itoa(int(v.audio.PT))
	m := &sdp.Media{Type: "audio", Port: int(l.mediaAddr().Port()), Count: 1, Proto: "RTP/AVP", Formats: []string{pt}}
	add := func(s string) { m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: s}) }
	add("rtpmap:" + pt + " " + v.audio.Name + "/8000")
	if v.event.Name != "" {
		ev := strconv.Itoa(int(v.event.PT))
		m.Formats = append(m.Formats, ev)
		add("rtpmap:" + ev + " telephone-event/8000")
		fmtp := v.event.Fmtp
		if fmtp == "" {
			fmtp = "0-16"
		}
		add("fmtp:" + ev + " " + fmtp)
	}
	add("ptime:" + strconv.FormatInt(prompt.Packet(v.ptime).Milliseconds(), 10))
	add(direction)
	return m
}

// sameFormats says whether two descriptions take the same payload types.
func sameFormats(a, b *sdp.Description) bool {
	if a == nil || b == nil {
		return a == b
	}
	ma, mb := anchored(a), anchored(b)
	return ma != nil && mb != nil && slices.Equal(ma.Formats, mb.Formats)
}

// talking is what the caller's leg was last agreed to speak.
func (c *call) talking() (voice, bool) {
	if v, ok := common(c.caller.ours); ok {
		if t, ok := common(c.caller.theirs); ok {
			if t.event.Name == "" {
				v.event = sdp.Codec{}
			}
			v.ptime = t.ptime // what is sent is as long as the receiver wants it (RFC 8866 section 6.4)
		}
		return v, true
	}
	return common(c.caller.theirs)
}
