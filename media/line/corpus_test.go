package line

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/portero/portero/media/codec"
)

// What each class of the speech corpus gives, −26 dBFS over µ-law. The corpus
// has no packets, and its silences are partly those of studios: the figures
// say how little these features may weigh, not how well they work.
func TestCorpus(t *testing.T) {
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
	type tally struct{ clips, silence, noisy int }
	byKind := map[string]*tally{}
	byLabel := map[string]*tally{"human": {}, "synthetic": {}}
	for i, r := range rows[1:] {
		if i%4 != 0 { // enough to see, and soon done
			continue
		}
		g, err := os.Open(filepath.Join(root, "train", r[0]))
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(g)
		g.Close()
		if err != nil {
			t.Fatalf("%s: %v", r[0], err)
		}
		pcm := a.PCM()
		for k, v := range pcm { // stored at −38 dBFS
			pcm[k] = int16(max(-32768, min(32767, math.Round(float64(v)*3.981))))
		}
		o := New()
		frames(o, pcm, codec.MuLaw)
		e := o.Evidence()
		_, silent := named(e, "line.digital_silence")
		_, noisy := named(e, "line.noise_floor")
		kind := r[1] + " " + r[2]
		if byKind[kind] == nil {
			byKind[kind] = &tally{}
		}
		for _, s := range []*tally{byKind[kind], byLabel[r[1]]} {
			s.clips++
			if silent {
				s.silence++
			}
			if noisy {
				s.noisy++
			}
		}
	}
	for kind, s := range byKind {
		t.Logf("%-28s %4d clips, digital silence %4.1f %%, noisy %4.1f %%", kind, s.clips,
			100*float64(s.silence)/float64(s.clips), 100*float64(s.noisy)/float64(s.clips))
	}
	for label, s := range byLabel {
		t.Logf("%-28s %4d clips, digital silence %4.1f %%, noisy %4.1f %%", label, s.clips,
			100*float64(s.silence)/float64(s.clips), 100*float64(s.noisy)/float64(s.clips))
	}
	// The weight of a fact may not exceed what it would be worth here.
	h, s := byLabel["human"], byLabel["synthetic"]
	if got := math.Log(float64(s.noisy+1) / float64(s.clips) / (float64(h.noisy+1) / float64(h.clips))); got > llrNoisy {
		t.Errorf("a noisy background is worth %.2f here, and weighs %.2f", got, llrNoisy)
	}
}
