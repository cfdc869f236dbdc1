package sound

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
)

// signals are what the room knows, and the sentence that names each.
func signals() map[string]struct {
	s    *signal
	kind Kind
	says string
} {
	type want = struct {
		s    *signal
		kind Kind
		says string
	}
	answer := func(hz float64, reversed, modulated bool) *signal {
		s := newSignal().pause(500)
		phase := 0.0
		for i := range 3 * rate {
			if reversed && i > 0 && i%(450*rate/1000) == 0 {
				phase += math.Pi
			}
			a := s.level
			if modulated {
				a *= 1 + 0.2*math.Sin(2*math.Pi*15*float64(i)/rate)
			}
			phase += 2 * math.Pi * hz / rate
			s.pcm = append(s.pcm, a*math.Sin(phase))
		}
		return s.pause(300)
	}
	ci := func(octet byte) *signal {
		s := newSignal()
		for range 3 {
			b := ""
			for range 4 {
				b += ones(10) + octets(0, octet)
			}
			s.bits(980, 1180, 300, b).pause(800)
		}
		return s
	}
	cadence := func(n int, on, off float64, hz ...float64) *signal {
		s := newSignal().pause(300)
		for range n {
			s.tone(on, hz...).pause(off)
		}
		return s
	}
	return map[string]want{
		"TTY, 45 baud":          {type45("HELLO THIS IS A TEXT TELEPHONE GA"), Text, "TTY, 45 baud"},
		"TTY, 50 baud":          {newSignal().bits(1400, 1800, 50, ones(8)+baudot("HELLO CAN YOU READ THIS GA", "11")+ones(10)), Text, "TTY, 50 baud"},
		"TTY, 1.5 stop bits":    {newSignal().bits(1400, 1800, 90.9, ones(16)+double(baudot("HELLO GA", ""), "111")+ones(20)), Text, "TTY, 45 baud"},
		"TTY, space bar":        {spaceBar(), Text, "TTY, 45 baud"},
		"EDT":                   {newSignal().bits(980, 1180, 110, ones(20)+ascii("GUTEN TAG", "11")+ones(20)), Text, "EDT"},
		"V.21":                  {newSignal().bits(980, 1180, 300, ones(200)+ascii("Hello there, who is this?", "1")+ones(60)), Text, "V.21"},
		"V.21, answering":       {newSignal().bits(1650, 1850, 300, ones(200)+ascii("Hello there, who is this?", "1")+ones(60)), Text, "V.21"},
		"Bell 103":              {newSignal().bits(1270, 1070, 300, ones(200)+ascii("Hello there, who is this?", "1")+ones(60)), Text, "Bell 103"},
		"Bell 103, answering":   {newSignal().bits(2225, 2025, 300, ones(200)+ascii("Hello there, who is this?", "1")+ones(60)), Text, "Bell 103"},
		"V.23":                  {newSignal().bits(1300, 2100, 1200, ones(600)+ascii("Hello there, who is this?", "1"+ones(7))+ones(60)), Text, "V.23"},
		"V.23, back channel":    {newSignal().bits(390, 450, 75, ones(60)+ascii("Bonjour, qui est a l'appareil ?", "1")+ones(10)), Text, "V.23"},
		"V.18 TXP":              {newSignal().bits(980, 1180, 300, ones(100)+ascii("TXPTXPTXP", "1")+ones(60)), Text, "V.21"},
		"V.8 CI for text":       {ci(0x41), Text, "text telephone"},
		"V.8 CI for a fax":      {ci(0x81), Fax, "fax"},
		"V.8 CI for data":       {ci(0xc1), Modem, "modem"},
		"fax, CNG":              {cadence(2, 500, 3000, 1100), Fax, "1100 Hz"},
		"fax, preamble":         {newSignal().pause(200).bits(1650, 1850, 300, strings.Repeat("01111110", 40)), Fax, "fax"},
		"CED":                   {answer(2100, false, false), Modem, "2100 Hz"},
		"ANS with reversals":    {answer(2100, true, false), Modem, "phase reversals (ITU-T V.25)"},
		"ANSam":                 {answer(2100, true, true), Modem, "phase reversals and a modulation (ITU-T V.8)"},
		"ANSam, no reversals":   {answer(2100, false, true), Modem, "modulated by 15 Hz"},
		"Bell 103 answer":       {answer(2225, false, false), Modem, "2225 Hz"},
		"V.25 calling tone":     {cadence(3, 600, 1700, 1300), Modem, "1300 Hz"},
		"ringing, Europe":       {cadence(3, 1000, 4000, 425), Tones, "ringing"},
		"ringing, USA":          {cadence(3, 2000, 4000, 440, 480), Tones, "ringing"},
		"ringing, UK":           {ukRinging(), Tones, "busy tone, or another"},
		"busy, USA":             {cadence(6, 500, 500, 480, 620), Tones, "busy"},
		"busy, Europe":          {cadence(6, 480, 480, 425), Tones, "busy"},
		"reorder":               {cadence(10, 250, 250, 480, 620), Tones, "busy"},
		"dial tone, USA":        {newSignal().tone(5000, 350, 440), Tones, "tone"},
		"dial tone, Europe":     {newSignal().tone(5000, 425), Tones, "tone"},
		"information tones":     {newSignal().pause(400).tone(330, 950).tone(330, 1400).tone(330, 1800).pause(1000), Tones, "announcement"},
		"test tone":             {newSignal().tone(5000, 1004), Tones, "steady tone"},
		"a beep":                {newSignal().pause(600).tone(500, 1000).pause(2000), None, ""},
		"one burst of 1100 Hz":  {newSignal().pause(600).tone(500, 1100).pause(4000), None, ""},
		"short 2100 Hz":         {newSignal().pause(600).tone(500, 2100).pause(2000), None, ""},
		"keys":                  {keyTones(), None, ""},
		"white noise":           {noise(5), None, ""},
		"whistling":             {whistle(10), None, ""},
		"singing":               {sing(10), None, ""},
		"silence":               {newSignal().pause(10000), None, ""},
		"two tones, no framing": {newSignal().bits(1400, 1800, 45.45, strings.Repeat("0011010111010001011", 8)), None, ""},
	}
}

