package voice_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/media/voice/training"
)

// The built-in model on a part of the corpus it was trained on: not a measure of
// what it is worth (MODEL.md has that), but of whether the model, the features
// and the line still belong together. Levels and offsets must not move scores.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("PORTERO_CORPUS")
	if dir == "" {
		t.Skip("PORTERO_CORPUS is not set: the folder with train/manifest.csv is not there to test on")
	}
	f, err := os.Open(filepath.Join(dir, "train", "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var scored, moved []training.Scored
	for i := 1; i < len(rows); i += 16 {
		clip, err := os.Open(filepath.Join(dir, "train", rows[i][0]))
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(clip)
		clip.Close()
		if err != nil {
			t.Fatalf("%s: %v", rows[i][0], err)
		}
		line := training.CleanLine(a.PCM())
		s := hear(line)
		if s.Abstained != "" {
			continue
		}
		synthetic := rows[i][1] == "synthetic"
		scored = append(scored, training.Scored{Score: s.LLR, Synthetic: synthetic, Source: rows[i][3]})
		wide := hear(new(codec.G722Decoder).Decode(nil, new(codec.G722Encoder).Encode(nil, line)))
		moved = append(moved, training.Scored{Score: wide.LLR - s.LLR})
		for j := range line {
			line[j] = line[j]/4 + 300
		}
		quiet := hear(codec.Companded(line, codec.ALaw))
		moved = append(moved, training.Scored{Score: quiet.LLR - s.LLR})
	}
	if f := training.Measure(scored); f.AUC < 0.95 || f.Human < 40 || f.Synthetic < 40 {
		t.Errorf("on clips it has learnt from: %+v, want an AUC over 0.95", f)
	}
	var sum float64
	for _, m := range moved {
		sum += max(m.Score, -m.Score)
	}
	if mean := sum / float64(len(moved)); mean > 0.4 {
		t.Errorf("12 dB less, A-law and an offset, or G.722, move scores by %.2f on average, at most 0.4", mean)
	}
}

func hear(pcm []int16) voice.Score {
	l := voice.NewListener(voice.Default())
	l.Frame(pcm)
	return l.Score()
}
