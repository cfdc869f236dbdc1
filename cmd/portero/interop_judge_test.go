package main

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

// A live call and its capture go before the same judge: what /api/calls says of
// the one, inspect says of the other, whether tcpdump made it or the door itself.
func testSameJudge(t *testing.T, b *bed) {
	d := b.open(t)
	p := openPhone(t)
	speech := filepath.Join(t.TempDir(), "speech.wav")
	if out, err := exec.Command("espeak-ng", "-w", speech, "Hello. This is an automated message. Your account needs attention. Please press one to speak to somebody, or call us back at any time of the day.").CombinedOutput(); err != nil {
		t.Fatalf("espeak-ng: %v\n%s", err, out)
	}
	for name, call := range map[string]struct {
		invite phone.Invite
		talk   func(*phone.Call) error
	}{
		"synthetic speech": {phone.Invite{To: number("agents"), From: "+34600000039"}, func(c *phone.Call) error {
			return c.Line().Say(t.Context(), readSound(t, speech))
		}},
		"a person's voice": {phone.Invite{To: number("agents"), From: "+34600000031"}, func(c *phone.Call) error {
			return c.Line().Say(t.Context(), readSound(t, personVoice)[:8*8000])
		}},
		"answers": {phone.Invite{To: number("610"), From: "+34600000036"}, func(c *phone.Call) error {
			for range 5 { // as a machine does: a fixed time after each end
				if err := c.Line().AwaitPause(t.Context(), 700*time.Millisecond, 10*time.Second); err != nil {
					return err
				}
				if err := c.Line().Say(t.Context(), readSound(t, personVoice)[:8000]); err != nil {
					return err
				}
			}
			return nil
		}},
		"screened": {phone.Invite{To: number("611"), From: "+34600000037"}, func(c *phone.Call) error {
			// Over the door's own question, and again after it.
			for _, pause := range []time.Duration{2 * time.Second, 3 * time.Second} {
				time.Sleep(pause)
				if err := c.Line().Say(t.Context(), readSound(t, personVoice)[:2*8000]); err != nil {
					return err
				}
			}
			return nil
		}},
		"keys": {phone.Invite{To: number("600"), From: "+34600000032"}, func(c *phone.Call) error {
			return c.Line().Press(t.Context(), "7007007", 100*time.Millisecond, 100*time.Millisecond)
		}},
		"moved": {phone.Invite{To: number("600"), From: "+34600000033"}, func(c *phone.Call) error {
			time.Sleep(time.Second)
			if err := c.Line().Press(t.Context(), "42", 100*time.Millisecond, 100*time.Millisecond); err != nil {
				return err
			}
			time.Sleep(2 * time.Second)
			return nil
		}},
		"declared": {phone.Invite{To: number("700"), From: "+34600000034", Contact: ";automata"}, func(c *phone.Call) error {
			return c.Line().Say(t.Context(), readSound(t, speech)[:3*8000])
		}},
		"refused": {phone.Invite{To: number("603"), From: "+34600000035"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "call.pcap")
			stop := capture(t, file, "127.0.60.22")
			var id string
			if call.talk == nil {
				if _, err := p.Dial(t.Context(), call.invite); err == nil {
					t.Error("the call was answered")
				}
			} else {
				c := dial(t, p, call.invite)
				id = c.ID()
				if err := call.talk(c); err != nil {
					t.Error(err)
				}
				hangUp(t, c)
			}
			time.Sleep(300 * time.Millisecond)
			stop()
			inspected := inspectOne(t, d, file)
			if id == "" {
				id = inspected.CallID
			}
			if inspected.CallID != id {
				t.Fatalf("inspect found the call %s, not %s", inspected.CallID, id)
			}
			live := d.record(t, id)
			compare(t, live, inspected)
			own := filepath.Join(t.TempDir(), "own.pcapng")
			d.portero(t, "record", "--config", d.config, "--output", own, id)
			compare(t, live, inspectOne(t, d, own))
			if name == "answers" && !slices.ContainsFunc(live.Verdicts[len(live.Verdicts)-1].Evidence, func(e policy.Evidence) bool { return e.Name == "turns.spread" && e.LLR > 0 }) {
				t.Errorf("the far side was not heard: %+v", live.Verdicts[len(live.Verdicts)-1])
			}
		})
	}
}

