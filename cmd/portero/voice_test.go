package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
)

// hum is a buzz of changing colour in syllables with a hiss between them: enough
// for the listener to take it for a voice.
func hum(seconds float64, rate int, pitch float64) []int16 {
	rng := rand.New(rand.NewPCG(1, uint64(pitch)))
	x := make([]int16, int(seconds*float64(rate)))
	phase, last := 0.0, 0.0
	for i := range x {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (pitch + 20*math.Sin(3*t)) / float64(rate)
		v := 0.0
		for h := 1.0; h < 12; h++ {
			v += math.Sin(h*phase) / math.Pow(h, 1+math.Sin(5*t))
		}
		hiss := rng.NormFloat64()
		x[i] = int16(2000*v*math.Max(0, math.Sin(8*t)) + 600*(hiss-last)*math.Max(0, math.Sin(8*t+2.5)) + 8*hiss)
		last = hiss
	}
	return x
}

func writeWAV(t *testing.T, file string, rate int, pcm []int16) string {
	t.Helper()
	var b bytes.Buffer
	if err := codec.WriteWAV(&b, rate, pcm); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestVoiceScore(t *testing.T) {
	dir := t.TempDir()
	narrow := writeWAV(t, filepath.Join(dir, "8k.wav"), 8000, hum(6, 8000, 120))
	wide := writeWAV(t, filepath.Join(dir, "44k.wav"), 44100, hum(6, 44100, 120))
	silent := writeWAV(t, filepath.Join(dir, "silence.wav"), 8000, make([]int16, 8000))
	broken := filepath.Join(dir, "broken.wav")
	if err := os.WriteFile(broken, []byte("RIFF????WAVE"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.flac")
	var out, errs bytes.Buffer
	c := voiceScoreCmd{JSON: true, Files: []string{missing, narrow, broken, wide, silent}}
	if err := c.Run(output{&out, &errs}); !errors.Is(err, errReported) {
		t.Errorf("two of five files are bad, yet Run returns %v", err)
	}
	complaints := strings.Split(strings.TrimSpace(errs.String()), "\n")
	if len(complaints) != 2 || !strings.HasPrefix(complaints[0], missing+": ") || !strings.Contains(complaints[1], "no data chunk") {
		t.Errorf("complaints %q: want one line each for %s and %s", complaints, missing, broken)
	}
	var lines []scoreLine
	for d := json.NewDecoder(&out); d.More(); {
		var raw map[string]any
		if err := d.Decode(&raw); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"file", "seconds", "speech_seconds", "llr", "p_synthetic"} {
			if _, ok := raw[k]; !ok {
				t.Errorf("no %q in %v", k, raw)
			}
		}
		b, _ := json.Marshal(raw)
		var l scoreLine
		if err := json.Unmarshal(b, &l); err != nil {
			t.Fatal(err)
		}
		if p := 1 / (1 + math.Exp(-l.LLR)); math.Abs(p-l.PSynthetic) > 1e-6 {
			t.Errorf("%s: p %g does not follow from LLR %g", l.File, l.PSynthetic, l.LLR)
		}
		lines = append(lines, l)
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines, want the 3 readable files", len(lines))
	}
	if lines[0].File != narrow || lines[0].Seconds != 6 || lines[0].SpeechSeconds < 2 {
		t.Errorf("got %+v", lines[0])
	}
	if math.Abs(lines[0].SpeechSeconds-lines[1].SpeechSeconds) > 1 {
		t.Errorf("%g s of speech at 8 kHz, %g at 44.1 kHz", lines[0].SpeechSeconds, lines[1].SpeechSeconds)
	}
	if l := lines[2]; l.LLR != 0 || l.PSynthetic != .5 || l.Abstained == "" {
		t.Errorf("silence gives %+v, want an abstention", l)
	}
}

func TestVoiceScoreForPeople(t *testing.T) {
	file := writeWAV(t, filepath.Join(t.TempDir(), "a.wav"), 8000, hum(6, 8000, 120))
	var out, errs bytes.Buffer
	if err := (&voiceScoreCmd{Files: []string{file}}).Run(output{&out, &errs}); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.HasPrefix(s, file+": 6.0 s, LLR ") || !strings.Contains(s, "unlike any speech") || strings.Count(s, "\n") != 1 {
		t.Errorf("got %q", s)
	}
	if err := (&voiceScoreCmd{Model: file, Files: []string{file}}).Run(output{&out, &errs}); err == nil || !strings.Contains(err.Error(), "voice model") {
		t.Errorf("a sound as model: %v", err)
	}
}

// Two sorts of buzz are told apart by a model made here, and the command reads
// back what it wrote.
func TestVoiceTrainAndEval(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model, some seconds")
	}
	dir := t.TempDir()
	manifest := "path,label,kind,source,generator_or_speaker\n"
	for i := range 32 {
		label, pitch := "human", 100+float64(i)
		if i%2 == 1 {
			label, pitch = "synthetic", 220+float64(i)
		}
		name := fmt.Sprint(i, ".wav")
		writeWAV(t, filepath.Join(dir, name), 8000, hum(5, 8000, pitch))
		manifest += fmt.Sprintf("%s,%s,buzz,source%d,speaker%d\n", name, label, i/4, i)
	}
	csv := filepath.Join(dir, "manifest.csv")
	if err := os.WriteFile(csv, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(dir, "model.json")
	var out, errs bytes.Buffer
	p := output{&out, &errs}
	if err := (&voiceTrainCmd{corpusFlags: corpusFlags{Manifest: []string{csv}, Seed: 1, Rounds: 15}, Out: model}).Run(p); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	page := filepath.Join(dir, "figures.html")
	if err := (&voiceEvalCmd{corpusFlags: corpusFlags{Manifest: []string{csv}, Seed: 1, Rounds: 15}, Model: model, HTML: page}).Run(p); err != nil {
		t.Fatal(err)
	}
	told := false
	for line := range strings.Lines(out.String()) {
		f := strings.Fields(line)
		told = told || len(f) > 6 && slices.Equal(f[:7], []string{"whole", "clip", "16", "16", "100", "0.0", "1.000"})
	}
	if !told {
		t.Errorf("a pitch an octave apart is not told apart:\n%s", out.String())
	}
	b, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(b, []byte("<svg")) || !bytes.Contains(b, []byte("double transcoding")) {
		t.Errorf("the page of figures: %v, %d bytes", err, len(b))
	}
}

// A line for each second of speech, the last of which says what the end says.
func TestVoiceScoreEachSecond(t *testing.T) {
	file := writeWAV(t, filepath.Join(t.TempDir(), "a.wav"), 8000, hum(6, 8000, 120))
	var each, end, errs bytes.Buffer
	if err := (&voiceScoreCmd{Each: true, JSON: true, Files: []string{file}}).Run(output{&each, &errs}); err != nil {
		t.Fatal(err)
	}
	if err := (&voiceScoreCmd{JSON: true, Files: []string{file}}).Run(output{&end, &errs}); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(each.String(), "\n"), "\n")
	if len(lines) < 4 || lines[len(lines)-1]+"\n" != end.String() {
		t.Fatalf("%d lines, the last %q; at the end %q", len(lines), lines[len(lines)-1], end.String())
	}
	last := 0.0
	for i, l := range lines {
		var s scoreLine
		if err := json.Unmarshal([]byte(l), &s); err != nil {
			t.Fatal(err)
		}
		if s.SpeechSeconds < last || i < len(lines)-1 && math.Floor(s.SpeechSeconds) < float64(i+1) {
			t.Errorf("line %d after %.2f s of speech", i, s.SpeechSeconds)
		}
		last = s.SpeechSeconds
		if s.Abstained == "" && (len(s.Reasons) != 3 || s.Uncertainty <= 0) {
			t.Errorf("line %d: %+v: a score needs three reasons and its uncertainty", i, s)
		}
	}
}

func TestVoiceManifestRefused(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ text, want string }{
		{"", "empty"},
		{"path,label\n", `no column "source"`},
		{"path,label,source,generator_or_speaker\na.wav,robot,s,g\n", `row 2: label "robot"`},
		{"path,label,source,generator_or_speaker\nnone.wav,human,s,g\n", "row 2: none.wav"},
		{"path,label,source,generator_or_speaker,weight\na.wav,human,s,g,none\n", `row 2: weight "none"`},
		{"path,label,source,generator_or_speaker\nshort,human\n", "wrong number of fields"},
	} {
		csv := filepath.Join(dir, "m.csv")
		if err := os.WriteFile(csv, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&voiceEvalCmd{corpusFlags: corpusFlags{Manifest: []string{csv}}}).Run(output{&bytes.Buffer{}, &bytes.Buffer{}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v does not say %q", c.text, err, c.want)
		}
	}
}
