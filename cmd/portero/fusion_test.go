package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
)

// TestFusion: records and documents of inspect, with labels, give weights that the
// door reads.
func TestFusion(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	r := rand.New(rand.NewPCG(3, 4))
	labels, records, document := "call_id,class\n", "", `{"capture":"x","calls":[`
	for i := range 120 {
		class, sign := "human", -1.0
		if i%2 == 1 {
			class, sign = []string{"assistant", "recording"}[i%4/2], 1
		}
		labels += fmt.Sprintf("call%d,%s\n", i, class)
		// Nothing at all in the first verdict; three times what is so in the last.
		said := fmt.Sprintf(`"evidence":[{"name":"voice.synthetic","llr":%.2f,"says":""}]`, 3*(sign*0.3+0.8*r.NormFloat64()))
		if i < 60 {
			records += fmt.Sprintf(`{"id":"x","call_id":"call%d","from":"+%d","verdicts":[{"class":"unknown","evidence":[]},{"class":"human",%s}]}`+"\n", i, i/3, said)
		} else {
			document += fmt.Sprintf(`{"call_id":"call%d","from_user":"+%d","verdict":{"class":"human",%s}},`, i, i/3, said)
		}
	}
	document = strings.TrimSuffix(document, ",") + `],"packets":1}`
	out := filepath.Join(dir, "fusion.json")
	args := []string{"fusion", "--labels", file("labels.csv", labels+"elsewhere,human\n"), "--out", out, file("calls.jsonl", records), file("inspected.json", document)}
	var stdout, stderr bytes.Buffer
	if status := run(args, &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	for _, want := range []string{"60 calls of people, 60 of machines; 1 labels without a judged call", "(was 1.00)", "learnt, on calls left out: Cllr 0."} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is missing in\n%s", want, stdout.String())
		}
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := policy.ParseFusion(b)
	if err != nil || f.Families["voice"].Weight > 0.8 || f.Families["keys"] != policy.DefaultFusion().Families["keys"] {
		t.Errorf("%v: %s", err, b)
	}

	for _, c := range []struct{ labels, calls, want string }{
		{"call_id,class\ncall1,robot\n", records, "labels.csv:2: class robot; allowed are human, assistant and recording"},
		{"call_id,class\ncall1,human\ncall1,assistant\n", records, "labels.csv:3: call call1 was human before"},
		{"id,class\n", records, "the first line must be call_id,class"},
		{"call_id,class\ncall1,human\n", records, "of 1 labelled calls 1 were found with a verdict: 1 calls of people and 0 of machines; at least 20"},
		{labels, "no JSON", "calls.jsonl: no record of a call in JSON"},
	} {
		stderr.Reset()
		status := run([]string{"fusion", "--labels", file("labels.csv", c.labels), file("calls.jsonl", c.calls)}, &stdout, &stderr)
		if status != exitFailed || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("status %d: %s, want %s", status, stderr.String(), c.want)
		}
	}
}
