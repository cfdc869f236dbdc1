package line

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

var start0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func named(e []policy.Evidence, name string) (policy.Evidence, bool) {
	for _, x := range e {
		if x.Name == name {
			return x, true
		}
	}
	return policy.Evidence{}, false
}

// stream sends n packets of 20 ms of PCMU; late gives the delay of packet i.
func stream(o *Observer, seq uint16, ts uint32, n int, late func(i int) time.Duration) {
	for i := range n {
		o.Packet(seq+uint16(i), ts+uint32(160*i), 7, 0, i == 0, 160, start0.Add(time.Duration(i)*20*time.Millisecond+late(i)))
	}
}

func TestFirstZero(t *testing.T) {
	for _, c := range []struct {
		seq  uint16
		ts   uint32
		want bool
	}{{0, 0, true}, {0, 160, false}, {1, 0, false}, {40000, 123456789, false}} {
		o := New()
		stream(o, c.seq, c.ts, 3, func(int) time.Duration { return 0 })
		if _, ok := named(o.Evidence(), "rtp.first_zero"); ok != c.want {
			t.Errorf("first %d, %d: %v", c.seq, c.ts, o.Evidence())
		}
	}
	// Counters that pass zero later say nothing.
	o := New()
	stream(o, 65530, 1<<32-160*6, 12, func(int) time.Duration { return 0 })
	if _, ok := named(o.Evidence(), "rtp.first_zero"); ok {
		t.Error("counters that wrap pass for counters that start at zero")
	}
}

func TestPacing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name string
		n    int
		late func(int) time.Duration
		llr  float64
	}{
		{"timer", 600, func(int) time.Duration { return 0 }, llrOnGrid},
		{"timer, read by a socket", 600, func(int) time.Duration { return time.Duration(r.IntN(600)) * time.Microsecond }, llrOnGrid},
		{"wireless", 600, func(int) time.Duration { return time.Duration(20*math.Abs(r.NormFloat64())) * time.Millisecond }, llrRagged},
		{"between", 600, func(i int) time.Duration { return time.Duration(i%10/9*8) * time.Millisecond }, 0},
		{"too short", 200, func(int) time.Duration { return 0 }, 0},
	} {
		o := New()
		stream(o, 1, 1, c.n, c.late)
		e, _ := named(o.Evidence(), "rtp.pacing")
		if e.LLR != c.llr {
			t.Errorf("%s: %+v, want %v", c.name, e, c.llr)
		}
	}
}

// A live socket and a capture see the same packets some 100 µs apart.
func TestPacingLiveAsRecorded(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	apart := 0
	for jitter := range 30 {
		live, recorded := New(), New()
		for i := range 600 {
			late := time.Duration(float64(jitter) * math.Abs(r.NormFloat64()) * 1e6)
			at := start0.Add(time.Duration(i)*20*time.Millisecond + late)
			recorded.Packet(uint16(i), uint32(160*i), 7, 0, false, 160, at)
			live.Packet(uint16(i), uint32(160*i), 7, 0, false, 160, at.Add(time.Duration(50+r.IntN(200))*time.Microsecond))
		}
		a, _ := named(live.Evidence(), "rtp.pacing")
		b, _ := named(recorded.Evidence(), "rtp.pacing")
		if a != b {
			apart++
			t.Logf("jitter of %d ms: live %+v, recorded %+v", jitter, a, b)
		}
	}
	if apart > 1 { // there is always a border, and a stream may lie on it
		t.Errorf("%d of 30 streams give other evidence live than recorded", apart)
	}
}

func TestPeriod(t *testing.T) {
	for _, c := range []struct {
		step uint32
		pt   uint8
		want time.Duration
	}{{160, 0, 20 * time.Millisecond}, {240, 8, 30 * time.Millisecond}, {160, 9, 20 * time.Millisecond},
		{960, 111, 20 * time.Millisecond}, {160, 97, 20 * time.Millisecond}, {0, 0, 0}, {8000, 0, 0}, {math.MaxUint32, 0, 0}} {
		if got := period(c.step, c.pt); got != c.want {
			t.Errorf("period(%d, %d) = %v, want %v", c.step, c.pt, got, c.want)
		}
	}
}

