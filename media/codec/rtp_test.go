package codec

import (
	"bytes"
	"errors"
	"testing"
)

// packet is an RTP packet with plain header fields, for tests of this package.
func packet(pt uint8, marker bool, seq uint16, ts, ssrc uint32, payload []byte) []byte {
	b := []byte{0x80, pt, byte(seq >> 8), byte(seq),
		byte(ts >> 24), byte(ts >> 16), byte(ts >> 8), byte(ts),
		byte(ssrc >> 24), byte(ssrc >> 16), byte(ssrc >> 8), byte(ssrc)}
	if marker {
		b[1] |= 0x80
	}
	return append(b, payload...)
}

func TestParseRTP(t *testing.T) {
	plain := packet(0, true, 0x1234, 0x01020304, 0xAABBCCDD, []byte{1, 2, 3})
	with := func(first byte, tail ...byte) []byte {
		b := bytes.Clone(plain[:12])
		b[0] = first
		return append(b, tail...)
	}
	second := func(v byte) []byte { b := bytes.Clone(plain); b[1] = v; return b }
	for _, c := range []struct {
		name    string
		b       []byte
		err     error
		payload []byte
	}{
		{"plain", plain, nil, []byte{1, 2, 3}},
		{"no payload", plain[:12], nil, nil},
		{"two CSRCs", with(0x82, 1, 1, 1, 1, 2, 2, 2, 2, 9), nil, []byte{9}},
		{"CSRCs cut", with(0x82, 1, 1, 1, 1), ErrRTPShort, nil},
		{"extension", with(0x90, 0xBE, 0xDE, 0, 1, 5, 5, 5, 5, 7), nil, []byte{7}},
		{"empty extension", with(0x90, 0xBE, 0xDE, 0, 0, 7), nil, []byte{7}},
		{"extension header cut", with(0x90, 0xBE, 0xDE, 0), ErrRTPExtension, nil},
		{"extension cut", with(0x90, 0xBE, 0xDE, 0, 2, 5, 5, 5, 5), ErrRTPExtension, nil},
		{"CSRC and extension", with(0x91, 1, 1, 1, 1, 0, 0, 0, 1, 2, 2, 2, 2, 8), nil, []byte{8}},
		{"padding", with(0xA0, 1, 2, 0, 0, 3), nil, []byte{1, 2}},
		{"only padding", with(0xA0, 0, 2), nil, nil},
		{"padding into the header", with(0xA0, 1, 3), ErrRTPPadding, nil},
		{"padding of zero", with(0xA0, 1, 0), ErrRTPPadding, nil},
		{"padding bit, no payload", with(0xA0), ErrRTPPadding, nil},
		{"version 1", with(0x40, 1), ErrRTPVersion, nil},
		{"version 0 (STUN)", with(0x00, 1), ErrRTPVersion, nil},
		{"version 3", with(0xC0, 1), ErrRTPVersion, nil},
		{"short", plain[:11], ErrRTPShort, nil},
		{"empty", nil, ErrRTPShort, nil},
		{"sender report", second(200), ErrRTPIsRTCP, nil},
		{"lowest RTCP", second(192), ErrRTPIsRTCP, nil},
		{"highest RTCP", second(223), ErrRTPIsRTCP, nil},
		{"marker and type 96", second(224), nil, []byte{1, 2, 3}},
	} {
		p, err := ParseRTP(c.b)
		if !errors.Is(err, c.err) || (c.err == nil && err != nil) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
			continue
		}
		if err == nil && !bytes.Equal(p.Payload, c.payload) {
			t.Errorf("%s: payload %v, want %v", c.name, p.Payload, c.payload)
		}
	}
	p, err := ParseRTP(plain)
	if err != nil || !p.Marker || p.PayloadType != 0 || p.Seq != 0x1234 || p.Timestamp != 0x01020304 || p.SSRC != 0xAABBCCDD {
		t.Errorf("header read as %+v, %v", p, err)
	}
}

// FuzzDecoder feeds packets cut out of any bytes to one decoder: nothing may
// panic, and what is heard may not be more than what came.
func FuzzDecoder(f *testing.F) {
	voice := packet(0, false, 1, 160, 7, make([]byte, 160))
	key := packet(101, true, 2, 320, 7, []byte{5, 10, 0, 160})
	join := func(ps ...[]byte) []byte {
		var out []byte
		for _, p := range ps {
			out = append(append(out, byte(len(p))), p...)
		}
		return out
	}
	f.Add(join(voice, key, packet(101, false, 3, 320, 7, []byte{5, 0x8A, 3, 0x20}), packet(8, false, 4, 480, 7, []byte{0xD5})))
	f.Add(join(packet(0, false, 65535, 0, 1, []byte{0xFF}), packet(0, false, 2, 480, 1, nil), packet(0, false, 0, 160, 1, []byte{0xFF}), packet(0, false, 40000, 0, 1, nil), packet(0, false, 40001, 0, 1, nil)))
	f.Add(join(append([]byte{0x91}, make([]byte, 40)...), append([]byte{0xBF}, voice[1:]...)))
	f.Add(join(packet(13, false, 1, 0, 1, []byte{50}), packet(9, false, 2, 160, 1, []byte{1, 2}), packet(96, false, 3, 320, 1, []byte{0x78, 1, 2, 3})))
	for _, name := range []string{"silk", "hybrid", "celt"} {
		f.Add(join(packet(96, false, 1, 0, 1, opusPackets(f, "testdata/"+name+".opus")[5])))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewDecoder()
		d.Payload(101, "telephone-event", 8000)
		d.Payload(96, "opus", 48000)
		at := epoch
		in, samples, keys, packets := 0, 0, 0, 0
		emit := func(f *Frame) {
			samples += len(f.PCM)
			if f.Law != NoLaw && len(f.PCM) != len(f.Codewords) || f.Lost < 0 || len(f.PCM) == 0 || f.Clock <= 0 {
				t.Fatalf("frame of %d samples from %d codewords, %d lost", len(f.PCM), len(f.Codewords), f.Lost)
			}
		}
		digit := func(g Digit) {
			keys++
			if g.Duration < 0 {
				t.Fatalf("a key of %s", g.Duration)
			}
		}
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			in += n
			_ = d.Packet(b[1:1+n], at, emit, digit)
			b = b[1+n:]
			at = at.Add(20e6)
			packets++
		}
		d.Flush(emit, digit)
		if most := in + packets*(opusLongest+hushFrame); samples > most {
			t.Fatalf("%d samples heard of %d bytes in %d packets", samples, in, packets)
		}
		if s := d.Stats(); s.Lost() < 0 || s.Late+s.Duplicates > s.Packets || keys > in/4 {
			t.Fatalf("stats %+v, %d keys", s, keys)
		}
	})
}
