package cases

import (
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/trace"
)

// madeCall is a call as a reading tells it.
func madeCall(id string, class policy.Class, p float64, action policy.Action, rule string, evidence ...trace.Evidence) *trace.Call {
	code := 200
	arrival := trace.Decision{Stage: policy.Arrival, Rule: "default"}
	return &trace.Call{CallID: id, FromUser: "alice", ToUser: "bob", FinalCode: &code, Outcome: trace.Answered,
		Fingerprint: &trace.Fingerprint{ID: "f1", Stack: "sipp", Signature: "sipp-uac", SignatureKind: "load-tool", Text: "f m=INVITE"},
		Decisions:   []trace.Decision{arrival, {Stage: policy.Listening, Rule: rule}},
		Verdict:     &trace.Verdict{Class: class, PMachine: p, Evidence: evidence},
		Decision:    &trace.Decision{Stage: policy.Listening, Rule: rule, Action: action, Destination: string(action), Reason: "P200-" + rule}}
}

func item(name string, llr float64) trace.Evidence {
	return trace.Evidence{Name: name, LLR: llr, Says: "so it is"}
}

// writeSuite puts a case file into a directory of its own.
func writeSuite(t *testing.T, text string) *Suite {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cases.yaml")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// telling is a Reader of captures that hold the same calls.
func telling(calls ...*trace.Call) Reader {
	return func(_ Reading, each func(*trace.Call)) error {
		for _, c := range calls {
			each(c)
		}
		return nil
	}
}

func TestWords(t *testing.T) {
	flooded := madeCall("1@a", policy.Assistant, 0.741, policy.ToCallback, "flood", item("rtp.pacing", 0.9), item("sig.load_tool", 2), item("voice.synthetic", -0.2))
	for name, c := range map[string]struct {
		expect string
		want   []string
	}{
		"all is well": {"{class: assistant, p_machine: 0.74, action: callback, rule: flood, outcome: answered, final_code: 200, fingerprint: f1, stack: sipp, signature: sipp-uac, signature_kind: load-tool, decisions: [default, flood], stage: listening, evidence: {sig.load_tool: 2.00, voice.synthetic: ..0, keys.held: absent}}", nil},
		"why": {"{action: agents, rule: known, p_machine: 0.31, evidence: {rtp.pacing: 0.10, voice.synthetic: -0.20, turns.latency: 0.40}}", []string{
			"expected action `agents` by rule `known`, got action `callback` by rule `flood`, because p_machine rose from 0.31 to 0.74",
			"there is no rule `known` in the configuration; there are: flood",
			"evidence new: sig.load_tool +2.00 (so it is)", "evidence gone: turns.latency, which was 0.40", "evidence changed: rtp.pacing rose from +0.10 to +0.90 (so it is)"}},
		"only the rules": {"{action: agents, class: assistant}", []string{
			"expected action `agents`, got action `callback` by rule `flood`, though the caller is judged as expected: the rules are others, or what they ask about besides the verdict"}},
		"only the place": {"{action: callback, destination: vips, reason: P200-x, stage: arrival}", []string{
			"expected action `callback` to `vips` for `P200-x` at stage `arrival`, got action `callback` to `callback` by rule `flood` for `P200-flood` at stage `listening`"}},
		"class alone": {"{class: human, p_machine: ..0.5}", []string{"the caller is judged assistant and not human; p_machine is 0.74, not within ..0.50",
			"evidence new: rtp.pacing +0.90 (so it is); sig.load_tool +2.00 (so it is); voice.synthetic -0.20 (so it is)"}},
		"fell": {"{p_machine: 0.9, evidence: {voice.synthetic: 1.1, rtp.pacing: 0..0.5, sig.load_tool: present}}", []string{"p_machine fell from 0.90 to 0.74",
			"evidence changed: rtp.pacing is not within 0.00..0.50 but +0.90 (so it is); voice.synthetic fell from +1.10 to -0.20 (so it is)"}},
		"nothing else":      {"{evidence: {rtp.pacing: 0.9, voice.synthetic: present, other: absent}}", []string{"evidence new: sig.load_tool +2.00 (so it is)"}},
		"what was seen":     {"{outcome: busy, final_code: 486, fingerprint: f2, stack: pjsip, signature: x, decisions: [flood]}", []string{"expected decisions `[flood]`, got `[default, flood]`", "expected outcome `busy`, got `answered`", "expected final code `486`, got `200`", "expected fingerprint `f2`, got `f1`, which is f m=INVITE", "expected stack `pjsip`, got `sipp`", "expected signature `x`, got `sipp-uac`"}},
		"the default stays": {"{rule: default}", []string{"expected rule `default`, got action `callback` by rule `flood`"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := writeSuite(t, "config: x\ncases:\n  - name: n\n    capture: c\n    expect: "+c.expect+"\n")
			r := Run([]*Suite{s}, Options{Read: telling(flooded), Rules: func(string) []string { return []string{"flood"} }})[0]
			if got := slices.Clone(r.Words); !slices.Equal(got, c.want) || (r.Status == Held) != (c.want == nil) {
				t.Errorf("status %d:\n%s\nwant:\n%s", r.Status, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// A case that cannot be tried says why, and the others are tried.
func TestBroken(t *testing.T) {
	a, b := madeCall("1@a", policy.Human, 0.1, policy.ToAgents, "default"), madeCall("2@a", policy.Human, 0.1, policy.ToAgents, "default")
	b.FromUser = "carol"
	s := writeSuite(t, `
config: x
cases:
  - {name: held, capture: c, from: carol, expect: {class: human}}
  - {name: second, capture: c, nth: 2, expect: {class: human}}
  - {name: many, capture: c, to: bob, expect: {class: human}}
  - {name: none, capture: c, call: 3@a, expect: {class: human}}
  - {name: third, capture: c, nth: 3, expect: {class: human}}
  - {name: nothing, capture: c, call: 1@a}
  - {name: unreadable, capture: gone, expect: {class: human}}
`)
	results := Run([]*Suite{s}, Options{Read: func(r Reading, each func(*trace.Call)) error {
		if filepath.Base(r.Capture) == "gone" {
			return errors.New("gone: no such file or directory")
		}
		return telling(a, b)(r, each)
	}})
	want := []string{"", "", "2 calls fit; say which by call, from, to or nth; there are: 1@a (alice → bob), 2@a (carol → bob)",
		"none of the 2 calls of c fits; there are: 1@a (alice → bob), 2@a (carol → bob)", "nth is 3, and 2 calls fit", "it expects nothing", "gone: no such file"}
	for i, r := range results {
		if got := strings.Join(r.Words, "\n"); (want[i] == "") != (r.Status == Held) || !strings.HasPrefix(got, want[i]) {
			t.Errorf("%s: status %d, %q; want %q", r.Case.Name, r.Status, got, want[i])
		}
	}
	if r := Run([]*Suite{writeSuite(t, "cases:\n  - {name: n, capture: c, expect: {class: human}}\n")}, Options{Read: telling(a)}); r[0].Status != Broken || !strings.Contains(r[0].Words[0], "names no configuration") {
		t.Errorf("%+v", r[0])
	}
	if r := Run([]*Suite{s}, Options{Run: regexp.MustCompile("^sec|held"), Read: telling(a, b)}); len(r) != 2 {
		t.Errorf("%d cases match", len(r))
	}
}

// A capture is read once for all cases that are given the same.
func TestReadings(t *testing.T) {
	s := writeSuite(t, `
config: x.yaml
given: {calls_now: 3, surge: 2}
cases:
  - {name: a, capture: one, expect: {class: human}}
  - {name: b, capture: one, expect: {class: human}}
  - {name: c, capture: one, given: {calls_now: 4}, expect: {class: human}}
  - {name: d, capture: one, given: {calls_now: 3, lists: {vip: ["+34"]}}, expect: {class: human}}
  - {name: e, capture: /two, after: [one], expect: {class: human}}
`)
	var mu sync.Mutex
	var got []Reading
	Run([]*Suite{s}, Options{Jobs: 2, Read: func(r Reading, _ func(*trace.Call)) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r)
		return nil
	}})
	if len(got) != 4 {
		t.Fatalf("%d readings", len(got))
	}
	dir := filepath.Dir(s.Path())
	for _, r := range got {
		if r.Config != filepath.Join(dir, "x.yaml") || *r.Given.Surge != 2 {
			t.Errorf("read with %+v", r)
		}
		switch {
		case r.Capture == "/two" && !reflect.DeepEqual(r.After, []string{filepath.Join(dir, "one")}):
			t.Errorf("before %s: %v", r.Capture, r.After)
		case r.Capture != "/two" && r.Capture != filepath.Join(dir, "one"):
			t.Errorf("read %s", r.Capture)
		}
	}
}

func TestReports(t *testing.T) {
	hostile := madeCall("1\x1b[2J", policy.Human, 0.1, policy.ToAgents, "default")
	s := writeSuite(t, "config: x\ncases:\n  - {name: 'held #1', capture: c, expect: {class: human}}\n  - {name: failed, capture: c, expect: {class: recording, stack: '<x>'}}\n  - {name: broken, capture: c, nth: 2, expect: {class: human}}\n")
	results := Run([]*Suite{s}, Options{Read: telling(hostile)})
	var text, tap, junit strings.Builder
	if err := errors.Join(Text(&text, results, true), TAP(&tap, results), JUnit(&junit, results)); err != nil {
		t.Fatal(err)
	}
	at := s.Path()
	if want := "ok      " + at + ":3: held #1\nFAILED  " + at + ":4: failed\n        call 1·[2J (alice → bob)\n        the caller is judged human and not recording\n        expected stack `<x>`, got `sipp`\nBROKEN  " + at + ":5: broken\n        nth is 2, and 1 calls fit\n3 cases: 1 held, 1 failed, 1 could not be tried\n"; text.String() != want {
		t.Errorf("text is\n%s\nwant\n%s", &text, want)
	}
	if want := "TAP version 14\n1..3\nok 1 - held \\#1\nnot ok 2 - failed\n  ---\n  at: \"" + at + ":4\"\n  call: \"1·[2J\"\n  message:\n    - \"the caller is judged human and not recording\"\n    - \"expected stack `<x>`, got `sipp`\"\n  ...\nnot ok 3 - broken\n  ---\n"; !strings.HasPrefix(tap.String(), want) {
		t.Errorf("TAP is\n%s\nwant\n%s", &tap, want)
	}
	var got junitSuites
	if err := xml.Unmarshal([]byte(junit.String()), &got); err != nil {
		t.Fatalf("%v in %s", err, &junit)
	}
	if got.Tests != 3 || got.Failures != 1 || got.Errors != 1 || len(got.Suites) != 1 || len(got.Suites[0].Cases) != 3 {
		t.Fatalf("JUnit is %+v", got)
	}
	if c := got.Suites[0].Cases[1]; c.Name != "failed" || c.Failure == nil || !strings.Contains(c.Failure.Text, "expected stack `<x>`, got `sipp`") || c.Error != nil {
		t.Errorf("JUnit's second case is %+v", c)
	}
}
