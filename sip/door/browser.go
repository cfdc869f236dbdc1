package door

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/media/webrtc"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transport"
)

// browser is what a leg has whose peer speaks WebRTC (RFC 8829, RFC 8834): ICE,
// DTLS-SRTP and everything on one port. Only the wire shows it: where a
// description is read, plain makes ordinary audio of it, and where one is
// written, dress puts on what a browser needs, so that nothing in between, and no
// other leg, knows of it.
type browser struct {
	peer     *webrtc.Peer
	sections []*sdp.Media // as the peer described them last; nil before that
	audio    int          // which of them is relayed
	bundled  bool         // the peer groups them (RFC 9143)
	active   bool         // Portero begins the DTLS handshake (RFC 8842)
}

// protoDTLS are the protocols of audio over DTLS-SRTP (RFC 5764 section 8).
var protoDTLS = []string{"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"}

var errNoG711 = errors.New("a browser is talked to in G.711 only, PCMU or PCMA, and there is none")

// browserAudio is the section of a description that a browser's audio is in, -1
// for none.
func browserAudio(d *sdp.Description) int {
	return slices.IndexFunc(d.Media, func(m *sdp.Media) bool {
		return m.Type == "audio" && slices.Contains(protoDTLS, strings.ToUpper(m.Proto))
	})
}

// speaksWebRTC says whether an offer is a browser's: ICE and DTLS are in it. Who
// offers the same audio in another way too gets that.
func speaksWebRTC(d *sdp.Description) bool {
	i := browserAudio(d)
	if i < 0 || d.Media[i] != anchored(d) {
		return false
	}
	ufrag, _ := attribute(d, d.Media[i], "ice-ufrag")
	print, _ := attribute(d, d.Media[i], "fingerprint")
	return ufrag != "" && print != ""
}

// attribute is a section's, else the session's.
func attribute(d *sdp.Description, m *sdp.Media, name string) (string, bool) {
	if v, ok := m.Attribute(name); ok {
		return v, true
	}
	return (&sdp.Media{Lines: d.Lines}).Attribute(name)
}

// welcome finds out whether the caller's leg is a browser's, before its first
// offer is read.
func (l *leg) welcome(b body) error {
	raw := b.sdp()
	if raw == nil || l.c.d.deps.WebRTC == nil {
		return nil
	}
	d, err := sdp.Parse(raw)
	if err != nil || !speaksWebRTC(d) {
		return nil // reading it says what is wrong
	}
	l.web, err = l.c.newBrowser()
	return err
}

func (c *call) newBrowser() (*browser, error) {
	p, err := c.d.deps.WebRTC.Open(c.log)
	if err != nil {
		return nil, err
	}
	return &browser{peer: p}, nil
}

// reachesBrowser says whether who is called is a browser: it came by WebSocket
// to register (RFC 7118), and browsers are served.
func (c *call) reachesBrowser() bool {
	return c.out.contact && transport.IsWebSocket(c.out.target.transport) && c.d.deps.WebRTC != nil
}

// cipher is the suite that a leg's media is encrypted with; empty for none.
func (l *leg) cipher() string {
	if l.web != nil {
		return l.web.peer.Suite()
	}
	return l.suite
}

// carrier is what brings the browser's media; nil without one.
func (w *browser) carrier() relay.Carrier {
	if w == nil {
		return nil
	}
	return w.peer
}

func (w *browser) close() {
	if w != nil {
		w.peer.Close()
	}
}

