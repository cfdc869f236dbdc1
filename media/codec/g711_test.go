package codec

import (
	"bytes"
	"testing"
)

func TestLaws(t *testing.T) {
	for _, c := range []struct {
		law     Law
		pt      uint8
		name    string
		silence byte
	}{{MuLaw, 0, "PCMU", 0xFF}, {ALaw, 8, "PCMA", 0xD5}} {
		if c.law.PayloadType() != c.pt || c.law.String() != c.name || c.law.Silence() != c.silence {
			t.Errorf("%s: type %d, silence %#x", c.law, c.law.PayloadType(), c.law.Silence())
		}
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		back := c.law.Encode(nil, c.law.Decode(nil, all))
		if c.law == MuLaw {
			all[0x7F] = 0xFF // −0 and +0 are one sample
		}
		if !bytes.Equal(back, all) {
			t.Errorf("%s: codewords change over decode and encode", c.law)
		}
		if got := c.law.Encode(nil, []int16{0}); got[0] != c.silence {
			t.Errorf("%s: 0 is encoded as %#x, want %#x", c.law, got[0], c.silence)
		}
	}
	if got := NoLaw.Decode(nil, []byte{1}); len(got) != 0 {
		t.Errorf("no law decodes to %v", got)
	}
}

func TestClock(t *testing.T) {
	for pt, hz := range map[uint8]int{0: 8000, 8: 8000, 9: 8000, 13: 0, 14: 90000, 18: 8000, 26: 90000, 96: 0, 101: 0} {
		if got := Clock(pt); got != hz {
			t.Errorf("payload type %d: clock %d, want %d", pt, got, hz)
		}
	}
}
