package acoustic

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/portero/portero/media/codec"
)

// severalTimes are the sources of the corpus that hold one utterance in several
// noises or by several codecs: what is found there is there.
var severalTimes = regexp.MustCompile(`microsoft-|VoiceBank|MS-SNSD`)

// TestRepeatsCorpus: what people in the corpus say in a minute, clip after clip, is
// not said twice.
func TestRepeatsCorpus(t *testing.T) {
	root := os.Getenv("PORTERO_CORPUS")
	if root == "" {
		t.Skip("PORTERO_CORPUS is not set: no speech corpus to measure with")
	}
	f, err := os.Open(filepath.Join(root, "train", "manifest.csv"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	calls, found := map[bool]int{}, map[bool]int{}
	var call []int16
	last := ""
	end := func() {
		if len(call) > 10*codec.Rate {
			several := severalTimes.MatchString(last)
			calls[several]++
			if e := look(call).Evidence(); len(e) > 0 {
				found[several]++
				t.Logf("%s, %.0f s: %s", last, float64(len(call))/codec.Rate, e[0].Says)
			}
		}
		call = nil
	}
	for i, row := range rows[1:] {
		if i > 0 && (row[4] != rows[i][4] || len(call) > 50*codec.Rate) {
			end()
		}
		if row[1] != "human" {
			continue
		}
		last = row[0]
		b, err := os.ReadFile(filepath.Join(root, "train", row[0]))
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", row[0], err)
		}
		pcm := a.PCM()
		for k, v := range pcm { // stored at −38 dBFS
			pcm[k] = int16(max(-32768, min(32767, math.Round(float64(v)*3.981))))
		}
		call = append(append(call, codec.Companded(pcm, codec.MuLaw)...), make([]int16, codec.Rate/2)...)
	}
	end()
	t.Logf("found in %d of %d calls, and in %d of %d of sources with one utterance in several noises", found[false], calls[false], found[true], calls[true])
	if found[false] > 0 || calls[false] < 200 {
		t.Error("people repeat themselves sound for sound")
	}
}
