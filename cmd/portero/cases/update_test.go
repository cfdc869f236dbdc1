package cases

import (
	"os"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
)

func TestUpdate(t *testing.T) {
	is := madeCall("1@a", policy.Assistant, 0.741, policy.ToCallback, "flood", item("rtp.pacing", 0.9), item("voice.synthetic", -0.2))
	for name, c := range map[string]struct{ before, after string }{
		"values in place, comments and layout kept": {`# mine
config: x   # of ours

cases:

  # the first
  - name: "n"
    capture: c
    expect:
      class: human      # for now
      # and

      p_machine: '0.31'
      action:   "agents"
      evidence: {rtp.pacing: 0.1, keys.held: 0.3}  # heard

  # the last
# end`, `# mine
config: x   # of ours

cases:

  # the first
  - name: "n"
    capture: c
    expect:
      class: assistant      # for now
      # and

      p_machine: 0.74
      action:   callback
      evidence: {rtp.pacing: 0.90, keys.held: absent}  # heard

  # the last
# end`},
		"everything, where nothing is expected": {`config: x
cases:
- name: n
  capture: c # the capture
# end
`, `config: x
cases:
- name: n
  capture: c # the capture
  expect:
    action: callback
    destination: callback
    rule: flood
    class: assistant
    p_machine: 0.74
    outcome: answered
    fingerprint: f1
    signature: sipp-uac
    decisions: [default, flood]
    evidence:
      rtp.pacing: 0.90
      voice.synthetic: -0.20
# end
`},
		"more evidence": {`config: x
cases:
    - name: n
      expect:
          evidence:
              # all of it
              keys.held: 0.1
              other: absent   # really
          class: human
      capture: c
`, `config: x
cases:
    - name: n
      expect:
          evidence:
              # all of it
              keys.held: absent
              other: absent   # really
              rtp.pacing: 0.90
              voice.synthetic: -0.20
          class: assistant
      capture: c
`},
		"a case in braces": {"config: x\ncases:\n  - {name: n, capture: c, expect: {action: agents, 'rule': 'it''s', decisions: [ a , b ]}}\n",
			"config: x\ncases:\n  - {name: n, capture: c, expect: {action: callback, 'rule': flood, decisions: [default, flood]}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := writeSuite(t, c.before)
			results := Run([]*Suite{s}, Options{Read: telling(is)})
			if err := Update(results); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(s.Path())
			if err != nil || string(b) != c.after {
				t.Errorf("%v; the file is\n%s\nwant\n%s", err, b, c.after)
			}
			if results[0].Status != Pinned {
				t.Errorf("status %d", results[0].Status)
			}
			if info, err := os.Stat(s.Path()); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			again, err := Load(s.Path())
			if err != nil {
				t.Fatal(err)
			}
			if r := Run([]*Suite{again}, Options{Read: telling(is)})[0]; r.Status != Held {
				t.Errorf("it does not hold: %q", r.Words)
			}
		})
	}
}

// What cannot be written in its place is left, and said.
func TestUpdateRefused(t *testing.T) {
	is := madeCall("1@a", policy.Assistant, 0.741, policy.ToCallback, "flood", item("rtp.pacing", 0.9))
	for name, c := range map[string]struct{ text, says string }{
		"several lines":  {"config: x\ncases:\n  - name: n\n    capture: c\n    expect:\n      rule: |-\n        known\n", "line 6 is written over several lines"},
		"braces":         {"config: x\ncases:\n  - {name: n, capture: c}\n", "written in braces"},
		"an empty block": {"config: x\ncases:\n  - name: n\n    capture: c\n    expect:\n", "expect is there and empty"},
	} {
		t.Run(name, func(t *testing.T) {
			s := writeSuite(t, c.text)
			results := Run([]*Suite{s}, Options{Read: telling(is)})
			if err := Update(results); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), s.Path()) {
				t.Errorf("%v; want %s", err, c.says)
			}
			if b, err := os.ReadFile(s.Path()); err != nil || string(b) != c.text {
				t.Errorf("the file is\n%s", b)
			}
		})
	}
}
