package trace

import (
	"net/netip"
	"slices"
	"strings"
)

// flags are what happened in a call, one bit each.
type flags uint64

// In the order in which they are told.
const (
	flagAuth flags = 1 << iota
	flagReinvite
	flagHold
	flag183
	flagEarlyMediaSDP
	flagLateOffer
	flagRefer
	flagReferTo
	flagNotify
	flagReplaces
	flagPrack
	flag100rel
	flagUpdate
	flagInfo
	flagMessage
	flagSessionTimer
	flagMultipleEarlyDialogs
	flagMultiHop
	flagVideo
	flagT38
	flagCancel
	flagFork200
	flagSRTP
	flagICE
	flagSIPREC
	flagNoCallID
	flagNoInvite
	flagEnd
)

var flagNames = [...]string{
	"auth", "reinvite", "hold", "183", "early_media_sdp", "late_offer", "refer", "refer_to", "notify", "replaces",
	"prack", "100rel", "update", "info", "message", "session_timer", "multiple_early_dialogs", "multi_hop", "video",
	"t38", "cancel", "forked_answers", "srtp", "ice", "siprec", "no_call_id", "no_invite",
}

// names lists the flags that are set.
func (f flags) names() []string {
	out := []string{}
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// byMethod is what a request's method alone says.
var byMethod = map[string]flags{
	"REFER": flagRefer, "NOTIFY": flagNotify, "PRACK": flagPrack, "UPDATE": flagUpdate,
	"INFO": flagInfo, "MESSAGE": flagMessage, "CANCEL": flagCancel,
}

// maxTags bounds the To tags noted of a call's responses.
const maxTags = 16

// mark notes what a message says of the way the call went.
func (c *call) mark(m *message) {
	c.flags |= m.flags
	if m.callID == "" {
		c.flags |= flagNoCallID
	}
	if m.code == 0 {
		c.flags |= byMethod[m.method]
		if m.method == "INVITE" {
			switch {
			case m.to.tag != "":
				c.flags |= flagReinvite
			case m.length != 0 && len(m.body) > 0: // it makes the offer, or another body does
			default:
				c.flags |= flagLateOffer
			}
		}
		return
	}
	switch {
	case m.code == 401, m.code == 407:
		c.flags |= flagAuth
	case m.cseqMethod != "INVITE":
	case m.code > 100 && m.code < 200:
		if m.code == 183 {
			c.flags |= flag183
		}
		if m.description() != nil {
			c.flags |= flagEarlyMediaSDP
		}
		if c.fork(m) && note(&c.early, m.to.tag) && len(c.early) > 1 {
			c.flags |= flagMultipleEarlyDialogs
		}
	case m.code >= 200 && m.code < 300:
		if c.fork(m) && note(&c.answers, m.to.tag) && len(c.answers) > 1 {
			c.flags |= flagFork200
		}
	}
}

// fork says whether a response is to an INVITE that may fork: the other side's own
// may have the same number.
func (c *call) fork(m *message) bool {
	return m.to.tag != "" && m.from.tag == c.from.tag && slices.Contains(c.initial, m.cseq)
}

// note adds a text to a short list and says whether it was new.
func note(list *[]string, s string) bool {
	if len(*list) >= maxTags || slices.Contains(*list, s) {
		return false
	}
	*list = append(*list, strings.Clone(s))
	return true
}

// maxCodecNames bounds the codecs told of a call.
const maxCodecNames = 64

// markMedia notes what a session description says. Only what a request asks for
// is a hold: who is asked to receive alone answers that it sends alone.
func (c *call) markMedia(d *described, request bool) {
	for i, m := range d.Media {
		proto := strings.ToUpper(m.Proto)
		switch {
		case m.Type == "video":
			c.flags |= flagVideo
		case m.Type == "image" && len(m.Formats) > 0 && strings.EqualFold(m.Formats[0], "t38"),
			strings.Contains(proto, "UDPTL"):
			c.flags |= flagT38
		}
		if request && (m.Type == "audio" || m.Type == "video") {
			if dir := d.Direction(m); dir == "sendonly" || dir == "inactive" {
				c.flags |= flagHold
			}
			if a, err := d.RTP(m); err == nil && a.Addr() == netip.IPv4Unspecified() { // RFC 2543's way
				c.flags |= flagHold
			}
		}
		for _, l := range m.Lines {
			if l.Type == 'a' && strings.HasPrefix(l.Value, "rtpmap:") {
				_, encoding, _ := strings.Cut(l.Value, " ")
				name, _, _ := strings.Cut(strings.TrimSpace(encoding), "/")
				c.offers(&c.mapped, name)
			}
		}
		if m.Port == 0 {
			continue
		}
		if strings.Contains(proto, "SAVP") {
			c.flags |= flagSRTP
		}
		if _, ok := m.Attribute("candidate"); ok {
			c.flags |= flagICE
		}
		for _, k := range d.codecs[i] {
			c.offers(&c.codecs, k.Name)
		}
	}
}

// offers notes the name of a codec.
func (c *call) offers(list *[]string, name string) {
	if name != "" && len(*list) < maxCodecNames && !slices.Contains(*list, name) {
		*list = append(*list, strings.Clone(name))
	}
}