// inspectedCall is what is compared of `portero inspect --json`.
type inspectedCall struct {
	CallID    string        `json:"call_id"`
	FinalCode int           `json:"final_code"`
	Outcome   store.Outcome `json:"outcome"`
	Verdict   struct {
		Class    policy.Class      `json:"class"`
		PMachine float64           `json:"p_machine"`
		Evidence []policy.Evidence `json:"evidence"`
	} `json:"verdict"`
	Decision    *policy.Decision `json:"decision"`
	Fingerprint struct {
		ID string `json:"id"`
	} `json:"fingerprint"`
}

func compare(t *testing.T, live store.Record, recorded inspectedCall) {
	t.Helper()
	if live.Outcome != recorded.Outcome || live.FinalCode != recorded.FinalCode {
		t.Errorf("outcome live %s %d, recorded %s %d", live.Outcome, live.FinalCode, recorded.Outcome, recorded.FinalCode)
	}
	if live.Fingerprint.ID != recorded.Fingerprint.ID {
		t.Errorf("fingerprint live %s, recorded %s", live.Fingerprint.ID, recorded.Fingerprint.ID)
	}
	if len(live.Verdicts) == 0 {
		t.Fatal("the live call has no verdict")
	}
	v := live.Verdicts[len(live.Verdicts)-1]
	if v.Class != recorded.Verdict.Class || math.Abs(v.PMachine-recorded.Verdict.PMachine) > 0.005 {
		t.Errorf("verdict live %s %.3f, recorded %s %.3f", v.Class, v.PMachine, recorded.Verdict.Class, recorded.Verdict.PMachine)
	}
	was, is := byName(v.Evidence), byName(recorded.Verdict.Evidence)
	for name, e := range was {
		r, ok := is[name]
		switch {
		case !ok:
			t.Errorf("only live: %+v", e)
		// Both know a packet by the kernel's time, and come to the same to the last
		// digit; but the answer is timed where each sees it, a fraction of a
		// millisecond apart.
		case math.Abs(e.LLR-r.LLR) > 0.02:
			t.Errorf("%s: live %.2f (%s), recorded %.2f (%s)", name, e.LLR, e.Says, r.LLR, r.Says)
		}
	}
	for name, e := range is {
		if _, ok := was[name]; !ok {
			t.Errorf("only recorded: %+v", e)
		}
	}
	if len(live.Decisions) == 0 || recorded.Decision == nil {
		t.Fatalf("decisions live %+v, recorded %+v", live.Decisions, recorded.Decision)
	}
	l, r := live.Decisions[len(live.Decisions)-1].Decision, *recorded.Decision
	if l.Stage != r.Stage || l.Rule != r.Rule || l.Action != r.Action || l.Destination != r.Destination || l.Reason != r.Reason {
		t.Errorf("decision live %+v, recorded %+v", l, r)
	}
}

func byName(list []policy.Evidence) map[string]policy.Evidence {
	m := map[string]policy.Evidence{}
	for _, e := range list {
		m[e.Name] = e
	}
	return m
}

// capture writes what the door and a caller at an address send each other, until the
// function it returns is called.
func capture(t *testing.T, file, caller string) (stop func()) {
	t.Helper()
	said := &strings.Builder{}
	// -U and --immediate-mode: each packet is written as it comes; -Z root: into a
	// folder of ours.
	dump := exec.Command("tcpdump", "-i", "lo", "-U", "--immediate-mode", "-Z", "root", "-w", file, "host "+caller+" and host "+doorHost)
	dump.Stderr = said
	if err := dump.Start(); err != nil {
		t.Fatalf("tcpdump: %v", err)
	}
	waitFor(t, "tcpdump to listen", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() >= 24 // the header of the file
	})
	return func() {
		dump.Process.Signal(syscall.SIGINT)
		if err := dump.Wait(); err != nil {
			t.Errorf("tcpdump: %v\n%s", err, said)
		}
		if !strings.Contains(said.String(), "\n0 packets dropped by kernel") {
			t.Errorf("tcpdump: %s", said)
		}
	}
}

func inspectOne(t *testing.T, d *openDoor, file string) inspectedCall {
	t.Helper()
	var doc struct {
		Calls []inspectedCall `json:"calls"`
	}
	out := d.portero(t, "inspect", "--json", "--config", d.config, file)
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(doc.Calls) != 1 {
		t.Fatalf("inspect found %d calls:\n%s", len(doc.Calls), out)
	}
	return doc.Calls[0]
}
