package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/media/voice/training"
)

// voiceCmd judges voices in files, and makes and measures the model for it.
type voiceCmd struct {
	Score voiceScoreCmd `cmd:"" help:"Say how likely the speech in WAV or FLAC files is synthetic."`
	Train voiceTrainCmd `cmd:"" help:"Make a model from labelled recordings."`
	Eval  voiceEvalCmd  `cmd:"" help:"Measure a model on labelled recordings."`
}

type voiceScoreCmd struct {
	JSON  bool     `help:"One JSON object a line."`
	Each  bool     `help:"A line after each second of speech, beside the one at the end."`
	Model string   `type:"path" placeholder:"FILE" help:"Model to judge by instead of the built-in one."`
	Files []string `arg:"" name:"file" help:"WAV or FLAC files, 8 to 192 kHz; channels are mixed."`
}

// scoreLine is a line of `voice score --json`.
type scoreLine struct {
	File          string        `json:"file"`
	Seconds       float64       `json:"seconds"`
	SpeechSeconds float64       `json:"speech_seconds"`
	LLR           float64       `json:"llr"`
	Uncertainty   float64       `json:"uncertainty"` // standard deviation of llr
	PSynthetic    float64       `json:"p_synthetic"`
	Reasons       []scoreReason `json:"reasons,omitempty"`
	Abstained     string        `json:"abstained,omitempty"`
}

// scoreReason is an aspect of the voice and its part in the ratio.
type scoreReason struct {
	What string  `json:"what"`
	LLR  float64 `json:"llr"`
}

// Run scores each file as if it came over a telephone line: 8 kHz, µ-law, the
// listener of live calls. A file that cannot be read gives a line on standard
// error, the others are still scored, and the exit status is 1 at the end.
func (c *voiceScoreCmd) Run(p printer) error {
	m, err := readModel(c.Model)
	if err != nil {
		return err
	}
	var failed error
	for _, file := range c.Files {
		pcm, err := readPCM(file)
		if err != nil {
			failed = errReported
			fmt.Fprintf(p.Err(), "%s: %v\n", file, err)
			continue
		}
		l, second := voice.NewListener(m), 1.0
		for frame := range slices.Chunk(codec.Companded(pcm, codec.MuLaw), codec.Rate/50) {
			l.Frame(frame)
			if c.Each && l.Activity().SpeechSeconds() >= second {
				second = math.Floor(l.Activity().SpeechSeconds()) + 1
				if err := c.print(p.Out(), file, l); err != nil {
					return err
				}
			}
		}
		if err := c.print(p.Out(), file, l); err != nil {
			return err
		}
	}
	return failed
}

