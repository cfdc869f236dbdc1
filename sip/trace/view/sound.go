package view

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/spectrum"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/sip/trace"
)

// Sound is what was heard of a call.
type Sound struct {
	Start time.Time  // of the first sample
	PCM   [2][]int16 // the caller's and the far side's samples at codec.Rate, in step
	Keys  []Key
	Cut   string // why it ends before the call; empty: it does not
}

// Key is a key that was pressed.
type Key struct {
	Side trace.Side
	Key  byte
	At   time.Time
}

// pictureColumns is how fine the pictures are, over the whole length of a sound.
const pictureColumns = 900

// picture is a sound as the page shows it.
type picture struct {
	Seconds float64
	Offset  float64 // s from the call's beginning to the first sample
	Sides   []sidePicture
	Lanes   []lane
	Ticks   []mark
	Audio   template.URL // empty: none
	Note    string       // what is missing
}

type sidePicture struct {
	Name   string
	Silent string // why there is nothing; empty: there is
	Width  int    // of the view box of
	Wave   string // this path: from 0 to 200, 100 is silence
	Image  template.URL
	Speech []mark // when it speaks
	Share  int    // of the time, %
	Peak   string
}

// lane is a row of marks of one kind.
type lane struct {
	Name, Class string
	Marks       []mark
}

// mark is something at a time, in parts of the sound's length.
type mark struct {
	Left, Width float64 // %
	At          float64 // s from the sound's beginning
	Since       string  // s from the call's, in words
	Label       string  // one or two characters
	Text        string
}

// newPicture draws a sound. audio says whether it may be played, too.
func newPicture(c *trace.Call, s *Sound, l *ladder, w *waterfall, audio bool) *picture {
	n := max(len(s.PCM[0]), len(s.PCM[1]))
	if n == 0 {
		return nil
	}
	start := began(c)
	p := &picture{Seconds: float64(n) / codec.Rate, Offset: s.Start.Sub(start).Seconds(), Note: s.Cut}
	loudest := 1000 // a line that is all noise is not drawn as if it were speech
	for _, pcm := range s.PCM {
		for _, v := range pcm {
			loudest = max(loudest, int(v), -int(v))
		}
	}
	for i, side := range []trace.Side{trace.Caller, trace.Far} {
		p.Sides = append(p.Sides, drawSide(side, Missing(c, side), s.PCM[i], loudest))
	}
	at := func(t time.Time, label, text string) (mark, bool) {
		m := mark{At: t.Sub(s.Start).Seconds(), Label: label, Text: text, Since: fmt.Sprintf("%.2f s", t.Sub(start).Seconds())}
		m.Left = m.At / p.Seconds * 100
		return m, m.Left >= -1e-9 && m.Left <= 100.000001
	}
	add := func(name, class string, marks []mark) {
		if len(marks) > 0 {
			p.Lanes = append(p.Lanes, lane{name, class, together(marks)})
		}
	}
	var signalling, evidence, decisions, keys []mark
	for _, r := range l.rungs {
		switch {
		case r.kind == decided:
			if m, ok := at(r.at, "◆", r.label); ok {
				decisions = append(decisions, m)
			}
		case r.kind == message && !r.onward && milestone(r):
			if m, ok := at(r.at, "", r.label); ok {
				signalling = append(signalling, m)
			}
		}
	}
	for i, e := range w.steps {
		if e.At == nil {
			continue
		}
		if m, ok := at(e.At.Time, fmt.Sprint(i+1), fmt.Sprintf("%s %+.2f: %s", clean(e.Name), e.Effect, clean(e.Says))); ok {
			evidence = append(evidence, m)
		}
	}
	for _, k := range s.Keys {
		if m, ok := at(k.At, string(rune(k.Key)), fmt.Sprintf("%s presses %c", k.Side, k.Key)); ok {
			keys = append(keys, m)
		}
	}
	add("Signalling", "signalling", signalling)
	add("Keys", "keys", keys)
	add("Evidence", "evidence", evidence)
	add("Decisions", "decisions", decisions)
	step := tickStep(p.Seconds)
	for k := math.Ceil(p.Offset / step); k*step <= p.Offset+p.Seconds; k++ {
		p.Ticks = append(p.Ticks, mark{Left: (k*step - p.Offset) / p.Seconds * 100, Label: fmt.Sprintf("%g", math.Round(k*step*10)/10)})
	}
	if audio {
		p.Audio = wavURL(s.PCM, n)
	}
	return p
}