// plain makes ordinary audio of a browser's description, and has its leg reached
// as it says: G.711 and keys, nowhere to send to (ICE finds that out), and nothing
// else that it offers.
func (w *browser) plain(d *sdp.Description) (*sdp.Description, error) {
	i := w.audio
	if w.sections == nil {
		i = browserAudio(d)
	}
	if i < 0 || i >= len(d.Media) || d.Media[i].Type != "audio" {
		return nil, errors.New("the audio of a browser is not where it was")
	}
	m := d.Media[i]
	if m.Port != 0 {
		if err := w.know(d, m); err != nil {
			return nil, err
		}
	}
	group, _ := attribute(d, &sdp.Media{}, "group")
	w.sections, w.audio, w.bundled = d.Media, i, strings.HasPrefix(strings.ToUpper(group), "BUNDLE")

	out := &sdp.Description{}
	for _, s := range d.Lines {
		if s.Type != 'c' && s.Type != 'a' {
			out.Lines = append(out.Lines, s)
		}
	}
	audio := speakable(m)
	if m.Port != 0 && len(audio.Formats) == 0 {
		return nil, errNoG711
	}
	if m.Port != 0 {
		audio.Port = 9 // RFC 8840 section 4.1.1; no address is looked at
	}
	audio.Lines = append(audio.Lines, sdp.Line{Type: 'a', Value: browserDirection(d, m)})
	out.Media = []*sdp.Media{audio}
	setConnection(out, nowhere, false)
	return out, nil
}

// nowhere stands for the address of a peer that ICE finds.
var nowhere = netip.MustParseAddr("192.0.2.0")

// know tells the peer what a description says of it.
func (w *browser) know(d *sdp.Description, m *sdp.Media) error {
	if _, mux := m.Attribute("rtcp-mux"); !mux {
		return errors.New("a browser has RTCP on the port of RTP (rtcp-mux)")
	}
	r := webrtc.Remote{}
	r.Ufrag, _ = attribute(d, m, "ice-ufrag")
	r.Pwd, _ = attribute(d, m, "ice-pwd")
	r.Fingerprints = fingerprints(m.Lines)
	if len(r.Fingerprints) == 0 {
		r.Fingerprints = fingerprints(d.Lines)
	}
	setup, _ := attribute(d, m, "setup")
	if w.sections == nil || setup != "actpass" { // an offer in a call does not change the roles
		w.active = setup == "passive"
	}
	r.Passive = w.active
	return w.peer.Know(r)
}

func fingerprints(lines []sdp.Line) (out []string) {
	for _, s := range lines {
		if name, v, _ := strings.Cut(s.Value, ":"); s.Type == 'a' && strings.EqualFold(name, "fingerprint") {
			out = append(out, v)
		}
	}
	return out
}

// browserDirection is a section's; the address that a browser writes, 0.0.0.0
// until it knows better, does not put anybody on hold.
func browserDirection(d *sdp.Description, m *sdp.Media) string {
	for _, lines := range [][]sdp.Line{m.Lines, d.Lines} {
		for _, s := range lines {
			if s.Type == 'a' && slices.Contains([]string{sdp.SendRecv, sdp.SendOnly, sdp.RecvOnly, sdp.Inactive}, s.Value) {
				return s.Value
			}
		}
	}
	return sdp.SendRecv
}

// speakable is an audio section with what a browser and every PBX speak, in the
// order given: G.711, which needs no conversion, and keys at its clock.
func speakable(m *sdp.Media) *sdp.Media {
	out := &sdp.Media{Type: "audio", Count: 1, Proto: "RTP/AVP"}
	if m == nil {
		return out
	}
	spoken := false
	for _, c := range m.Codecs() {
		switch name := strings.ToUpper(c.Name); {
		case c.Clock != 8000:
			continue
		case name == "PCMU" || name == "PCMA":
			spoken = true
		case name != "TELEPHONE-EVENT":
			continue
		}
		pt := fmt.Sprint(c.PT)
		out.Formats = append(out.Formats, pt)
		out.Lines = append(out.Lines, sdp.Line{Type: 'a', Value: fmt.Sprintf("rtpmap:%s %s/8000", pt, c.Name)})
		if c.Fmtp != "" {
			out.Lines = append(out.Lines, sdp.Line{Type: 'a', Value: "fmtp:" + pt + " " + c.Fmtp})
		}
	}
	if !spoken {
		out.Formats, out.Lines = nil, nil
	}
	for _, name := range []string{"ptime", "maxptime"} {
		if v, ok := m.Attribute(name); ok {
			out.Lines = append(out.Lines, sdp.Line{Type: 'a', Value: name + ":" + v})
		}
	}
	return out
}