func (c *voiceScoreCmd) print(out io.Writer, file string, l *voice.Listener) error {
	s := l.Score()
	if !c.JSON {
		_, err := fmt.Fprintf(out, "%s: %.1f s, LLR %+.2f ±%.2f, p(synthetic) %.2f: %s\n", file, s.Seconds, s.LLR, s.Uncertainty, s.PSynthetic, s.Says)
		return err
	}
	line := scoreLine{
		File: file, Seconds: digits(s.Seconds, 3), SpeechSeconds: digits(s.SpeechSeconds, 3),
		LLR: digits(s.LLR, 4), Uncertainty: digits(s.Uncertainty, 3),
		PSynthetic: digits(1/(1+math.Exp(-digits(s.LLR, 4))), 6), Abstained: s.Abstained,
	}
	for _, r := range l.Reasons() {
		line.Reasons = append(line.Reasons, scoreReason{r.What, digits(r.LLR, 3)})
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = out.Write(append(b, '\n'))
	return err
}

func digits(v float64, n int) float64 {
	p := math.Pow(10, float64(n))
	return math.Round(v*p) / p
}

func readPCM(file string) ([]int16, error) {
	f, err := os.Open(file)
	if err != nil {
		var p *os.PathError
		if errors.As(err, &p) {
			err = p.Err // the line names the file already
		}
		return nil, err
	}
	defer f.Close()
	a, err := codec.Read(f)
	if err != nil {
		return nil, err
	}
	return a.PCM(), nil
}

func readModel(file string) (*voice.Model, error) {
	if file == "" {
		return voice.Default(), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := voice.ReadModel(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// corpusFlags name labelled recordings.
type corpusFlags struct {
	Manifest []string `required:"" type:"existingfile" placeholder:"CSV" help:"Recordings, repeatable: CSV with the columns path (beside the manifest), label (human or synthetic), source, generator_or_speaker; and, if known, kind, language, and weight in training (1)."`
	Noise    string   `type:"existingfile" placeholder:"CSV" help:"Noise to mix in: CSV with the columns path and kind; of music and tones nothing is taken."`
	Seed     uint64   `default:"1" help:"Seed of everything drawn."`
	Rounds   int      `placeholder:"N" help:"Trees to grow, instead of as many as the built-in model has."`
}

func (c *corpusFlags) options() training.Options {
	o := training.Defaults()
	o.Seed = c.Seed
	if c.Rounds > 0 {
		o.Rounds = c.Rounds
	}
	return o
}

func (c *corpusFlags) read() ([]training.Clip, training.Noises, error) {
	var clips []training.Clip
	for _, m := range c.Manifest {
		more, err := readClips(m)
		if err != nil {
			return nil, training.Noises{}, err
		}
		clips = append(clips, more...)
	}
	noises, err := c.readNoise()
	return clips, noises, err
}

func readClips(manifest string) ([]training.Clip, error) {
	rows, err := readCSV(manifest, "path", "label", "source", "generator_or_speaker")
	if err != nil {
		return nil, err
	}
	var clips []training.Clip
	for i, r := range rows {
		if r["label"] != "human" && r["label"] != "synthetic" {
			return nil, fmt.Errorf("%s: row %d: label %q: human or synthetic is allowed", manifest, i+2, r["label"])
		}
		weight := 0.0
		if v := r["weight"]; v != "" {
			if weight, err = strconv.ParseFloat(v, 64); err != nil || !(weight > 0) {
				return nil, fmt.Errorf("%s: row %d: weight %q: a number over 0 is needed", manifest, i+2, v)
			}
		}
		pcm, err := readPCM(filepath.Join(filepath.Dir(manifest), r["path"]))
		if err != nil {
			return nil, fmt.Errorf("%s: row %d: %s: %w", manifest, i+2, r["path"], err)
		}
		clips = append(clips, training.Clip{
			Path: r["path"], Synthetic: r["label"] == "synthetic", Kind: r["kind"],
			Source: r["source"], Speaker: r["generator_or_speaker"], Language: r["language"], Weight: weight, PCM: pcm,
		})
	}
	return clips, nil
}

func (c *corpusFlags) readNoise() (training.Noises, error) {
	var noises training.Noises
	if c.Noise == "" {
		return noises, nil
	}
	rows, err := readCSV(c.Noise, "path", "kind")
	if err != nil {
		return noises, err
	}
	for i, r := range rows {
		var to *[][]int16
		switch k := r["kind"]; {
		case strings.Contains(k, "noise"), k == "environment", k == "office", k == "babble", k == "ambience":
			to = &noises.Noise
		case k == "music":
			to = &noises.Music
		default:
			continue
		}
		pcm, err := readPCM(filepath.Join(filepath.Dir(c.Noise), r["path"]))
		if err != nil {
			return noises, fmt.Errorf("%s: row %d: %s: %w", c.Noise, i+2, r["path"], err)
		}
		if len(pcm) > 0 {
			*to = append(*to, pcm)
		}
	}
	return noises, nil
}

// readCSV reads a table with a header that has at least the columns named.
func readCSV(file string, columns ...string) ([]map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: empty, a header is needed: %s", file, strings.Join(columns, ","))
	}
	for _, c := range columns {
		if !slices.Contains(all[0], c) {
			return nil, fmt.Errorf("%s: no column %q", file, c)
		}
	}
	var rows []map[string]string
	for _, line := range all[1:] {
		r := map[string]string{}
		for i, v := range line {
			r[all[0][i]] = v
		}
		rows = append(rows, r)
	}
	return rows, nil
}

type voiceTrainCmd struct {
	corpusFlags
	Out string `required:"" type:"path" placeholder:"MODEL" help:"File to write the model to."`
}

// Run trains a model, calibrates it on held-out sources, writes it, and prints the
// held-out figures over the reference line.
func (c *voiceTrainCmd) Run(p printer) error {
	clips, noises, err := c.read()
	if err != nil {
		return err
	}
	o := c.options()
	say := progress(p.Err())
	say("%d clips, %d noises, %d pieces of music read", len(clips), len(noises.Noise), len(noises.Music))
	all, rows := training.Prepare(clips, noises, o)
	say("%d rows of %d features of %d clips and calls", len(rows), len(voice.FeatureNames()), len(all))
	held, err := training.HoldOut(all, rows, o)
	if err != nil {
		return fmt.Errorf("training for held-out scores: %w", err)
	}
	raw := held.Rows(all, rows)
	say("held-out scores made")
	m, err := training.Train(all, rows, raw, o)
	if err != nil {
		return fmt.Errorf("training: %w", err)
	}
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		return err
	}
	if err := os.WriteFile(c.Out, b.Bytes(), 0o644); err != nil {
		return err
	}
	say("%s written; measuring what the held-out models say", c.Out)
	evaluate(clips, training.Conditions()[:1], noises, o.Seed, func(clip *training.Clip, x []float64, seconds float64) float64 {
		return training.By(held.Model(clip), m.Cal, x, seconds)
	}).Text(p.Out())
	return nil
}

// evaluate measures a judge over the lines given, the reference first, and over
// joined calls.
func evaluate(clips []training.Clip, lines []training.Condition, noises training.Noises, seed uint64, judge training.Judge) *training.Evaluation {
	calls := training.Calls(clips, seed)
	return training.Evaluate(
		clips, training.MeasureRows(clips, lines, noises, seed),
		calls, training.MeasureRows(calls, training.Conditions()[:1], noises, seed),
		judge)
}

type voiceEvalCmd struct {
	corpusFlags
	Model   string `type:"path" placeholder:"FILE" help:"Model to measure instead of the built-in one."`
	HeldOut bool   `help:"Measure how the recordings teach instead of a model: train without each source and score it."`
	HTML    string `name:"html" type:"path" placeholder:"FILE" help:"Write a page with the tables, error trade-off curves and histograms."`
}

// Run measures. A model's figures on recordings that it has learnt from mean
// nothing: --held-out is for those.
func (c *voiceEvalCmd) Run(p printer) error {
	clips, noises, err := c.read()
	if err != nil {
		return err
	}
	m, err := readModel(c.Model)
	if err != nil {
		return err
	}
	o := c.options()
	title := "Synthetic speech: a model's figures"
	judge := func(_ *training.Clip, x []float64, seconds float64) float64 {
		return training.By(m, m.Cal, x, seconds)
	}
	if c.HeldOut {
		title = "Synthetic speech: figures of sources, speakers and synthesizers not trained on"
		all, rows := training.Prepare(clips, noises, o)
		held, err := training.HoldOut(all, rows, o)
		if err != nil {
			return err
		}
		cal, err := training.Calibrate(all, rows, held.Rows(all, rows))
		if err != nil {
			return err
		}
		judge = func(clip *training.Clip, x []float64, seconds float64) float64 {
			return training.By(held.Model(clip), cal, x, seconds)
		}
	}
	e := evaluate(clips, training.Conditions(), noises, o.Seed, judge)
	e.Text(p.Out())
	if c.HTML == "" {
		return nil
	}
	var b bytes.Buffer
	if err := e.HTML(&b, title); err != nil {
		return err
	}
	return os.WriteFile(c.HTML, b.Bytes(), 0o644)
}

// progress prints what was done and when, s since the start.
func progress(w io.Writer) func(format string, args ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(w, "%5.0f s: %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
}