// double is every bit twice, and the stops put in after each character of six bits,
// in half bits.
func double(bits, stops string) string {
	var b strings.Builder
	for i := 0; i < len(bits); i += 6 {
		for _, c := range bits[i : i+6] {
			b.WriteString(string(c) + string(c))
		}
		b.WriteString(stops)
	}
	return b.String()
}

// spaceBar is what emergency lines ask the owner of a TTY to do when nobody answers.
func spaceBar() *signal {
	s := newSignal()
	for range 8 {
		s.bits(1400, 1800, 45.45, ones(7)+baudot(" ", "11")[8:]+ones(9)).pause(300)
	}
	return s
}

func ukRinging() *signal {
	s := newSignal()
	for range 4 {
		s.tone(400, 400, 450).pause(200).tone(400, 400, 450).pause(2000)
	}
	return s
}

func keyTones() *signal {
	s := newSignal()
	for i := range 12 {
		s.tone(100, []float64{697, 770, 852, 941}[i%4], []float64{1209, 1336, 1477}[i%3]).pause(120)
	}
	return s
}

func noise(seconds int) *signal {
	r := rand.New(rand.NewPCG(3, 4))
	s := newSignal()
	for range seconds * rate {
		s.pcm = append(s.pcm, 1500*r.NormFloat64())
	}
	return s
}

// whistle is a person's: nearly a pure tone, that glides from note to note and is
// never still.
func whistle(seconds int) *signal {
	r := rand.New(rand.NewPCG(5, 6))
	s := newSignal()
	notes := []float64{1047, 1175, 1319, 1397, 1568, 1760, 2093, 1100, 1300, 2100}
	f, phase := notes[0], 0.0
	for i := range seconds * rate {
		note := notes[i/(rate*7/10)%len(notes)]
		f += (note - f) / 400
		v := f * (1 + 0.012*math.Sin(2*math.Pi*5.5*float64(i)/rate) + 0.002*r.NormFloat64())
		phase += 2 * math.Pi * v / rate
		breath := 1.0
		if i%(3*rate) > 5*rate/2 {
			breath = 0.01
		}
		s.pcm = append(s.pcm, breath*(5000*math.Sin(phase)+150*r.NormFloat64()))
	}
	return s
}

