// Package sdp reads and rewrites session descriptions (RFC 8866) line by line.
//
// A door must hand on what it does not understand, so a Description keeps every
// line it was given, in its order, and writes it back byte for byte except for
// what was changed on purpose. It refuses only what it cannot place: an empty
// body, a line that is not "x=...", a media line without a port.
package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxSize is the largest body that is parsed, bytes.
const MaxSize = 64 << 10

// maxMedia bounds the media sections of one description.
const maxMedia = 32

// Line is one line of a description without its end.
type Line struct {
	Type  byte   // 'v', 'o', 's', 'c', 'a', ...
	Value string // after the '='
}

// Description is a session description: the session's lines, then its media.
type Description struct {
	Lines []Line
	Media []*Media
}

// Media is one media section.
type Media struct {
	Type    string   // audio, video, image, ...
	Port    int      // 0: declined or switched off
	Count   int      // number of ports, 1 unless "port/count" was given
	Proto   string   // RTP/AVP, RTP/SAVP, udptl, ...
	Formats []string // payload types, for RTP
	Lines   []Line   // the lines after m=

	// Secure is set by who takes a section's encryption off (sip/door), and is not
	// written: Proto and Lines are those of the plain section then.
	Secure *Secure
}

// Parse reads a description. It accepts CRLF, LF and a last line without an
// end, and ignores empty lines.
func Parse(body []byte) (*Description, error) {
	if len(body) > MaxSize {
		return nil, fmt.Errorf("sdp: %d bytes, at most %d are read", len(body), MaxSize)
	}
	// The strings are cut out of one, and the lines of all sections stand in one
	// array: a capture holds many descriptions.
	text := string(body)
	lines := make([]Line, 0, strings.Count(text, "\n")+1)
	d := &Description{}
	var m *Media
	from := 0 // of lines: where the section begins
	end := func() {
		if of := lines[from:len(lines):len(lines)]; m != nil {
			m.Lines = of
		} else {
			d.Lines = of
		}
		from = len(lines)
	}
	n := 0
	for len(text) > 0 {
		var raw string
		raw, text, _ = strings.Cut(text, "\n")
		raw = strings.TrimRight(raw, "\r")
		n++
		if strings.TrimSpace(raw) == "" {
			continue
		}
		if len(raw) < 2 || raw[1] != '=' {
			return nil, fmt.Errorf("sdp: line %d %.40q is not of the form x=value", n, raw)
		}
		l := Line{Type: raw[0], Value: raw[2:]}
		if l.Type != 'm' {
			lines = append(lines, l)
			continue
		}
		if len(d.Media) == maxMedia {
			return nil, fmt.Errorf("sdp: line %d: more than %d media sections", n, maxMedia)
		}
		end()
		var err error
		if m, err = parseMedia(l.Value); err != nil {
			return nil, fmt.Errorf("sdp: line %d: %w", n, err)
		}
		d.Media = append(d.Media, m)
	}
	end()
	if n == 0 || len(d.Lines) == 0 {
		return nil, errors.New("sdp: empty description")
	}
	return d, nil
}

func parseMedia(v string) (*Media, error) {
	f := strings.Fields(v)
	if len(f) < 3 {
		return nil, fmt.Errorf("media line %.40q needs type, port and protocol", v)
	}
	port, count, hasCount := strings.Cut(f[1], "/")
	m := &Media{Type: f[0], Count: 1, Proto: f[2], Formats: f[3:]}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("media port %.20q is not a number from 0 to 65535", port)
	}
	m.Port = int(p)
	if hasCount {
		c, err := strconv.ParseUint(count, 10, 8)
		if err != nil || c == 0 {
			return nil, fmt.Errorf("media port count %.20q is not a number from 1 to 255", count)
		}
		m.Count = int(c)
	}
	return m, nil
}

// Bytes writes the description with CRLF line ends.
func (d *Description) Bytes() []byte {
	var b bytes.Buffer
	write := func(lines []Line) {
		for _, l := range lines {
			b.WriteByte(l.Type)
			b.WriteByte('=')
			b.WriteString(l.Value)
			b.WriteString("\r\n")
		}
	}
	write(d.Lines)
	for _, m := range d.Media {
		b.WriteString("m=" + m.Type + " " + strconv.Itoa(m.Port))
		if m.Count > 1 {
			b.WriteString("/" + strconv.Itoa(m.Count))
		}
		b.WriteString(" " + m.Proto)
		for _, f := range m.Formats {
			b.WriteString(" " + f)
		}
		b.WriteString("\r\n")
		write(m.Lines)
	}
	return b.Bytes()
}

