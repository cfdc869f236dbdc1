package judge

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
)

// stride of the corpus' clips that are judged: enough to tell, fast enough to run.
const stride = 12

// The corpus of labelled clips, as calls over a telephone line at −26 dBFS: a
// person must not be taken for a machine for their voice and line alone. The
// voice model has seen these clips, so the share of machines found flatters.
func TestCorpus(t *testing.T) {
	root := os.Getenv("PORTERO_CORPUS")
	if root == "" {
		t.Skip("PORTERO_CORPUS does not name the speech corpus: nothing to judge")
	}
	f, err := os.Open(filepath.Join(root, "train", "manifest.csv"))
	if err != nil {
		t.Skipf("no corpus: %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	b := bench(t, nil)
	classes := map[string]map[policy.Class]int{}
	evidence := map[string]map[string][]float64{}
	moved := map[string]int{} // at any moment
	for i := 1; i < len(rows); i += stride {
		label := rows[i][column["label"]]
		clip, err := os.Open(filepath.Join(root, "train", rows[i][column["path"]]))
		if err != nil {
			t.Fatal(err)
		}
		a, err := codec.Read(clip)
		clip.Close()
		if err != nil {
			t.Fatal(err)
		}
		pcm, n := a.PCM(), 0
		s := newStream(1.2).room(0.3)
		s.sound(a.Seconds(), func() float64 {
			n++
			return 3.98 * float64(pcm[min(n-1, len(pcm)-1)])
		})
		c, _ := call(t, b, "+4930999999", "")
		c.Answered(at(1))
		c.FarAnswered(at(1))
		play(c, s.packets, 1.5+a.Seconds())
		c.Ended(at(2 + a.Seconds()))
		v := c.Verdict()
		if classes[label] == nil {
			classes[label], evidence[label] = map[policy.Class]int{}, map[string][]float64{}
		}
		classes[label][v.Class]++
		classes[label]["all"]++
		if len(c.Decisions()) > 1 {
			moved[label]++
		}
		for _, e := range v.Evidence {
			evidence[label][e.Name] = append(evidence[label][e.Name], e.LLR)
		}
	}
	for label, count := range classes {
		t.Logf("%s: %v, moved at some moment: %d", label, count, moved[label])
		for name, llrs := range evidence[label] {
			sum := 0.0
			for _, l := range llrs {
				sum += l
			}
			t.Logf("  %s in %d, mean %.2f", name, len(llrs), sum/float64(len(llrs)))
		}
	}
	human := classes["human"]
	wrong := human[policy.Assistant] + human[policy.Recording]
	if limit := 0.05 * float64(human["all"]); human["all"] == 0 || float64(wrong) > limit || float64(moved["human"]) > limit {
		t.Errorf("of %d people %d were taken for machines in the end, %d at some moment", human["all"], wrong, moved["human"])
	}
}
