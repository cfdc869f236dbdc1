package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

const demoConfig = "../../configs/demo.yaml"

// The demo's addresses, destinations and reasons are those of its configuration.
func TestConfiguration(t *testing.T) {
	c, err := config.Load(demoConfig)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(c.Door.Listen, "udp:"+doorAddr) || c.Console.Listen != consoleAddr {
		t.Errorf("the door listens on %v and %s", c.Door.Listen, c.Console.Listen)
	}
	carrier, _, _ := strings.Cut(carrierAddr, ":")
	if got := c.Door.Trunks[0].Addresses; !slices.Equal(got, []string{carrier}) {
		t.Errorf("the trunk has %v", got)
	}
	if c.Mode != policy.Enforce {
		t.Errorf("mode %s", c.Mode)
	}
	for _, name := range []string{toAgents, toAutomation} {
		if want := "sip:" + name + "@" + pbxAddr; c.Door.Destinations[name].URI != want {
			t.Errorf("destination %s is %s, want %s", name, c.Door.Destinations[name].URI, want)
		}
	}
	known := []string{noRule, allowListed}
	for _, r := range c.Rules.Rules {
		known = append(known, policy.ReasonRule+r.Name)
	}
	v := &voices{made: map[string][]int16{}, fault: os.ErrInvalid} // nobody needs to speak here
	for _, act := range acts(v) {
		for _, c := range act {
			if !slices.Contains(known, c.because) {
				t.Errorf("%s: reason %s is none of %v", c.who, c.because, known)
			}
		}
	}
}

func TestMistake(t *testing.T) {
	answered := store.At(time.Unix(1e9, 0))
	decision := []store.RecordedDecision{{Decision: policy.Decision{Reason: machines}}}
	far := []store.FarLeg{{Destination: "agents", AnsweredAt: answered}, {Destination: "automation", AnsweredAt: answered}}
	for name, c := range map[string]struct {
		record store.Record
		places []string
		want   string
	}{
		"well":          {store.Record{Far: far, Decisions: decision}, []string{"agents", "automation"}, ""},
		"not moved":     {store.Record{Far: far[:1], Decisions: decision}, []string{"agents"}, "it should be at automation"},
		"the PBX knows": {store.Record{Far: far, Decisions: decision}, []string{"agents"}, "the PBX at [agents]"},
		"other reason":  {store.Record{Far: far, Decisions: []store.RecordedDecision{{Decision: policy.Decision{Reason: noRule}}}}, []string{"agents", "automation"}, "the reason should be " + machines},
		"no decision":   {store.Record{Far: far}, nil, "no decision"},
		"unanswered":    {store.Record{Far: []store.FarLeg{{Destination: "agents"}}, Decisions: decision}, nil, "no far side answered"},
	} {
		r := result{caller: caller{goes: toAutomation, because: machines}, record: c.record, places: c.places}
		if got := r.mistake(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out}
	r := result{caller: caller{who: "a machine", number: "+1"}, places: []string{"agents", "automation"}, record: store.Record{
		Verdicts: []policy.Verdict{{Class: policy.Recording, PMachine: 0.934, Evidence: []policy.Evidence{
			{Name: "b", LLR: -0.5, Says: "sounds so"}, {Name: "a", LLR: 4, Says: "said before"}}}},
		Decisions: []store.RecordedDecision{{Decision: policy.Decision{Stage: policy.Listening, Rule: "same-message", Action: policy.ToAutomation, Reason: sameMessage}}},
	}}
	s.call(r)
	r.wrong = "it should be elsewhere"
	s.call(r)
	s.end(false)
	for _, want := range []string{
		"1. a machine  +1\n   verdict   recording, 93 % machine\n   evidence   +4.0  said before  a\n              -0.5  sounds so  b\n",
		"decision  automation, by same-message at listening (P200-same-message)\n   went to   agents → automation  as the rules say\n",
		"2. a machine", "WRONG: it should be elsewhere", "1 of 2 calls did not go",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// TestDemo is `make demo`, with the door's binary built for races.
func TestDemo(t *testing.T) {
	if os.Getenv("PORTERO_INTEROP") == "" {
		t.Skip("the demo is not played: set PORTERO_INTEROP=1 as `make test` does")
	}
	// Another run of this test on this machine would hold the same addresses.
	host, _, _ := strings.Cut(doorAddr, ":")
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		l, err := net.Listen("tcp", host+":1")
		if err == nil {
			defer l.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(t.TempDir(), "portero")
	if out, err := exec.Command("go", "build", "-race", "-o", binary, "../portero").CombinedOutput(); err != nil {
		t.Fatalf("go build -race: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	well, err := run(ctx, binary, demoConfig, "")
	if err != nil || !well {
		t.Errorf("the demo did not go well: %v", err)
	}
}
