package codec

import (
	"bytes"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// dial makes a key's tones: on and off in ms, level of the low tone in dBm0, the
// high one twist dB above it, both detuned by a factor.
func dial(keys string, on, off int, level, twist, detune float64) []int16 {
	var out []int16
	amp := fullScale * math.Pow(10, (level-3.17)/20)
	for _, k := range keys {
		var low, high float64
		for r, row := range toneKeys {
			for c, key := range row {
				if key == k {
					low, high = toneRows[r]*detune, toneCols[c]*detune
				}
			}
		}
		for i := range on * 8 {
			x := 2 * math.Pi * float64(i) / Rate
			out = append(out, int16(math.Round(amp*(math.Sin(x*low)+math.Pow(10, twist/20)*math.Sin(x*high)))))
		}
		out = append(out, make([]int16, off*8)...)
	}
	return out
}

func heard(pcm []int16) []Digit {
	var t Tones
	var out []Digit
	for i := 0; i < len(pcm); i += 160 {
		t.Samples(pcm[i:min(i+160, len(pcm))], epoch.Add(time.Duration(i)*time.Second/Rate), func(g Digit) { out = append(out, g) })
	}
	t.Flush(func(g Digit) { out = append(out, g) })
	return out
}

func keysOf(ds []Digit) string {
	s := ""
	for _, d := range ds {
		s += string(d.Key)
	}
	return s
}

// TestTones holds the detector to the limits of ITU-T Q.24 annex A.
func TestTones(t *testing.T) {
	const all = "123A456B789C*0#D"
	for _, c := range []struct {
		name           string
		on, off        int
		level, twist   float64
		detune         float64
		noise          float64 // white, dBm0; 0 for none
		before         int     // samples of silence
		heard, allowed string
	}{
		{"usual", 100, 100, -10, 2, 1, 0, 0, all, ""},
		{"shortest key and pause", 40, 40, -10, 0, 1, 0, 0, all, ""},
		{"shortest, between the frames", 40, 40, -10, 0, 1, 0, 77, all, ""},
		{"shortest, between the hops", 40, 40, -10, 0, 1, 0, 40, all, ""},
		{"too short", 22, 60, -10, 0, 1, 0, 0, "", ""},
		{"too short, between the hops", 22, 60, -10, 0, 1, 0, 33, "", ""},
		{"loud", 60, 60, -3, 0, 1, 0, 0, all, ""},
		{"quiet", 60, 60, -32, 0, 1, 0, 0, all, ""},
		{"too quiet", 60, 60, -45, 0, 1, 0, 0, "", ""},
		{"detuned by +1.5 %", 60, 60, -10, 0, 1.015, 0, 0, all, ""},
		{"detuned by −1.5 %", 60, 60, -10, 0, 0.985, 0, 0, all, ""},
		{"high tone 5 dB above", 60, 60, -15, 5, 1, 0, 0, all, ""},
		{"low tone 7 dB above", 60, 60, -10, -7, 1, 0, 0, all, ""},
		{"high tone 10 dB above", 60, 60, -15, 10, 1, 0, 0, "", ""},
		{"low tone 12 dB above", 60, 60, -10, -12, 1, 0, 0, "", ""},
		{"15 dB above noise", 60, 60, -13, 0, 1, -25, 0, all, ""},
	} {
		pcm := slices.Concat(make([]int16, c.before), dial(all, c.on, c.off, c.level, c.twist, c.detune))
		if c.noise != 0 {
			r := rand.New(rand.NewPCG(1, 2))
			for i := range pcm {
				pcm[i] += int16(r.NormFloat64() * fullScale / math.Sqrt2 * math.Pow(10, (c.noise-3.17)/20))
			}
		}
		ds := heard(Companded(pcm, MuLaw))
		if got := keysOf(ds); got != c.heard {
			t.Errorf("%s: heard %q, want %q", c.name, got, c.heard)
		}
	}
}

func TestTonesDigit(t *testing.T) {
	pcm := slices.Concat(make([]int16, 800), dial("5", 200, 100, -10, 0, 1), dial("5", 100, 0, -10, 0, 1))
	ds := heard(Companded(pcm, MuLaw))
	if len(ds) != 2 {
		t.Fatalf("heard %+v", ds)
	}
	for i, want := range []struct{ at, length int }{{100, 200}, {400, 100}} {
		d := ds[i]
		if off := int(d.At.Sub(epoch).Milliseconds()) - want.at; off < -20 || off > 20 {
			t.Errorf("key %d at %s, want %d ms", i, d.At.Sub(epoch), want.at)
		}
		if off := int(d.Duration.Milliseconds()) - want.length; off < -20 || off > 20 {
			t.Errorf("key %d lasts %s, want %d ms", i, d.Duration, want.length)
		}
		// Two tones of −10 dBm0 are −7 together.
		if !d.InBand || d.Volume < 6 || d.Volume > 8 {
			t.Errorf("key %d: %+v", i, d)
		}
	}
}

// TestTonesLoss: a packet missing inside a key does not make two of it.
func TestTonesLoss(t *testing.T) {
	pcm := dial("8", 200, 60, -10, 0, 1)
	if got := keysOf(heard(slices.Delete(pcm, 480, 640))); got != "8" {
		t.Errorf("heard %q", got)
	}
}

// TestDecoderTones: keys are heard in a stream without events, and not any more
// once the caller has sent an event: what is left of the tone is its leak.
func TestDecoderTones(t *testing.T) {
	for _, events := range []bool{false, true} {
		e := newEar()
		pcm := dial("42", 100, 100, -10, 0, 1)
		seq := uint16(0)
		if events {
			_ = e.hear(0, told{0, 0, 0, true, 1, true, 800}.packet())
			seq++
		}
		for i := 0; i+160 <= len(pcm); i += 160 {
			_ = e.hear(i/8, packet(8, false, seq, uint32(i), 9, ALaw.Encode(nil, pcm[i:i+160])))
			seq++
		}
		e.d.Flush(e.emit, e.digit)
		want := "42"
		if events {
			want = "1"
		}
		if got := keysOf(e.digits); got != want {
			t.Errorf("with events %t: %q, want %q", events, got, want)
		}
	}
}

// TestTalkOff plays the training corpus to the detector: speech must not dial.
func TestTalkOff(t *testing.T) {
	dir := os.Getenv("PORTERO_CORPUS")
	if dir == "" {
		t.Skip("PORTERO_CORPUS does not name the speech corpus")
	}
	var files []string
	_ = filepath.WalkDir(filepath.Join(dir, "train"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".flac" {
			files = append(files, path)
		}
		return nil
	})
	if len(files) == 0 {
		t.Skipf("no FLAC files below %s", filepath.Join(dir, "train"))
	}
	seconds, keys := 0.0, 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Read(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		pcm := a.PCM()
		for i, v := range pcm { // stored at −38 dBFS; the line has −26
			pcm[i] = int16(max(-32768, min(32767, int(v)*4)))
		}
		seconds += a.Seconds()
		if ds := heard(Companded(pcm, MuLaw)); len(ds) > 0 {
			keys += len(ds)
			t.Logf("%s: %q", filepath.Base(f), keysOf(ds))
		}
	}
	t.Logf("%d false keys in %.2f h", keys, seconds/3600)
	if float64(keys) > seconds/3600 {
		t.Errorf("more than one false key an hour")
	}
}

// TestTalkOffPrompts: what Portero says itself, sent back by the line, must not
// dial either, in whatever codec and however loud.
func TestTalkOffPrompts(t *testing.T) {
	files, err := filepath.Glob("../prompt/sounds/*/*.wav")
	if err != nil || len(files) == 0 {
		t.Fatalf("no prompts: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Read(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, gain := range []float64{0.1, 0.5, 1, 1.9} {
			pcm := a.PCM()
			for i, v := range pcm {
				pcm[i] = int16(max(-32768, min(32767, gain*float64(v))))
			}
			wide := new(G722Decoder).Decode(nil, new(G722Encoder).Encode(nil, pcm))
			for name, line := range map[string][]int16{"G.722": wide, "A-law": Companded(slices.Clone(pcm), ALaw), "µ-law": Companded(pcm, MuLaw)} {
				if ds := heard(line); len(ds) > 0 {
					t.Errorf("%s in %s, times %g: %q", f, name, gain, keysOf(ds))
				}
			}
		}
	}
}

// TestTonesG722: keys are heard through G.722.
func TestTonesG722(t *testing.T) {
	pcm := slices.Concat(make([]int16, 1600), dial("159#", 60, 60, -10, 2, 1))
	if got := keysOf(heard(new(G722Decoder).Decode(nil, new(G722Encoder).Encode(nil, pcm)))); got != "159#" {
		t.Errorf("through G.722: %q", got)
	}
}

func BenchmarkTones(b *testing.B) {
	pcm := dial("5", 20, 0, -10, 0, 1)
	var t Tones
	b.ReportAllocs()
	for range b.N {
		t.Samples(pcm, epoch, nil)
	}
}
