package campaign_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/media/acoustic"
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy/campaign"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// corpus reads clips of the speech corpus that PORTERO_CORPUS names, at
// −26 dBFS; every nth row for which want says yes.
func corpus(t testing.TB, manifest string, every int, want func(row map[string]string) bool) (names []string, clips [][]int16) {
	root := os.Getenv("PORTERO_CORPUS")
	if root == "" {
		t.Skip("PORTERO_CORPUS is not set: no speech corpus to measure with")
	}
	f, err := os.Open(filepath.Join(root, manifest))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, filepath.Dir(manifest))
	if filepath.Base(filepath.Dir(manifest)) == "noise" {
		dir = filepath.Join(root, "noise")
	}
	n := 0
	for _, r := range rows[1:] {
		row := map[string]string{}
		for i, k := range rows[0] {
			row[k] = r[i]
		}
		if want != nil && !want(row) {
			continue
		}
		if n++; n%every != 0 {
			continue
		}
		g, err := os.Open(filepath.Join(dir, row["path"]))
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(g)
		g.Close()
		if err != nil {
			t.Fatalf("%s: %v", row["path"], err)
		}
		names = append(names, row["path"])
		clips = append(clips, changed(a.PCM(), 12, 0, nil))
	}
	return names, clips
}

// changed gives pcm at another level (dB), with white noise of the given level
// (dBFS; 0 for none).
func changed(pcm []int16, gain, noise float64, r *rand.Rand) []int16 {
	out := make([]int16, len(pcm))
	g := math.Pow(10, gain/20)
	n := 0.0
	if noise != 0 {
		n = math.Pow(10, noise/20) * 32768
	}
	for i, v := range pcm {
		x := float64(v) * g
		if n != 0 {
			x += n * r.NormFloat64()
		}
		out[i] = int16(math.Round(max(-32768, min(32767, x))))
	}
	return out
}

// heard is the print of pcm after a G.711 line.
func heard(pcm []int16, law codec.Law) []uint32 {
	o := acoustic.New()
	pcm = codec.Companded(append([]int16(nil), pcm...), law)
	for len(pcm) > 0 {
		n := min(160, len(pcm))
		o.Frame(pcm[:n])
		pcm = pcm[n:]
	}
	return o.Print()
}

// messages joins clips into passages of at least seconds.
func messages(clips [][]int16, seconds int) [][]int16 {
	var out [][]int16
	var m []int16
	for _, c := range clips {
		m = append(m, c...)
		if len(m) >= seconds*codec.Rate {
			out = append(out, m[:seconds*codec.Rate])
			m = nil
		}
	}
	return out
}

// The same message again over another line: how often it is missed.
func TestMissed(t *testing.T) {
	_, clips := corpus(t, "train/manifest.csv", 12, nil)
	all := messages(clips, 10)
	r := rand.New(rand.NewPCG(7, 7))
	shift := func(pcm []int16, samples int) []int16 {
		return append(make([]int16, samples), pcm...)
	}
	x := campaign.New(campaign.Defaults())
	for i, m := range all {
		x.Add(fmt.Sprint("first ", i), fmt.Sprint("+1", i), heard(m, codec.MuLaw), noon, campaign.Unanswered)
	}
	for _, c := range []struct {
		name   string
		most   float64 // share missed
		change func([]int16) []int16
		law    codec.Law
	}{
		{"the same line", 0.05, func(p []int16) []int16 { return p }, codec.MuLaw},
		{"A-law, 100 ms later", 0.05, func(p []int16) []int16 { return shift(p, 803) }, codec.ALaw},
		{"half a hop later", 0.05, func(p []int16) []int16 { return shift(p, 64) }, codec.MuLaw},
		{"1.3 s later, cut in", 0.10, func(p []int16) []int16 { return p[10400:] }, codec.MuLaw},
		{"12 dB less", 0.06, func(p []int16) []int16 { return changed(p, -12, 0, r) }, codec.ALaw},
		{"6 dB more", 0.06, func(p []int16) []int16 { return changed(p, 6, 0, r) }, codec.MuLaw},
		{"noise at 20 dB", 0.08, func(p []int16) []int16 { return changed(shift(p, 41), 0, -46, r) }, codec.MuLaw},
		{"noise at 15 dB", 0.12, func(p []int16) []int16 { return changed(shift(p, 41), 0, -41, r) }, codec.MuLaw},
		{"noise at 10 dB", 0.30, func(p []int16) []int16 { return changed(shift(p, 41), 0, -36, r) }, codec.MuLaw},
	} {
		missed, wrong := 0, 0
		var seconds float64
		for _, m := range all {
			match := x.Match("second", "+2", heard(c.change(append([]int16(nil), m...)), c.law), noon, campaign.Unanswered)
			switch {
			case match.Calls == 0:
				missed++
			case match.Calls > 1:
				wrong++
			}
			seconds += match.Seconds
		}
		t.Logf("%-22s missed %d of %d messages of 10 s, %d matched more than one, %.1f s of speech on average", c.name, missed, len(all), wrong, seconds/float64(len(all)))
		if float64(missed) > c.most*float64(len(all))+1 {
			t.Errorf("%s: missed %d of %d", c.name, missed, len(all))
		}
	}
}

// Different speech: how often it is taken for the same. Demonstration pages
// hold the same sentence in many voices and noises, so that a clip is only
// compared with those of other sources; LJSpeech's sentences, which several
// sources quote, are left out.
func TestFalse(t *testing.T) {
	var sources []string
	names, clips := corpus(t, "train/manifest.csv", 1, func(row map[string]string) bool {
		if strings.Contains(row["generator_or_speaker"], "LJSpeech") {
			return false
		}
		sources = append(sources, row["source"])
		return true
	})
	c := campaign.Defaults()
	c.MaxCalls = len(clips)
	x := campaign.New(c)
	var wrong, pairs int
	count := map[string]int{}
	for i, clip := range clips {
		p := heard(clip, codec.MuLaw)
		m := x.Match(names[i], sources[i], p, noon, campaign.Unanswered)
		if m.Numbers > 0 {
			wrong++
			t.Logf("%s (%s): %+v", names[i], sources[i], m)
		}
		pairs += i - count[sources[i]]
		count[sources[i]]++
		x.Add(names[i], sources[i], p, noon, campaign.Unanswered)
	}
	t.Logf("%d clips, %d pairs of different sources, all alignments: %d clips matched one of another source", len(clips), pairs, wrong)
	if wrong > 0 {
		t.Errorf("%d clips matched one of another source", wrong)
	}
}

// Tones, noise and hold music heard twice are no campaign.
func TestNoSpeech(t *testing.T) {
	names, clips := corpus(t, "noise/manifest.csv", 1, nil)
	var matched int
	for i, clip := range clips {
		if len(clip) < 5*codec.Rate {
			continue
		}
		x := campaign.New(campaign.Defaults())
		x.Add("first", "+1", heard(clip, codec.MuLaw), noon, campaign.Unanswered)
		if m := x.Match("second", "+2", heard(clip[2000:], codec.MuLaw), noon, campaign.Unanswered); m.Calls > 0 {
			matched++
			t.Logf("%s: %.1f s", names[i], m.Seconds)
		}
	}
	t.Logf("%d of %d clips without speech match themselves", matched, len(clips))
	if matched > 1 { // a song, and singing is near to speech
		t.Errorf("%d clips without speech match themselves", matched)
	}
}
