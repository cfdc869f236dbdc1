package phone

import (
	"strconv"
	"strings"
)

// description is what a phone needs of an SDP: its first audio stream.
type description struct {
	address string
	port    uint16
	formats []uint8
	names   map[uint8]string
}

// parseSDP reads a session description (RFC 4566), leniently: what it cannot
// read it leaves out.
func parseSDP(body []byte) description {
	d := description{names: map[uint8]string{}}
	var session, media string
	stream := "" // the kind of the m= line that is being read
	for _, line := range strings.Split(string(body), "\n") {
		line = strings.TrimRight(line, "\r")
		kind, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		f := strings.Fields(value)
		switch {
		case kind == "c" && len(f) == 3 && stream == "":
			session = f[2]
		case kind == "c" && len(f) == 3 && stream == "audio":
			media = f[2]
		case kind == "m" && len(f) >= 4:
			if d.port != 0 || f[0] != "audio" {
				stream = "other"
				continue
			}
			stream = "audio"
			port, _ := strconv.ParseUint(f[1], 10, 16)
			d.port = uint16(port)
			for _, s := range f[3:] {
				if pt, err := strconv.ParseUint(s, 10, 7); err == nil {
					d.formats = append(d.formats, uint8(pt))
				}
			}
		case kind == "a" && stream == "audio":
			if m, ok := strings.CutPrefix(value, "rtpmap:"); ok {
				pt, name, _ := strings.Cut(m, " ")
				if n, err := strconv.ParseUint(pt, 10, 7); err == nil {
					d.names[uint8(n)] = strings.ToLower(name)
				}
			}
		}
	}
	d.address = session
	if media != "" {
		d.address = media
	}
	return d
}