// Clone copies the description so that one can be changed and the other kept.
func (d *Description) Clone() *Description {
	c := &Description{Lines: append([]Line(nil), d.Lines...)}
	for _, m := range d.Media {
		n := *m
		n.Formats = append([]string(nil), m.Formats...)
		n.Lines = append([]Line(nil), m.Lines...)
		c.Media = append(c.Media, &n)
	}
	return c
}

// Audio returns the first audio section that is switched on, else the first
// audio section, else nil.
func (d *Description) Audio() *Media {
	var first *Media
	for _, m := range d.Media {
		if m.Type != "audio" {
			continue
		}
		if m.Port != 0 {
			return m
		}
		if first == nil {
			first = m
		}
	}
	return first
}

func first(lines []Line, typ byte) (string, bool) {
	for _, l := range lines {
		if l.Type == typ {
			return l.Value, true
		}
	}
	return "", false
}

func connection(v string) (netip.Addr, error) {
	f := strings.Fields(v)
	if len(f) != 3 || f[0] != "IN" {
		return netip.Addr{}, fmt.Errorf("sdp: connection line %.60q is not \"IN IP4|IP6 address\"", v)
	}
	host, _, _ := strings.Cut(f[2], "/") // TTL of a multicast address
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("sdp: connection address %.60q is not an IP address", f[2])
	}
	return a, nil
}

// RTP returns where the section wants its RTP: its own connection line, else
// the session's (RFC 8866 section 5.7), and its port.
func (d *Description) RTP(m *Media) (netip.AddrPort, error) {
	v, ok := first(m.Lines, 'c')
	if !ok {
		if v, ok = first(d.Lines, 'c'); !ok {
			return netip.AddrPort{}, errors.New("sdp: no connection line (c=) for the media")
		}
	}
	a, err := connection(v)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(a, uint16(m.Port)), nil
}

// RTCP returns where the section wants its RTCP: a=rtcp (RFC 3605), the RTP
// port with a=rtcp-mux (RFC 5761), else the port after it.
func (d *Description) RTCP(m *Media) (netip.AddrPort, error) {
	rtp, err := d.RTP(m)
	if err != nil {
		return rtp, err
	}
	if _, mux := m.Attribute("rtcp-mux"); mux {
		return rtp, nil
	}
	next := netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)
	v, ok := m.Attribute("rtcp")
	if !ok {
		return next, nil
	}
	f := strings.Fields(v)
	if len(f) == 0 {
		return next, nil
	}
	p, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil || p == 0 {
		return next, fmt.Errorf("sdp: a=rtcp:%.40s has no port from 1 to 65535", v)
	}
	if len(f) == 4 {
		a, err := connection(strings.Join(f[1:], " "))
		if err != nil {
			return next, err
		}
		return netip.AddrPortFrom(a, uint16(p)), nil
	}
	return netip.AddrPortFrom(rtp.Addr(), uint16(p)), nil
}

// Directions of a stream (RFC 3264 section 5.1, RFC 8866 section 6.7).
const (
	SendRecv = "sendrecv"
	SendOnly = "sendonly"
	RecvOnly = "recvonly"
	Inactive = "inactive"
)

// Direction returns the section's direction, else the session's, else sendrecv.
// A connection address of 0.0.0.0 or :: is the old spelling of hold (RFC 3264
// section 8.4): what would be received goes nowhere.
func (d *Description) Direction(m *Media) string {
	dir := direction(m.Lines)
	if dir == "" {
		dir = direction(d.Lines)
	}
	if dir == "" {
		dir = SendRecv
	}
	if a, err := d.RTP(m); err == nil && a.Addr().IsUnspecified() {
		switch dir {
		case SendRecv:
			return SendOnly
		case RecvOnly:
			return Inactive
		}
	}
	return dir
}

func direction(lines []Line) string {
	for _, l := range lines {
		if l.Type != 'a' {
			continue
		}
		switch v := strings.TrimSpace(l.Value); v {
		case SendRecv, SendOnly, RecvOnly, Inactive:
			return v
		}
	}
	return ""
}

// Mirror returns the direction an answerer uses who agrees to all (RFC 3264
// section 6.1).
func Mirror(dir string) string {
	switch dir {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	}
	return dir
}

// Attribute returns the section's first attribute of that name and its value,
// which is empty for a flag.
func (m *Media) Attribute(name string) (string, bool) {
	for _, l := range m.Lines {
		if l.Type != 'a' {
			continue
		}
		n, v, _ := strings.Cut(l.Value, ":")
		if strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// Ptime returns the packet time in ms, or 0 where the section does not say.
func (m *Media) Ptime() int {
	v, _ := m.Attribute("ptime")
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 1000 {
		return 0
	}
	return n
}
