package trace

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
)

// TestCodecsAreHeard: of a recorded caller is heard what of a live one would be,
// by the payload types that the descriptions name; of any other codec it is said
// that it was not.
func TestCodecsAreHeard(t *testing.T) {
	for _, c := range []struct {
		name, formats string
		pt            byte
		heard         bool
	}{
		{"PCMU", "0 101", 0, true},
		{"G722", "9 101", 9, true},
		{"G722", "97 101\r\na=rtpmap:97 G722/8000", 97, true},
		{"G729", "18 101", 18, false},
		{"iLBC", "98 101\r\na=rtpmap:98 iLBC/8000", 98, false},
	} {
		f := newFilm(t)
		s := newScript(f, "codecs")
		s.aSDP, s.bSDP = sdpOf(aRTP, c.formats), sdpOf(bRTP, c.formats)
		s.say("INVITE+sdp", "200+sdp", "ACK")
		var wide codec.G722Encoder
		for i := range 400 {
			p := speech(9, i)
			if i%100 >= 60 {
				hush(p)
			}
			if p[1] = c.pt; c.name == "G722" {
				p = wide.Encode(p[:12:12], codec.MuLaw.Decode(nil, p[12:]))
			}
			f.udp(aRTP, bRTP, string(p))
			f.wait(20 * time.Millisecond)
		}
		s.say("!BYE", "200")
		call := f.judged(Options{Bench: testBench(t)})[0]
		if len(call.Streams) != 1 || call.Streams[0].Codec != c.name {
			t.Errorf("%s: streams %+v", c.formats, call.Streams)
		}
		v := call.Verdict
		unheard := slices.ContainsFunc(v.Evidence, func(e Evidence) bool {
			return e.Name == "line.unheard" && strings.Contains(e.Says, c.name)
		})
		if unheard == c.heard {
			t.Errorf("%s: evidence %+v", c.formats, v.Evidence)
		}
	}
}
