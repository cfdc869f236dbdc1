package scenario

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	s, err := Parse("f", `
# A comment.
pending not done yet
config
mode: enforce
sip:
  drain: 1s
end
caller/2~b -> INVITE sip:a@b sdp(pcmu 127.0.0.1:4000 sendonly)   # more
  X-A: 1
  -Contact
  | body
pbx <- 486 INVITE "Busy *" within 3s nosdp
unordered
  caller <- 200 CANCEL
  caller <- 487 INVITE
end
either
  caller <- 200
or
  caller <- 487
  perhaps
    pbx <- CANCEL
  end
end
pbx silent 20ms
record far[0].code = 486
door rtp media(caller) 1s
`)
	if err != nil {
		t.Fatal(err)
	}
	if s.Pending != "not done yet" || s.Config != "mode: enforce\nsip:\n  drain: 1s\n" {
		t.Errorf("pending %q, config %q", s.Pending, s.Config)
	}
	var verbs []verb
	for _, st := range s.steps {
		verbs = append(verbs, st.verb)
	}
	want := []verb{send, expect, unordered, either, silent, record, door}
	if len(verbs) != len(want) {
		t.Fatalf("%d steps, want %d", len(verbs), len(want))
	}
	for i := range want {
		if verbs[i] != want[i] {
			t.Errorf("step %d is %d, want %d", i, verbs[i], want[i])
		}
	}
	first := s.steps[0]
	if first.who != (party{"caller", "2", "b"}) || first.number != 9 || first.what.uri != "sip:a@b" || first.what.sdp.direction != "sendonly" ||
		len(first.what.fields) != 2 || !first.what.fields[1].absent || first.what.body[0] != "body" {
		t.Errorf("the first step is %+v", first)
	}
	if w := s.steps[1]; w.within != 3*time.Second || w.what.reason != "Busy *" || !w.what.noSDP || w.what.code != 486 {
		t.Errorf("the second step is %+v", w)
	}
	if e := s.steps[3]; len(e.choices) != 2 || e.choices[1][1].verb != perhaps {
		t.Errorf("either is %+v", e)
	}
	if d := s.steps[6]; strings.Join(d.words, "|") != "rtp|media(caller)|1s" {
		t.Errorf("door is %q", d.words)
	}
}

func TestParseFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "f: no step",
		"config\nmode: x\n":                   "f:3: the config block has no end line",
		"caller":                              `f:1: "caller" is no step`,
		"caller => INVITE":                    "f:1: after caller stands ->, <-, silent or pings",
		"pbx pings 100":                       "f:1: pings takes the status of the answer",
		"caller ->":                           "after the arrow stands a method or a status",
		"caller -> 99":                        "99 is no status",
		"caller <- INVTE":                     `"INVTE" is neither a status nor one of INVITE`,
		"caller -> INVITE sdp(pcmx)":          "sdp(pcmx): not a codec",
		"caller -> INVITE sdp(pcmu":           "a quote or parenthesis is not closed",
		"caller <- 200 within soon":           "invalid duration",
		"caller <- 200 quickly":               `"quickly" is not understood here`,
		"caller silent long":                  "invalid duration",
		"X-Header: lonely":                    "belongs to a message, and there is none above",
		"pbx silent\n| body":                  "f:2: \"| body\" belongs to a message",
		"wait":                                "wait takes one duration",
		"record outcome answered":             "record PATH = VALUE is wanted",
		"unordered\ncaller <- 200":            "the block has no end line",
		"unordered\ncaller -> BYE\nend":       "the block unordered begins with an expectation",
		"unordered\npbx <- 1\nend":            "1 is no status",
		"perhaps\npbx <- BYE\nor\nend":        "or belongs to either",
		"unordered\npbx <- BYE\nwait 1s\nend": "in unordered stand expectations only",
	} {
		_, err := Parse("f", text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
