package campaign_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/acoustic"
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy/campaign"
)

// The index keeps time by the same step as the prints.
func TestHop(t *testing.T) {
	if acoustic.Hop != 16*time.Millisecond {
		t.Errorf("a print has a word each %v, the index counts 16ms", acoustic.Hop)
	}
}

func TestSameSpeech(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	x := campaign.New(campaign.Defaults())
	message := speech(1, 8)
	x.Add("a", "+1", heard(message, codec.MuLaw), noon, campaign.Unanswered)
	for seed := range uint64(8) {
		x.Add(fmt.Sprint("other ", seed), fmt.Sprint("+9", seed), heard(speech(100+seed, 6), codec.MuLaw), noon, campaign.Unanswered)
	}
	greeting := speech(2, 2)
	for _, c := range []struct {
		name  string
		pcm   []int16
		least float64 // s matched
	}{
		{"again", message, 4},
		{"later", append(make([]int16, 863), message...), 4},
		{"cut in", message[codec.Rate:], 3},
		{"quieter, in noise", changed(message, -10, -56, r), 4},
		{"after another greeting", append(append([]int16(nil), greeting...), message...), 4},
	} {
		m := x.Match("b", "+2", heard(c.pcm, codec.ALaw), noon, campaign.Unanswered)
		if m.Calls != 1 || m.Numbers != 1 || m.Seconds < c.least {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
	if m := x.Match("b", "+2", heard(speech(3, 8), codec.MuLaw), noon, campaign.Unanswered); m.Calls != 0 {
		t.Errorf("another passage: %+v", m)
	}
	if m := x.Match("b", "+2", heard(message[:2*codec.Rate], codec.MuLaw), noon, campaign.Unanswered); m.Calls != 0 {
		t.Errorf("two seconds: %+v", m)
	}
	if m := x.Match("a", "+1", heard(message, codec.MuLaw), noon, campaign.Unanswered); m.Calls != 0 {
		t.Errorf("a call matches itself: %+v", m)
	}
}

// Who called counts: numbers, the own one, withheld ones.
func TestNumbers(t *testing.T) {
	p := heard(speech(1, 8), codec.MuLaw)
	for _, c := range []struct {
		from    []string
		self    string
		calls   int
		numbers int
		llr     float64
		says    string
	}{
		{[]string{"+1"}, "+1", 1, 0, 1.5, "in another call from the same number"},
		{[]string{"+1", "+1"}, "+1", 2, 0, 1.5, "in 2 other calls from the same number"},
		{[]string{"+1"}, "+2", 1, 1, 4, "in another call from another number"},
		{[]string{"+1", "+2", "+3", "+3"}, "+1", 4, 2, 4, "in 4 other calls from 2 numbers"},
		{[]string{"", ""}, "", 2, 1, 4, "in 2 other calls from another number"},
	} {
		x := campaign.New(campaign.Defaults())
		for i, from := range c.from {
			x.Add(fmt.Sprint(i), from, p, noon, campaign.Unanswered)
		}
		m := x.Match("self", c.self, p, noon, campaign.Unanswered)
		if m.Calls != c.calls || m.Numbers != c.numbers {
			t.Errorf("%q heard by %q: %+v", c.from, c.self, m)
			continue
		}
		e := m.Evidence()
		if len(e) != 1 || e[0].Name != "campaign.same_speech" || e[0].LLR != c.llr || e[0].Recording <= 0 || !strings.HasSuffix(e[0].Says, c.says) {
			t.Errorf("%q heard by %q: %+v", c.from, c.self, e)
		}
	}
	if e := (campaign.Match{}).Evidence(); len(e) != 0 {
		t.Errorf("no match gives %+v", e)
	}
}

// A recording goes on in step with itself after the answer; a program that says the
// same sentence does so when it is its turn.
func TestInStep(t *testing.T) {
	long, short := speech(1, 12), speech(1, 5)
	at := func(pause float64, pcm []int16) []uint32 {
		return heard(append(make([]int16, int(pause*codec.Rate)), pcm...), codec.MuLaw)
	}
	const s = time.Second
	for _, c := range []struct {
		name          string
		first, second []uint32
		a, b          time.Duration
		recording     float64
		says          string
	}{
		{"at the same moment", at(1, long), at(1, long), 0, 50 * time.Millisecond, 4, "at the same moment after the answer"},
		{"the stream of one began later", at(3, long), at(1, long), 0, 2 * s, 4, "at the same moment after the answer"},
		{"before the answer", at(1, long), at(1, long), -2 * s, -2 * s, 4, "at the same moment after the answer"},
		{"when it was its turn", at(1, long), at(2.5, long), 0, 0, 3, ""},
		{"one sentence only", at(1, short), at(1, short), 0, 0, 3, ""},
		{"the answer is not known", at(1, long), at(1, long), 0, campaign.Unanswered, 3, ""},
	} {
		x := campaign.New(campaign.Defaults())
		x.Add("a", "+1", c.first, noon, c.a)
		e := x.Match("b", "+2", c.second, noon, c.b).Evidence()
		if len(e) != 1 || e[0].Recording != c.recording || !strings.HasSuffix(e[0].Says, c.says) || e[0].LLR != 4 {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

// Two calls at once: each must find the other while both still speak.
func TestGrowing(t *testing.T) {
	x := campaign.New(campaign.Defaults())
	full := heard(speech(1, 8), codec.MuLaw)
	for n := 125; n <= len(full); n += 125 {
		x.Add("a", "+1", full[:n], noon, campaign.Unanswered)
		x.Add("b", "+2", full[:n], noon, campaign.Unanswered)
	}
	if x.Len() != 2 {
		t.Errorf("%d calls kept of two", x.Len())
	}
	grown := x.Match("b", "+2", full, noon, campaign.Unanswered)
	y := campaign.New(campaign.Defaults())
	y.Add("a", "+1", full, noon, campaign.Unanswered)
	if whole := y.Match("b", "+2", full, noon, campaign.Unanswered); grown != whole || grown.Calls != 1 {
		t.Errorf("grown %+v, at once %+v", grown, whole)
	}
}

func TestSilenceTonesAndNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	tone := func(seconds float64, f ...float64) []int16 {
		out := make([]int16, int(seconds*codec.Rate))
		for i := range out {
			for _, hz := range f {
				out[i] += int16(4000 * math.Sin(2*math.Pi*hz*float64(i)/codec.Rate))
			}
		}
		return out
	}
	ringback := append(tone(2, 440, 480), make([]int16, 4*codec.Rate)...)
	var digits []int16
	for _, f := range [][2]float64{{697, 1209}, {770, 1336}, {852, 1477}, {941, 1336}, {697, 1477}, {770, 1209}} {
		digits = append(append(digits, tone(0.25, f[0], f[1])...), make([]int16, codec.Rate/4)...)
	}
	var busy []int16
	for range 6 {
		busy = append(append(busy, tone(0.5, 480, 620)...), make([]int16, codec.Rate/2)...)
	}
	for name, pcm := range map[string][]int16{
		"silence":  make([]int16, 6*codec.Rate),
		"hiss":     changed(make([]int16, 6*codec.Rate), 0, -30, r),
		"quiet":    changed(make([]int16, 6*codec.Rate), 0, -60, r),
		"tone":     tone(6, 1000),
		"ringback": append(ringback, ringback...),
		"busy":     busy,
		"digits":   append(digits, digits...),
	} {
		x := campaign.New(campaign.Defaults())
		x.Add("a", "+1", heard(pcm, codec.MuLaw), noon, campaign.Unanswered)
		if m := x.Match("b", "+2", heard(pcm, codec.MuLaw), noon, campaign.Unanswered); m.Calls != 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	x := campaign.New(campaign.Defaults())
	x.Add("a", "+1", nil, noon, campaign.Unanswered)
	x.Add("", "+1", heard(speech(1, 6), codec.MuLaw), noon, campaign.Unanswered)
	if x.Len() != 0 {
		t.Error("nothing was kept")
	}
	if m := x.Match("b", "+2", nil, noon, campaign.Unanswered); m.Calls != 0 {
		t.Errorf("nothing matches: %+v", m)
	}
}

// The bounds: calls and age.
func TestBounds(t *testing.T) {
	c := campaign.Defaults()
	c.MaxCalls = 4
	x := campaign.New(c)
	prints := make([][]uint32, 7)
	for i := range prints {
		prints[i] = heard(speech(uint64(i), 5), codec.MuLaw)
		x.Add(fmt.Sprint(i), fmt.Sprint(i), prints[i], noon.Add(time.Duration(i)*time.Minute), campaign.Unanswered)
		if x.Len() > 4 {
			t.Fatalf("%d calls kept of at most 4", x.Len())
		}
	}
	at := noon.Add(7 * time.Minute)
	for i, p := range prints {
		want := 0
		if i >= 3 {
			want = 1
		}
		if m := x.Match("new", "new", p, at, campaign.Unanswered); m.Calls != want {
			t.Errorf("call %d: %+v, want %d", i, m, want)
		}
	}
	if m := x.Match("new", "new", prints[3], noon.Add(c.MaxAge+4*time.Minute), campaign.Unanswered); m.Calls != 0 {
		t.Errorf("a call older than %v still matches: %+v", c.MaxAge, m)
	}
	x.Add("late", "late", prints[0], noon.Add(2*c.MaxAge), campaign.Unanswered)
	if x.Len() != 1 {
		t.Errorf("%d calls kept, want the new one alone", x.Len())
	}

	c.MaxCalls = 0
	x = campaign.New(c)
	x.Add("a", "a", prints[0], noon, campaign.Unanswered)
	if m := x.Match("b", "b", prints[0], noon, campaign.Unanswered); m.Calls != 0 || x.Len() != 0 {
		t.Errorf("switched off, %+v", m)
	}
}

func TestConfig(t *testing.T) {
	faults := func(c campaign.Config) string {
		var s []string
		c.Check(func(path, format string, args ...any) { s = append(s, path) })
		return strings.Join(s, " ")
	}
	if f := faults(campaign.Defaults()); f != "" {
		t.Errorf("the defaults are wrong: %s", f)
	}
	if f := faults(campaign.Config{MaxCalls: -1, MaxAge: time.Second, MinSpeech: time.Second}); f != "max_calls max_age min_speech" {
		t.Errorf("faults at %q", f)
	}
	if f := faults(campaign.Config{MaxCalls: 70000, MaxAge: 1000 * time.Hour, MinSpeech: time.Minute}); f != "max_calls max_age min_speech" {
		t.Errorf("faults at %q", f)
	}
}

func TestConcurrent(t *testing.T) {
	c := campaign.Defaults()
	c.MaxCalls = 4
	x := campaign.New(c)
	prints := [][]uint32{heard(speech(1, 6), codec.MuLaw), heard(speech(2, 6), codec.MuLaw)}
	done := make(chan struct{})
	for g := range 4 {
		go func() {
			for i := range 20 {
				id := fmt.Sprint(g, i)
				x.Add(id, id, prints[g%2], noon, campaign.Unanswered)
				x.Match(id, id, prints[g%2], noon, campaign.Unanswered)
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	if x.Len() != 4 {
		t.Errorf("%d calls kept, want 4", x.Len())
	}
}

// A full index of the default size asked by a call with 20 s of speech.
func BenchmarkMatch(b *testing.B) {
	x := campaign.New(campaign.Defaults())
	r := rand.New(rand.NewPCG(4, 4))
	base := heard(speech(1, 20), codec.MuLaw)
	for i := range campaign.Defaults().MaxCalls {
		// Words of real prints, put together anew: making 2000 passages takes minutes.
		p := make([]uint32, len(base))
		for k := range p {
			p[k] = base[r.IntN(len(base))] ^ 1<<r.IntN(32) ^ 1<<r.IntN(32) ^ 1<<r.IntN(32) ^ 1<<r.IntN(32)
		}
		x.Add(fmt.Sprint(i), fmt.Sprint(i), p, noon, campaign.Unanswered)
	}
	p := heard(speech(2, 20), codec.MuLaw)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		x.Match("new", "new", p, noon, campaign.Unanswered)
	}
	b.ReportMetric(float64(len(p)), "words")
}

// BenchmarkAdd says what a call costs to keep: time, and memory by B/op (the
// table's own 2 MB are made before).
func BenchmarkAdd(b *testing.B) {
	c := campaign.Defaults()
	c.MaxCalls = 1 << 15
	x := campaign.New(c)
	p := heard(speech(2, 20), codec.MuLaw)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		q := append([]uint32(nil), p...)
		for k := range q {
			if q[k] != 0 {
				q[k] ^= uint32(i) * 0x9E3779B1
			}
		}
		x.Add(fmt.Sprint(i), "+1", q, noon, campaign.Unanswered)
	}
}

// whole repeats a passage's print to the length that is kept.
func whole(pcm []int16) []uint32 {
	p := heard(pcm, codec.MuLaw)
	for len(p) < 1250 {
		p = append(p, p...)
	}
	return p[:1250]
}

// What a call takes, as config.go says.
func TestMemory(t *testing.T) {
	const calls = 300
	p := whole(speech(2, 4))
	c := campaign.Defaults()
	x := campaign.New(c)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range calls {
		q := append([]uint32(nil), p...)
		for k := range q {
			if q[k] != 0 {
				q[k] ^= uint32(i) * 0x9E3779B1
			}
		}
		x.Add(fmt.Sprint(i), "+1", q, noon, campaign.Unanswered)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(x)
	per := (int(after.HeapAlloc) - int(before.HeapAlloc)) / calls
	t.Logf("%d bytes a call of 20 s", per)
	if per > 20<<10 {
		t.Errorf("%d bytes a call of 20 s, more than the 20 KB that max_calls promises", per)
	}
}
