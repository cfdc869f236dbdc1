package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A description is what a script says of a session description: codecs, the
// address of the media, a direction.
type description struct {
	codecs    []string
	address   netip.AddrPort // zero: the agent's own; port 0: any, or 40000
	direction string
}

// formats are the payload types and rtpmaps of the codecs that a script may
// name (RFC 3551 section 6; those above 95 by custom).
var formats = map[string]struct {
	pt     string
	rtpmap string
}{
	"pcmu": {"0", "PCMU/8000"}, "pcma": {"8", "PCMA/8000"}, "g722": {"9", "G722/8000"}, "g729": {"18", "G729/8000"},
	"opus": {"111", "opus/48000/2"}, "dtmf": {"101", "telephone-event/8000"},
}

var directions = []string{"sendrecv", "sendonly", "recvonly", "inactive"}

// parseDescription reads the words between sdp( and ).
func parseDescription(words []string) (*description, error) {
	d := &description{}
	for _, w := range words {
		switch {
		case formats[w].pt != "":
			d.codecs = append(d.codecs, w)
		case slices.Contains(directions, w):
			d.direction = w
		default:
			a, err := netip.ParseAddrPort(w)
			if alone, e := netip.ParseAddr(w); e == nil {
				a, err = netip.AddrPortFrom(alone, 0), nil
			}
			if err != nil {
				return nil, fmt.Errorf("sdp(%s): not a codec (pcmu, pcma, g722, g729, opus, dtmf), a direction, an address or an address:port", w)
			}
			d.address = a
		}
	}
	return d, nil
}

// text is the session description (RFC 8866). The version rises with every other
// description of a call, as RFC 3264 section 8 asks.
func (d *description) text(own netip.AddrPort, version int) string {
	at := d.address
	if !at.IsValid() {
		at = netip.AddrPortFrom(own.Addr(), 0)
	}
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), 40000)
	}
	codecs := d.codecs
	if len(codecs) == 0 {
		codecs = []string{"pcmu"}
	}
	family := "IP4"
	if at.Addr().Is6() {
		family = "IP6"
	}
	var pts, maps []string
	for _, c := range codecs {
		pts = append(pts, formats[c].pt)
		maps = append(maps, "a=rtpmap:"+formats[c].pt+" "+formats[c].rtpmap+"\r\n")
	}
	s := fmt.Sprintf("v=0\r\no=- 7001 %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\n%s",
		version, family, at.Addr(), family, at.Addr(), at.Port(), strings.Join(pts, " "), strings.Join(maps, ""))
	if d.direction != "" {
		s += "a=" + d.direction + "\r\n"
	}
	return s
}

// matches says what a received body lacks of the description, nil for nothing.
// Without an address any will do; without a direction sendrecv is not asked.
func (d *description) matches(body string) error {
	if !strings.HasPrefix(body, "v=0\r\n") {
		return fmt.Errorf("no session description is there")
	}
	audio := line(body, "m=audio ")
	if audio == "" {
		return fmt.Errorf("the session description has no audio")
	}
	for _, c := range d.codecs {
		if !slices.Contains(strings.Fields(audio)[1:], formats[c].pt) {
			return fmt.Errorf("%s is not offered: m=audio %s", c, audio)
		}
	}
	if d.direction != "" && d.direction != direction(body) {
		return fmt.Errorf("the direction is %s, not %s", direction(body), d.direction)
	}
	if want := strings.TrimSuffix(d.address.String(), ":0"); d.address.IsValid() && !glob(want+"*", mediaAddress(body)) {
		return fmt.Errorf("the media address is %s, not %s", mediaAddress(body), want)
	}
	return nil
}

// direction is that of a description with one stream (RFC 3264 section 5.1).
func direction(body string) string {
	for _, l := range strings.Split(body, "\r\n") {
		if a, ok := strings.CutPrefix(l, "a="); ok && slices.Contains(directions, a) {
			return a
		}
	}
	return "sendrecv"
}

// mediaAddress is where a description wants its first audio stream.
func mediaAddress(body string) string {
	_, after, _ := strings.Cut(body, "m=audio")
	c := line(after, "c=")
	if c == "" {
		c = line(body, "c=")
	}
	f, p := strings.Fields(c), strings.Fields(line(body, "m=audio "))
	if len(f) < 3 || len(p) < 1 {
		return ""
	}
	return f[2] + ":" + p[0]
}

// line is the rest of the first line with a prefix.
func line(body, prefix string) string {
	for _, l := range strings.Split(body, "\r\n") {
		if rest, ok := strings.CutPrefix(l, prefix); ok {
			return rest
		}
	}
	return ""
}