// dress makes of an ordinary description the one that the browser gets: audio
// over ICE lite and DTLS-SRTP with everything on one port; what else it described
// is declined where it stood, outside the bundle (RFC 9143 section 7.3.3).
func (w *browser) dress(d *sdp.Description) *sdp.Description {
	local, at := w.peer.Local(), w.peer.Addr()
	out := &sdp.Description{}
	for _, s := range d.Lines {
		if s.Type != 'c' && s.Type != 'a' {
			out.Lines = append(out.Lines, s)
		}
	}
	setConnection(out, at.Addr(), false)
	session := func(s string) { out.Lines = append(out.Lines, sdp.Line{Type: 'a', Value: s}) }
	session("ice-lite") // no ice-options: all there is to know of Portero is here
	for i, s := range w.sections {
		if i != w.audio {
			no := declined(s)
			if mid, ok := s.Attribute("mid"); ok {
				no.Lines = []sdp.Line{{Type: 'a', Value: "mid:" + mid}}
			}
			out.Media = append(out.Media, no)
			continue
		}
		out.Media = append(out.Media, w.dressed(d, local, s))
	}
	if w.sections == nil { // the offer is Portero's
		out.Media = []*sdp.Media{w.dressed(d, local, &sdp.Media{Proto: protoDTLS[0], Lines: []sdp.Line{{Type: 'a', Value: "mid:0"}}})}
	}
	audio := out.Media[w.audio]
	if mid, ok := audio.Attribute("mid"); ok && audio.Port != 0 && (w.bundled || w.sections == nil) {
		session("group:BUNDLE " + mid)
	}
	return out
}

// dressed is the audio section of dress, in the place of the browser's own.
func (w *browser) dressed(d *sdp.Description, local webrtc.Local, theirs *sdp.Media) *sdp.Media {
	m := anchored(d)
	if m == nil || m.Type != "audio" {
		m = &sdp.Media{}
	}
	out := speakable(m)
	out.Proto = theirs.Proto
	mid, named := theirs.Attribute("mid")
	var head []sdp.Line
	add := func(s string) { head = append(head, sdp.Line{Type: 'a', Value: s}) }
	if named {
		add("mid:" + mid)
	}
	if m.Port == 0 || len(out.Formats) == 0 {
		if len(out.Formats) == 0 {
			out.Formats = []string{"0"}
		}
		out.Port, out.Lines = 0, head
		return out
	}
	out.Port = int(w.peer.Addr().Port())
	add("rtcp-mux")
	add("ice-ufrag:" + local.Ufrag)
	add("ice-pwd:" + local.Pwd)
	add("fingerprint:" + local.Fingerprint)
	switch {
	case w.sections == nil:
		add("setup:actpass")
	case w.active:
		add("setup:active")
	default:
		add("setup:passive")
	}
	for _, c := range local.Candidates {
		add("candidate:" + c)
	}
	add("end-of-candidates")
	add("msid:portero audio")
	out.Lines = append(head, out.Lines...)
	out.Lines = append(out.Lines, sdp.Line{Type: 'a', Value: d.Direction(m)})
	return out
}

// lostBrowser says which leg's browser is there no more, and why.
func (c *call) lostBrowser(now time.Time) (*leg, error) {
	for _, l := range []*leg{c.caller, c.far} {
		if l == nil || l.web == nil || l.state != legUp {
			continue
		}
		if err := l.web.peer.Lost(c.answeredAt, now); err != nil {
			l.log.Warn("a browser is lost", zap.String("leg", l.role), zap.Error(err))
			return l, err
		}
	}
	return nil, nil
}
