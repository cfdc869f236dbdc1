package codec

import (
	"bytes"
	"slices"
	"testing"
)

// TestConvert: each of the three codecs into each other is the same speech, with
// as many bytes, and silence stays silence.
func TestConvert(t *testing.T) {
	pcm := spoken(t)
	encode := map[string]func([]int16) []byte{
		"PCMU": func(pcm []int16) []byte { return MuLaw.Encode(nil, pcm) },
		"PCMA": func(pcm []int16) []byte { return ALaw.Encode(nil, pcm) },
		"G722": func(pcm []int16) []byte { return new(G722Encoder).Encode(nil, pcm) },
	}
	decode := map[string]func([]byte) []int16{
		"PCMU": func(b []byte) []int16 { return MuLaw.Decode(nil, b) },
		"PCMA": func(b []byte) []int16 { return ALaw.Decode(nil, b) },
		"G722": func(b []byte) []int16 { return new(G722Decoder).Decode(nil, b) },
	}
	for from := range encode {
		for to := range encode {
			c, ok := NewConverter(from, to)
			if (c == nil) != (from == to) || !ok {
				t.Fatalf("%s to %s: %v, %t", from, to, c, ok)
			}
			if c == nil {
				continue
			}
			b := encode[from](pcm)
			for p := range slices.Chunk(b, 333) {
				c.Convert(p)
			}
			if l := likeness(pcm, decode[to](b)); l < 0.995 {
				t.Errorf("%s to %s: likeness %.4f", from, to, l)
			}
			c, _ = NewConverter(from, to)
			quiet := encode[from](make([]int16, 400))
			c.Convert(quiet)
			for i, v := range decode[to](quiet)[200:] {
				if v < -32 || v > 32 {
					t.Errorf("%s to %s: silence is %d at %d", from, to, v, i)
					break
				}
			}
			if n := testing.AllocsPerRun(10, func() { c.Convert(quiet) }); n != 0 {
				t.Errorf("%s to %s: %g allocations per packet", from, to, n)
			}
		}
	}
	if _, ok := NewConverter("opus", "PCMU"); ok {
		t.Error("Opus cannot be converted in place")
	}
}

// TestConvertLaws: from one law to the other and back loses at most a step, and
// nothing the second time (G.711 section 3.3).
func TestConvertLaws(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, names := range [][2]string{{"PCMU", "PCMA"}, {"PCMA", "PCMU"}} {
		there, _ := NewConverter(names[0], names[1])
		back, _ := NewConverter(names[1], names[0])
		once := bytes.Clone(all)
		there.Convert(once)
		for i := range all {
			v, w := there.from.sample(all[i]), there.to.sample(once[i])
			if d, most := int(v)-int(w), max(16, max(int(v), -int(v))/16); d > most || -d > most {
				t.Errorf("%s %02x: %d became %d", names[0], i, v, w)
			}
		}
		back.Convert(once)
		twice := bytes.Clone(once)
		there.Convert(twice)
		back.Convert(twice)
		if !bytes.Equal(once, twice) {
			t.Errorf("%s to %s and back changes at each turn", names[0], names[1])
		}
	}
}

// BenchmarkConvert converts 1 s of audio in packets of 20 ms.
func BenchmarkConvert(b *testing.B) {
	for _, names := range [][2]string{{"PCMU", "PCMA"}, {"G722", "PCMU"}, {"PCMU", "G722"}} {
		b.Run(names[0]+"-"+names[1], func(b *testing.B) {
			c, _ := NewConverter(names[0], names[1])
			p := bytes.Repeat([]byte{0xD5, 0x55, 0x45, 0xC5}, 40)
			b.ReportAllocs()
			for b.Loop() {
				for range 50 {
					c.Convert(p)
				}
			}
		})
	}
}