// sing is a voice that holds its notes, with the vibrato and the harmonics of one.
func sing(seconds int) *signal {
	s := newSignal()
	notes := []float64{262, 294, 330, 349, 392, 440}
	phase := 0.0
	for i := range seconds * rate {
		x := float64(i) / rate
		f := notes[int(x/0.9)%len(notes)] * (1 + 0.02*math.Sin(2*math.Pi*5.6*x))
		phase += 2 * math.Pi * f / rate
		v := 0.0
		for h := 1.0; h*f < 3600; h++ {
			w := math.Exp(-math.Pow((h*f-700)/250, 2)) + 0.7*math.Exp(-math.Pow((h*f-1150)/250, 2)) + 0.3*math.Exp(-math.Pow((h*f-2800)/400, 2)) + 0.03
			v += w * math.Sin(h*phase)
		}
		env := math.Min(1, 8*math.Mod(x, 0.9)) * math.Min(1, 8*(0.9-math.Mod(x, 0.9)))
		s.pcm = append(s.pcm, 3500*env*v)
	}
	return s
}

// TestSignals: each signal is known on a clean line, at a low level in A-law, in noise of
// 15 dB, with 2 % of the packets lost, and nothing is taken for another.
func TestSignals(t *testing.T) {
	for name, want := range signals() {
		for _, line := range []struct {
			name  string
			law   codec.Law
			noise float64 // rms
			level float64
			loss  int
		}{
			{"A-law, 20 dB less", codec.ALaw, 0, 0.1, 0},
			{"noise 15 dB under", codec.MuLaw, 2828 * 0.178, 1, 0},
			{"2 % lost", codec.MuLaw, 20, 1, 2},
		} {
			s := &signal{pcm: append([]float64(nil), want.s.pcm...)}
			for i := range s.pcm {
				s.pcm[i] *= line.level
			}
			o := hear(s.line(line.law, line.noise, line.loss))
			got, says := o.Kind(), ""
			for _, e := range o.Evidence() {
				says = e.Says
				if e.LLR != 0 || e.Recording != 0 {
					t.Errorf("%s, %s: %+v weighs something", name, line.name, e)
				}
			}
			if got != want.kind || !strings.Contains(says, want.says) {
				t.Errorf("%s, %s: %q %q, want %q %q", name, line.name, got, says, want.kind, want.says)
			}
		}
	}
}

// TestKeys: text that is written with keys (ITU-T V.18 annex B), and what is not:
// numbers, menus, the codes of services.
func TestKeys(t *testing.T) {
	for keys, want := range map[string]bool{
		"3" + "2" + "#4" + "#4" + "#5" + "0" + "*1" + "5" + "9": true, // hello anz
		"##*3" + "##*1":  false, // too short
		"0034600123456#": false,
		"1234567890":     false,
		"*1*2*3*4*5*6":   false, // stars alone
		"1#2#3#4#5#6#":   false,
		"123*456#":       false,
		"*72#*73#":       false,
		"###*##**":       false,
	} {
		var o Observer
		for i := range len(keys) {
			o.Key(keys[i])
		}
		if got := o.Kind() == Text; got != want {
			t.Errorf("%s: %v, want %v", keys, got, want)
		}
	}
}

// TestPromptsAreSpeech: announcers are a voice.
func TestPromptsAreSpeech(t *testing.T) {
	var o Observer
	for i, pcm := 0, spoken(t); i+rate <= len(pcm); i += rate {
		o.Frame(pcm[i : i+rate])
		if k := o.Kind(); k != None || o.Speechless() {
			t.Fatalf("after %d s: %q", i/rate, k)
		}
	}
}

