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
	Model string   `type:"path" placeholder:"FILE" help:"Model to judge by instead of the built-in one."`
	Files []string `arg:"" name:"file" help:"WAV or FLAC files, 8 to 192 kHz; channels are mixed."`
}

// scoreLine is a line of `voice score --json`.
type scoreLine struct {
	File          string  `json:"file"`
	Seconds       float64 `json:"seconds"`
	SpeechSeconds float64 `json:"speech_seconds"`
	LLR           float64 `json:"llr"`
	PSynthetic    float64 `json:"p_synthetic"`
	Abstained     string  `json:"abstained,omitempty"`
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
		s := listen(m, codec.Companded(pcm, codec.MuLaw))
		if err := c.print(p.Out(), file, s); err != nil {
			return err
		}
	}
	return failed
}

func (c *voiceScoreCmd) print(out io.Writer, file string, s voice.Score) error {
	if !c.JSON {
		_, err := fmt.Fprintf(out, "%s: %.1f s, LLR %+.2f, p(synthetic) %.2f: %s\n", file, s.Seconds, s.LLR, s.PSynthetic, s.Says)
		return err
	}
	b, err := json.Marshal(scoreLine{
		File: file, Seconds: digits(s.Seconds, 3), SpeechSeconds: digits(s.SpeechSeconds, 3),
		LLR: digits(s.LLR, 4), PSynthetic: digits(1/(1+math.Exp(-digits(s.LLR, 4))), 6), Abstained: s.Abstained,
	})
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

// listen hears pcm as a call's 20 ms packets.
func listen(m *voice.Model, pcm []int16) voice.Score {
	l := voice.NewListener(m)
	for frame := range slices.Chunk(pcm, codec.Rate/50) {
		l.Frame(frame)
	}
	return l.Score()
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
	Manifest []string `required:"" type:"existingfile" placeholder:"CSV" help:"Recordings, repeatable: CSV with the columns path (beside the manifest), label (human or synthetic), source, generator_or_speaker, and kind if known."`
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

func (c *corpusFlags) read() ([]training.Clip, [][]int16, error) {
	var clips []training.Clip
	for _, m := range c.Manifest {
		more, err := readClips(m)
		if err != nil {
			return nil, nil, err
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
		pcm, err := readPCM(filepath.Join(filepath.Dir(manifest), r["path"]))
		if err != nil {
			return nil, fmt.Errorf("%s: row %d: %s: %w", manifest, i+2, r["path"], err)
		}
		clips = append(clips, training.Clip{
			Path: r["path"], Synthetic: r["label"] == "synthetic", Kind: r["kind"],
			Source: r["source"], Speaker: r["generator_or_speaker"], PCM: pcm,
		})
	}
	return clips, nil
}

func (c *corpusFlags) readNoise() ([][]int16, error) {
	if c.Noise == "" {
		return nil, nil
	}
	rows, err := readCSV(c.Noise, "path", "kind")
	if err != nil {
		return nil, err
	}
	var noises [][]int16
	for i, r := range rows {
		switch k := r["kind"]; {
		case strings.Contains(k, "noise"), k == "environment", k == "office", k == "babble", k == "ambience":
			pcm, err := readPCM(filepath.Join(filepath.Dir(c.Noise), r["path"]))
			if err != nil {
				return nil, fmt.Errorf("%s: row %d: %s: %w", c.Noise, i+2, r["path"], err)
			}
			if len(pcm) > 0 {
				noises = append(noises, pcm)
			}
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

// Run trains a model, calibrates it on held-out sources, prints the held-out
// figures and writes the model.
func (c *voiceTrainCmd) Run(p printer) error {
	clips, noises, err := c.read()
	if err != nil {
		return err
	}
	o := c.options()
	say := progress(p.Err())
	say("%d clips, %d noises read", len(clips), len(noises))
	rows := training.Rows(clips, noises, o.Copies, o.Seed)
	say("%d rows of %d features", len(rows), len(voice.FeatureNames()))
	raw, err := training.HeldOut(clips, rows, o)
	if err != nil {
		return fmt.Errorf("training for held-out scores: %w", err)
	}
	say("held-out scores made")
	m, err := training.Train(clips, rows, raw, o)
	if err != nil {
		return fmt.Errorf("training: %w", err)
	}
	training.Report(p.Out(), clips, rows, raw, m.Cal)
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		return err
	}
	return os.WriteFile(c.Out, b.Bytes(), 0o644)
}

type voiceEvalCmd struct {
	corpusFlags
	Model   string `type:"path" placeholder:"FILE" help:"Model to measure instead of the built-in one."`
	HeldOut bool   `help:"Measure how the recordings teach instead of a model: train without each source and score it."`
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
	rows := training.Rows(clips, noises, o.Copies, o.Seed)
	raw := make([]float64, len(rows))
	cal := m.Cal
	if c.HeldOut {
		if raw, err = training.HeldOut(clips, rows, o); err != nil {
			return err
		}
		if cal, err = training.Calibrate(clips, rows, raw); err != nil {
			return err
		}
	} else {
		for i, r := range rows {
			raw[i] = m.Raw(r.X)
		}
	}
	training.Report(p.Out(), clips, rows, raw, cal)
	return nil
}

// progress prints what was done and when, s since the start.
func progress(w io.Writer) func(format string, args ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(w, "%5.0f s: %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
}
