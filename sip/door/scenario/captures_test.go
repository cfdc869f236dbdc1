package scenario_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/portero/portero/media/record"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/door/scenario"
	"github.com/portero/portero/sip/judge"
	"github.com/portero/portero/sip/trace"
)

// keptCall is a call whose caller speaks in early media already.
const keptCall = `
caller -> INVITE sip:100@portero sdp(pcmu dtmf 127.0.85.1:40022)
pbx <- INVITE
pbx -> 183 sdp(pcmu dtmf)
caller <- 183 INVITE
door speak 127.0.85.1:40022 media(caller)
wait 1s
pbx -> 200 sdp(pcmu dtmf)
caller <- 200 INVITE
pbx <- ACK
caller -> ACK
door rtp media(pbx) 1s
wait 4s
caller -> BYE
caller <- 200 BYE
pbx <- BYE
pbx -> 200
`

// played plays a call with captures as the configuration says, and returns its record
// and where the packets are kept.
func played(t *testing.T, config, call string) (store.Record, string) {
	t.Helper()
	s, err := scenario.Parse("captures", "config\n"+config+"end\n"+call)
	if err != nil {
		t.Fatal(err)
	}
	n := scenario.NewNetwork()
	d := open(t, n, s.Config)
	err = scenario.Run(s, n, d)
	d.close(t)
	if err != nil {
		t.Fatal(err)
	}
	return d.records[0], d.kept
}

// A call that was kept is read as the call that it was: the same fingerprint, the same
// evidence, the same decision as live.
func TestKeptCall(t *testing.T) {
	t.Parallel()
	const asked = "rules: [{name: print, when: 'print != \"\"', stages: [arrival], action: agents, destination: agents}]\n"
	r, dir := played(t, "captures: {directory: given, media: true}\n"+asked, keptCall)
	c, err := record.Find(dir, r.CallID)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := record.Find(dir, r.ID); err != nil || other.Packets() != c.Packets() || !slices.Equal(c.IDs, []string{r.ID}) {
		t.Errorf("by its id there is another capture: %v", err)
	}
	cfg := rules.Defaults()
	cfg.Rules = []rules.Rule{{Name: "print", When: `print != ""`, Stages: []policy.Stage{policy.Arrival}, Action: "agents", Destination: "agents"}}
	set, err := rules.Compile(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	for form, write := range map[string]func(*bytes.Buffer) error{
		"pcapng": func(b *bytes.Buffer) error { return c.WritePCAPNG(b) },
		"pcap":   func(b *bytes.Buffer) error { return c.WritePCAP(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		var calls []*trace.Call
		sum, err := trace.Read(&b, trace.Options{Bench: &judge.Bench{Rules: set, Config: judge.Defaults()}}, func(c *trace.Call) { calls = append(calls, c) })
		if err != nil || len(calls) != 1 || sum.Packets != c.Packets() || len(sum.Strays) > 0 {
			t.Fatalf("%s: %v, %d calls, %+v; kept are %d packets", form, err, len(calls), sum, c.Packets())
		}
		got := calls[0]
		if got.CallID != r.CallID || got.Outcome != trace.Answered || got.Methods["BYE"] != 1 || got.Responses["100"] != 1 || got.CallerStream() == nil ||
			math.Abs(float64(got.CallerStream().Packets)-float64(r.CallerMedia.Packets)) > 2 || got.CallerStream().Packets < 100 {
			t.Errorf("%s: %+v, %+v", form, got, got.CallerStream())
		}
		live, last := r.Verdicts[len(r.Verdicts)-1], r.Decisions[len(r.Decisions)-1]
		if got.Fingerprint.ID != r.Fingerprint.ID || got.Fingerprint.ID == "" {
			t.Errorf("%s: fingerprint %q, live %q", form, got.Fingerprint.ID, r.Fingerprint.ID)
		}
		if d := got.Decision; d.Rule != last.Rule || d.Rule != "print" || d.Action != last.Action || d.Destination != last.Destination || d.Reason != last.Reason {
			t.Errorf("%s: decision %+v, live %+v", form, d, last)
		}
		if got.Verdict.Class != live.Class || math.Abs(got.Verdict.PMachine-live.PMachine) > 0.01 || len(got.Verdict.Evidence) != len(live.Evidence) || len(live.Evidence) == 0 {
			t.Errorf("%s: judged %+v, live %+v", form, got.Verdict, live)
			continue
		}
		for i, e := range live.Evidence {
			if g := got.Verdict.Evidence[i]; g.Name != e.Name || math.Abs(g.LLR-e.LLR) > 0.05 {
				t.Errorf("%s: evidence %+v, live %+v", form, g, e)
			}
		}
	}
}

// Without media there is the signalling alone; emergency calls are not kept, and no
// call where nothing says so.
func TestKeptSignalling(t *testing.T) {
	t.Parallel()
	const call = `
caller -> INVITE sip:%s@portero sdp(pcmu dtmf)
pbx <- INVITE
pbx -> 486
pbx <- ACK
caller <- 486 INVITE
caller -> ACK
wait 300ms
`
	for name, c := range map[string]struct {
		config, number string
		packets        int
	}{
		"signalling":          {"captures: {directory: given}\n", "100", 4},
		"an emergency":        {"captures: {directory: given}\n", "112", 0},
		"an emergency wanted": {"captures: {directory: given, emergency: true}\n", "112", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, dir := played(t, c.config, fmt.Sprintf(call, c.number))
			kept, err := record.Find(dir, r.CallID)
			if c.packets == 0 {
				if err != record.ErrNotKept {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || kept.Packets() < c.packets { // some may be sent twice
				t.Errorf("%v, %d packets; want %d at least", err, kept.Packets(), c.packets)
			}
		})
	}
}