// together makes one of marks that would lie upon each other.
func together(marks []mark) []mark {
	const near = 1.5 // %
	var out []mark
	for _, m := range marks {
		if n := len(out); n > 0 && m.Left-out[n-1].Left < near {
			last := &out[n-1]
			if m.Label != "" && len(last.Label) < 12 {
				last.Label += " " + m.Label
			}
			if len(last.Text) < 2000 {
				last.Text += "\n" + m.Since + ": " + m.Text
			}
			continue
		}
		out = append(out, m)
	}
	return out
}

// milestone says whether a message is worth a mark beside the sound.
func milestone(r rung) bool {
	if r.code > 0 {
		return r.code >= 180 && !strings.Contains(r.label, "(") // of an INVITE
	}
	return r.label != "ACK" && r.label != "PRACK" && r.label != "OPTIONS"
}

// tickStep is a round number of seconds, for about ten ticks.
func tickStep(seconds float64) float64 {
	for _, s := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600} {
		if seconds/s <= 12 {
			return s
		}
	}
	return 1800
}

func drawSide(side trace.Side, missing string, pcm []int16, loudest int) sidePicture {
	p := sidePicture{Name: string(side), Silent: missing}
	peak := 0
	for _, v := range pcm {
		peak = max(peak, int(v), -int(v))
	}
	if peak == 0 {
		if p.Silent == "" {
			p.Silent = "nothing but silence was heard"
		}
		return p
	}
	p.Silent = ""
	p.Peak = fmt.Sprintf("peak %.0f dBFS", 20*math.Log10(float64(peak)/32768))
	p.Width, p.Wave = wave(pcm, loudest)
	p.Image = spectrogramURL(pcm)
	p.Speech, p.Share = speech(pcm)
	return p
}

// wave is the outline of a sound, as the path of an SVG.
func wave(pcm []int16, loudest int) (width int, path string) {
	low, high := spectrum.Envelope(pcm, pictureColumns)
	var b strings.Builder
	y := func(v int16) int { return 100 - int(v)*99/loudest }
	for x, v := range high {
		lead := "L"
		if x == 0 {
			lead = "M"
		}
		fmt.Fprintf(&b, "%s%d %d", lead, x, y(v))
	}
	for x, v := range slices.Backward(low) {
		fmt.Fprintf(&b, "L%d %d", x, y(v)+1)
	}
	return max(len(low)-1, 1), b.String() + "Z"
}

// speech finds when a side speaks.
func speech(pcm []int16) (spans []mark, share int) {
	const frame = codec.Rate / 50
	var a voice.Activity
	n := float64(len(pcm))
	begun := -1
	end := func(at int) {
		if begun >= 0 {
			spans = append(spans, mark{Left: float64(begun) / n * 100, Width: float64(at-begun) / n * 100})
			begun = -1
		}
	}
	for i := 0; i < len(pcm); i += frame {
		a.Frame(pcm[i:min(i+frame, len(pcm))])
		switch {
		case a.Active() && begun < 0:
			begun = min(int(a.Started()*codec.Rate), i)
		case !a.Active():
			end(max(int(a.Ended()*codec.Rate), begun))
		}
	}
	end(len(pcm))
	return spans, int(math.Round(a.SpeechSeconds() / (n / codec.Rate) * 100))
}

