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

// TestCorpusSpeech: speech is not taken for anything else. Clips are joined into calls
// of about a minute, so that pauses, cadences and windows go over several, and what
// holds of a call is seen.
func TestCorpusSpeech(t *testing.T) {
	for _, label := range []string{"human", "synthetic"} {
		var o Observer
		var seconds float64
		calls, speechless, characters, flags := 0, 0, 0, 0
		alarms := map[Kind]int{}
		last := None
		end := func() {
			if calls++; o.Speechless() {
				speechless++
			}
			for i := range o.channels {
				characters += o.channels[i].characters()
				flags = max(flags, o.channels[i].flags.most)
			}
			seconds += float64(o.hops) / hopsASec
			o, last = Observer{}, None
		}
		clips(t, "train", 1, func(row map[string]string, pcm []int16) {
			if row["label"] != label {
				return
			}
			for ; len(pcm) > 0; pcm = pcm[min(rate, len(pcm)):] {
				o.Frame(pcm[:min(rate, len(pcm))])
				if k := o.Kind(); k != last {
					if last = k; k != None {
						alarms[k]++
						t.Logf("%s: %s", row["path"], o.Evidence()[0].Says)
					}
				}
			}
			if o.hops >= 50*hopsASec {
				end()
			}
		})
		end()
		t.Logf("%s, %.2f h in %d calls: alarms %v, calls without a voice %d; characters %d, flags in a row %d", label, seconds/3600, calls, alarms, speechless, characters, flags)
		if len(alarms) > 0 || speechless > 0 {
			t.Errorf("%s: %v, %d calls without a voice", label, alarms, speechless)
		}
	}
}

// TestCorpusNoise: what the corpus has besides speech, and how much of it is known.
func TestCorpusNoise(t *testing.T) {
	want := map[string]Kind{"music": Music, "ringback": Tones, "busy": Tones, "dialtone": Tones, "fax": Fax, "tone": Tones, "modem": Modem}
	found, all := map[string]int{}, map[string]int{}
	clips(t, "noise", 1, func(row map[string]string, pcm []int16) {
		o := hear(pcm)
		k := o.Kind()
		all[row["kind"]]++
		if k != None {
			found[row["kind"]]++
		}
		switch w, known := want[row["kind"]]; {
		case known && k != w && w != Music, !known && (k == Text || k == Fax || k == Modem):
			t.Errorf("%s, %s: %q", row["path"], row["kind"], k)
		case !known && k != None:
			t.Logf("%s, %s: %s", row["path"], row["kind"], o.Evidence()[0].Says)
		}
	})
	t.Logf("known as something but speech and noise: %v of %v", found, all)
	if found["music"] < 12 || found["babble"]+found["room/line noise"]+found["office"]+found["environment"] > 0 {
		t.Errorf("known as something: %v of %v", found, all)
	}
}
