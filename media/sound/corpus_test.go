package sound

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/portero/portero/media/codec"
)

// clips reads a part of the corpus: the audio of each clip on a line at −26 dBFS
// over µ-law, and the columns of its row.
func clips(t testing.TB, part string, each int, use func(row map[string]string, pcm []int16)) {
	root := os.Getenv("PORTERO_CORPUS")
	if root == "" {
		t.Skip("PORTERO_CORPUS is not set: no speech corpus to measure with")
	}
	f, err := os.Open(filepath.Join(root, part, "manifest.csv"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(rows); i += each {
		row := map[string]string{}
		for j, name := range rows[0] {
			row[name] = rows[i][j]
		}
		b, err := os.ReadFile(filepath.Join(root, part, row["path"]))
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", row["path"], err)
		}
		pcm := a.PCM()
		for k, v := range pcm { // stored at −38 dBFS
			pcm[k] = int16(max(-32768, min(32767, math.Round(float64(v)*3.981))))
		}
		use(row, codec.Companded(pcm, codec.MuLaw))
	}
}

// TestCorpusSpeech: speech is not taken for anything else. Clips are joined, so that
// pauses, cadences and windows go over several.
func TestCorpusSpeech(t *testing.T) {
	for _, label := range []string{"human", "synthetic"} {
		var o Observer
		seconds := 0.0
		found := map[Kind]int{}
		speechless := 0
		last := None
		clips(t, "train", 1, func(row map[string]string, pcm []int16) {
			if row["label"] != label {
				return
			}
			before := o.hops
			for len(pcm) > 0 {
				n := min(rate, len(pcm))
				o.Frame(pcm[:n])
				pcm = pcm[n:]
				k := o.Kind()
				if k != None && k != last {
					found[k]++
					t.Logf("%s: %s %.3f %.1f", row["path"], o.Evidence()[0].Says, o.music.holds, o.music.swing)
				}
				last = k
				if k == Text || k == Fax || k == Modem {
					last, o = None, Observer{}
					before = 0
				}
			}
			if o.Speechless() {
				speechless++
			}
			seconds += float64(o.hops-before) / hopsASec
		})
		chars, bad := 0, 0
		for i := range o.channels {
			for j := range lines[i].codes {
				fr := &o.channels[i].framers[j]
				chars += fr.good
				bad += fr.bad
				t.Logf("%s %s: %d characters, %d faults, longest row %d", lines[i].name, lines[i].codes[j].says, fr.good, fr.bad, fr.longest)
			}
			t.Logf("%s flags %d", lines[i].name, o.channels[i].flags.most)
		}
		t.Logf("%s, %.2f h: %v, speechless %d; of tones %d, music %d, loud %d hops", label, seconds/3600, found, speechless, o.toned, o.musical, o.loud)
	}
}

// TestCorpusNoise: what the corpus has besides speech.
func TestCorpusNoise(t *testing.T) {
	clips(t, "noise", 1, func(row map[string]string, pcm []int16) {
		o := hear(pcm)
		says := ""
		for _, e := range o.Evidence() {
			says = e.Says
		}
		t.Logf("%-16s %-45s %q %s, speechless %v %.3f %.1f", row["kind"], filepath.Base(row["path"]), o.Kind(), says, o.Speechless(), o.music.holds, o.music.swing)
	})
}