// TestFrames: the length of frames does not matter, and a gap takes its time.
func TestFrames(t *testing.T) {
	pcm := type45("HELLO GA").line(codec.ALaw, 20, 0)
	whole := hear(pcm)
	for _, n := range []int{1, 80, 240, 400} {
		var o Observer
		for rest := pcm; len(rest) > 0; rest = rest[min(n, len(rest)):] {
			o.Frame(rest[:min(n, len(rest))])
		}
		if o.Characters() != whole.Characters() || o.hops != whole.hops || whole.Characters() < 8 {
			t.Errorf("frames of %d: %d characters, %d hops; want %d and %d", n, o.Characters(), o.hops, whole.Characters(), whole.hops)
		}
	}
	var o Observer
	burst := newSignal().tone(500, 1100).line(codec.MuLaw, 0, 0)
	o.Frame(burst)
	o.Gap(3 * rate)
	o.Frame(burst)
	o.Gap(rate)
	if o.Kind() != Fax {
		t.Errorf("two bursts with nothing sent between: %q", o.Kind())
	}
	o.Gap(1 << 40)
}

func TestAllocates(t *testing.T) {
	pcm := type45("HELLO GA").line(codec.MuLaw, 20, 0)
	var o Observer
	if n := testing.AllocsPerRun(3, func() { o.Frame(pcm) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDistant: a voice that a room goes on after is a distant one; close to the
// microphone it is not, however loud, and neither is one in noise.
func TestDistant(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	room := make([]float64, rate*7/10) // 0.7 s, as loud as what comes straight
	power := 0.0
	for i := 40; i < len(room); i += 1 + r.IntN(25) {
		room[i] = r.NormFloat64() * math.Pow(10, -3*float64(i)/float64(len(room)))
		power += room[i] * room[i]
	}
	for i := range room {
		room[i] /= math.Sqrt(power)
	}
	room[0] = 1
	dry := spoken(t)[:10*rate]
	across := make([]float64, len(dry))
	for j, c := range room {
		if c == 0 {
			continue
		}
		for i := j; i < len(dry); i++ {
			across[i] += c * float64(dry[i-j])
		}
	}
	near := &signal{}
	for _, v := range dry {
		near.pcm = append(near.pcm, float64(v))
	}
	for _, c := range []struct {
		name  string
		s     *signal
		noise float64
		want  bool
	}{{"near", near, 5, false}, {"across a room", &signal{pcm: across}, 5, true}, {"in noise", &signal{pcm: across}, 800, false}} {
		o := hear(c.s.line(codec.MuLaw, c.noise, 0))
		if o.Distant() != c.want || o.Speechless() {
			t.Errorf("%s: distant %v, falls by %.0f dB", c.name, o.Distant(), o.distance.steepest())
		}
	}
}

// TestAnyAudio: whatever comes, nothing breaks, and no figure is other than finite.
func TestAnyAudio(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	var o Observer
	for range 1000 {
		pcm := make([]int16, 1+r.IntN(400))
		kind, f, a := r.IntN(6), 4000*r.Float64(), 32767*r.Float64()
		for i := range pcm {
			switch kind {
			case 0:
				pcm[i] = int16(r.Uint32())
			case 1:
				pcm[i] = 32767 - int16(i/int(1+f/40)%2)*32767
			case 2:
				pcm[i] = int16(a * math.Sin(2*math.Pi*f*float64(i)/rate))
			case 3:
				pcm[i] = -32768
			case 4:
				pcm[i] = int16(i % 2)
			}
		}
		o.Frame(pcm)
		if r.IntN(20) == 0 {
			o.Gap(r.IntN(3 * rate))
		}
		o.Key("0123456789*#ABCD"[r.IntN(16)])
	}
	o.Kind()
	o.Evidence()
	if s := o.tones.run.sum + o.tones.run.exact + o.tones.run.phase + o.music.second.db; math.IsNaN(s) || math.IsInf(s, 0) {
		t.Errorf("not finite: %v", s)
	}
}
