package sdp

import (
	"strconv"
	"strings"
)

// Codec is one payload type of an RTP section.
type Codec struct {
	PT       uint8
	Name     string // encoding name as in a=rtpmap, or RFC 3551's for a static type
	Clock    int    // RTP clock rate, Hz; 0 if unknown
	Channels int
	Fmtp     string // format parameters (a=fmtp), as given
}

// static are the audio and video payload types of RFC 3551 section 6.
var static = map[uint8]Codec{
	0:  {Name: "PCMU", Clock: 8000, Channels: 1},
	3:  {Name: "GSM", Clock: 8000, Channels: 1},
	4:  {Name: "G723", Clock: 8000, Channels: 1},
	5:  {Name: "DVI4", Clock: 8000, Channels: 1},
	6:  {Name: "DVI4", Clock: 16000, Channels: 1},
	7:  {Name: "LPC", Clock: 8000, Channels: 1},
	8:  {Name: "PCMA", Clock: 8000, Channels: 1},
	9:  {Name: "G722", Clock: 8000, Channels: 1}, // 16 kHz audio, 8 kHz clock by an old mistake
	10: {Name: "L16", Clock: 44100, Channels: 2},
	11: {Name: "L16", Clock: 44100, Channels: 1},
	12: {Name: "QCELP", Clock: 8000, Channels: 1},
	13: {Name: "CN", Clock: 8000, Channels: 1},
	14: {Name: "MPA", Clock: 90000, Channels: 1},
	15: {Name: "G728", Clock: 8000, Channels: 1},
	16: {Name: "DVI4", Clock: 11025, Channels: 1},
	17: {Name: "DVI4", Clock: 22050, Channels: 1},
	18: {Name: "G729", Clock: 8000, Channels: 1},
	25: {Name: "CelB", Clock: 90000},
	26: {Name: "JPEG", Clock: 90000},
	28: {Name: "nv", Clock: 90000},
	31: {Name: "H261", Clock: 90000},
	32: {Name: "MPV", Clock: 90000},
	33: {Name: "MP2T", Clock: 90000},
	34: {Name: "H263", Clock: 90000},
}

// Static returns RFC 3551's assignment of a payload type.
func Static(pt uint8) (Codec, bool) {
	c, ok := static[pt]
	c.PT = pt
	return c, ok
}

// Codecs lists the section's payload types in its order of preference.
func (m *Media) Codecs() []Codec {
	if !strings.Contains(strings.ToUpper(m.Proto), "RTP") {
		return nil
	}
	out := make([]Codec, 0, len(m.Formats))
	for _, f := range m.Formats {
		if n, err := strconv.ParseUint(f, 10, 7); err == nil {
			c, _ := Static(uint8(n))
			out = append(out, c)
		}
	}
	for _, l := range m.Lines {
		if l.Type != 'a' || len(l.Value) < 6 || !strings.ContainsRune("rRfF ", rune(l.Value[0])) {
			continue // most attributes are others
		}
		name, v, _ := strings.Cut(l.Value, ":")
		name = strings.TrimSpace(name)
		rtpmap := strings.EqualFold(name, "rtpmap")
		if !rtpmap && !strings.EqualFold(name, "fmtp") {
			continue
		}
		of, v, _ := strings.Cut(strings.TrimSpace(v), " ")
		pt, err := strconv.ParseUint(of, 10, 7)
		if err != nil {
			continue
		}
		for i := range out {
			if out[i].PT == uint8(pt) {
				out[i].describe(rtpmap, strings.TrimSpace(v))
			}
		}
	}
	return out
}

// describe takes what an attribute says of the payload type.
func (c *Codec) describe(rtpmap bool, v string) {
	if !rtpmap {
		c.Fmtp = v
		return
	}
	encoding, rest, clocked := strings.Cut(v, "/")
	c.Name, c.Channels = strings.TrimSpace(encoding), 1
	if !clocked {
		return
	}
	clock, channels, several := strings.Cut(rest, "/")
	c.Clock, _ = strconv.Atoi(strings.TrimSpace(clock))
	if several {
		channels, _, _ = strings.Cut(channels, "/")
		c.Channels, _ = strconv.Atoi(strings.TrimSpace(channels))
	}
}