const (
	rows   = 96 // of a spectrogram, 0 to 4 kHz
	shades = 24
)

// heat is a scale from dark to bright that eyes see as even, also those that do not
// tell red from green.
var heat = func() color.Palette {
	stops := []struct {
		at      float64
		r, g, b float64
	}{{0, 4, 6, 26}, {0.25, 59, 15, 112}, {0.5, 150, 44, 128}, {0.75, 241, 96, 93}, {0.9, 254, 176, 120}, {1, 252, 253, 191}}
	p := make(color.Palette, shades)
	for i := range p {
		x := float64(i) / (shades - 1)
		k := 1
		for stops[k].at < x {
			k++
		}
		a, b := stops[k-1], stops[k]
		t := (x - a.at) / (b.at - a.at)
		mix := func(u, v float64) uint8 { return uint8(math.Round(u + (v-u)*t)) }
		p[i] = color.RGBA{mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b), 255}
	}
	return p
}()

// spectrogramURL is the spectrogram as a PNG: from 70 dB below the loudest band up
// to that.
func spectrogramURL(pcm []int16) template.URL {
	s := spectrum.Of(pcm, pictureColumns)
	top := slices.Max(s.Level)
	bottom := max(top-70, spectrum.Floor)
	img := image.NewPaletted(image.Rect(0, 0, s.Columns, rows), heat)
	for c := range s.Columns {
		for y := range rows {
			band := (rows - 1 - y) * spectrum.Bins / rows
			level := s.Level[c*spectrum.Bins+band]
			shade := int((level - bottom) / (top - bottom + 1e-3) * (shades - 1))
			img.Pix[y*img.Stride+c] = uint8(min(max(shade, 0), shades-1))
		}
	}
	var b bytes.Buffer
	e := png.Encoder{CompressionLevel: png.BestCompression}
	_ = e.Encode(&b, img) // a buffer takes all
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

// wavBytes is how large a sound is in a page, before it is encoded in base64.
func (s *Sound) wavBytes() int { return 2*max(len(s.PCM[0]), len(s.PCM[1])) + 60 }

// wavURL is a stereo WAV file in µ-law, the caller left, which every browser plays:
// half as large as samples, and what the telephone made of the voice anyway.
func wavURL(sides [2][]int16, n int) template.URL {
	le := binary.LittleEndian
	b := make([]byte, 0, 60+2*n)
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(50+2*n))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, 7) // µ-law
	b = le.AppendUint16(b, 2)
	b = le.AppendUint32(b, codec.Rate)
	b = le.AppendUint32(b, 2*codec.Rate)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 8)
	b = le.AppendUint16(b, 0)
	b = append(b, "fact"...)
	b = le.AppendUint32(b, 4)
	b = le.AppendUint32(b, uint32(n))
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(2*n))
	var coded [2][]byte
	for i, pcm := range sides {
		coded[i] = codec.MuLaw.Encode(nil, pcm)
	}
	for k := range n {
		for _, side := range coded {
			v := codec.MuLaw.Silence()
			if k < len(side) {
				v = side[k]
			}
			b = append(b, v)
		}
	}
	return template.URL("data:audio/wav;base64," + base64.StdEncoding.EncodeToString(b))
}

// decoded are the codecs that are heard.
var decoded = []string{"PCMU", "PCMA", "G722", "OPUS"}

// Missing says in words why a side of a call was not heard; empty if it should have
// been.
func Missing(c *trace.Call, side trace.Side) string {
	best := c.FarStream()
	if side == trace.Caller {
		best = c.CallerStream()
	}
	switch {
	case best == nil:
		return "no RTP of this side is in the capture"
	case best.SRTP:
		return "it is encrypted (SRTP)"
	case !slices.Contains(decoded, strings.ToUpper(best.Codec)):
		return "its codec, " + clean(codecOf(best)) + ", is not decoded"
	}
	return ""
}