func TestBreaks(t *testing.T) {
	// phrases sends phrases of 50 packets with a second between, and says how the
	// timestamp moves over it and how the packets behind it come.
	phrases := func(jump uint32, pt uint8, burst bool) *Observer {
		o := New()
		at, ts, seq := start0, uint32(500), uint16(9)
		for range 4 {
			for i := range 50 {
				o.Packet(seq, ts, 7, pt, i == 0, 160, at)
				seq++
				ts += 160
				if !burst || i > 20 {
					at = at.Add(20 * time.Millisecond)
				}
			}
			at = at.Add(time.Second)
			ts += jump
		}
		return o
	}
	for _, c := range []struct {
		name  string
		jump  uint32
		pt    uint8
		burst bool
		want  bool
	}{
		{"the clock stands still", 0, 0, false, true},
		{"silence suppression", 8000, 0, false, false},
		{"a stalled network", 0, 0, true, false},
	} {
		e, ok := named(phrases(c.jump, c.pt, c.burst).Evidence(), "line.discontinuous")
		if ok != c.want {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

// frames plays PCM as 20 ms frames of a law.
func frames(o *Observer, pcm []int16, law codec.Law) {
	for ; len(pcm) >= 160; pcm = pcm[160:] {
		f := codec.Frame{PCM: pcm[:160], Law: law}
		if law != codec.NoLaw {
			f.Codewords = law.Encode(nil, pcm[:160])
			f.PCM = law.Decode(nil, f.Codewords)
		}
		o.Frame(&f)
	}
}

// sound is phrases of 1 s of voice (noise of the given level, dBFS) and 0.5 s
// of background (dBFS; 0 for exact silence).
func sound(r *rand.Rand, seconds int, voice, background float64) []int16 {
	out := make([]int16, seconds*codec.Rate)
	for i := range out {
		db := background
		if i%12000 < 8000 {
			db = voice
		}
		if db < 0 {
			out[i] = int16(32768 * math.Pow(10, db/20) * r.NormFloat64())
		}
	}
	return out
}

func TestSilence(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, law := range []codec.Law{codec.MuLaw, codec.ALaw, codec.NoLaw} {
		for _, c := range []struct {
			name       string
			seconds    int
			voice      float64
			background float64
			want       bool
		}{
			{"exact silence", 9, -26, 0, true},
			{"a quiet line", 9, -26, -68, false},
			{"nobody speaks", 9, 0, 0, false},
			{"too short", 3, -26, 0, false},
		} {
			o := New()
			frames(o, sound(r, c.seconds, c.voice, c.background), law)
			if _, ok := named(o.Evidence(), "line.digital_silence"); ok != c.want {
				t.Errorf("%v, %s: %+v", law, c.name, o.Evidence())
			}
		}
	}
}

func TestFloor(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, c := range []struct {
		name              string
		voice, background float64
		want              bool
	}{
		{"street", -26, -40, true},
		{"quiet room", -26, -60, false},
		{"hiss alone", -40, -40, false},
		{"too faint", -60, -75, false},
	} {
		o := New()
		frames(o, sound(r, 9, c.voice, c.background), codec.MuLaw)
		if _, ok := named(o.Evidence(), "line.noise_floor"); ok != c.want {
			t.Errorf("%s: %+v", c.name, o.Evidence())
		}
	}
}

// Nothing of a sender's choosing may make the observer panic or allocate.
func TestOddInput(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	o := New()
	at := start0
	for range 20000 {
		at = at.Add(time.Duration(r.IntN(4e8)) - 1e8)
		o.Packet(uint16(r.IntN(4)), r.Uint32()>>uint(r.IntN(32)), uint32(r.IntN(2)), uint8(r.IntN(128)), r.IntN(2) == 0, r.IntN(2000), at)
	}
	o.Frame(&codec.Frame{})
	o.Frame(&codec.Frame{PCM: []int16{math.MinInt16, math.MaxInt16}, Codewords: []byte{1}})
	o.Evidence()
}

func BenchmarkPacketAndFrame(b *testing.B) {
	r := rand.New(rand.NewPCG(6, 6))
	pcm := sound(r, 1, -26, -60)[:160]
	f := codec.Frame{PCM: pcm, Codewords: codec.MuLaw.Encode(nil, pcm), Law: codec.MuLaw}
	o := New()
	b.ReportAllocs()
	for i := range b.N {
		o.Packet(uint16(i), uint32(160*i), 7, 0, false, 160, start0.Add(time.Duration(i)*20*time.Millisecond))
		o.Frame(&f)
	}
}
