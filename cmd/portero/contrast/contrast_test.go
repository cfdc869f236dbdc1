package contrast

import (
	"slices"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/trace"
)

func call(class policy.Class, p float64, action policy.Action, to, rule string, evidence ...trace.Evidence) *trace.Call {
	return &trace.Call{CallID: "1@a", Verdict: &trace.Verdict{Class: class, PMachine: p, Evidence: evidence},
		Decision: &trace.Decision{Stage: policy.Listening, Rule: rule, Action: action, Destination: to, Reason: "P200-" + rule}}
}

func side(name string, rs ...rules.Rule) Side {
	return Side{Name: name, Rules: rules.Config{Rules: rs, DefaultDestination: "agents"}}
}

func TestOf(t *testing.T) {
	flood := rules.Rule{Name: "flood", When: "surge > 3", Action: policy.ToCallback}
	bots := rules.Rule{Name: "bots", When: "p_machine > 0.9", Action: policy.ToAutomation, Destination: "bots"}
	no := rules.Rule{Name: "no", When: "true", Action: policy.Reject, Status: 603}
	refused := no
	refused.Status, refused.Refusal = 0, "608"
	laxer := bots
	laxer.When, laxer.Destination = "p_machine > 0.5", "machines"
	ev := trace.Evidence{Name: "rtp.pacing", LLR: 1.5, Says: "even"}
	heavier := ev
	heavier.LLR = 2
	voice := trace.Evidence{Name: "voice.synthetic", LLR: 0.7, Says: "synthetic"}
	toAgents := func(rule string) *trace.Call { return call(policy.Unknown, 0.5, policy.ToAgents, "agents", rule) }
	toBots := func(to string) *trace.Call { return call(policy.Unknown, 0.5, policy.ToAutomation, to, "bots") }
	callback := call(policy.Unknown, 0.5, policy.ToCallback, "", "flood")
	for name, c := range map[string]struct {
		a, b          *trace.Call
		sideA, sideB  Side
		treated, rule bool
		judged        bool
		why           []string
	}{
		"the same":                  {callback, callback, side("A", flood), side("B", flood), false, false, false, nil},
		"a rule is not there":       {toAgents("default"), callback, side("A", bots), side("B", flood), true, true, false, []string{"A has no rule flood"}},
		"another condition":         {toAgents("default"), toBots("machines"), side("A", bots), side("B", laxer), true, true, false, []string{"when of rule bots is `p_machine > 0.5` in B and `p_machine > 0.9` in A"}},
		"another order":             {callback, toBots("bots"), side("A", flood, bots), side("B", bots, flood), true, true, false, []string{"B asks rule bots before flood", "A asks rule flood before bots"}},
		"a rule before it":          {callback, toBots("bots"), side("A", flood), side("B", bots, flood), true, true, false, []string{"A has no rule bots"}},
		"it does not match":         {callback, toAgents("default"), side("A", flood), side("B", flood), true, true, false, []string{"rule flood stands in both and does not match in B: surge > 3"}},
		"another destination":       {toBots("bots"), toBots("machines"), side("A", bots), side("B", func() rules.Rule { r := bots; r.Destination = "machines"; return r }()), true, false, false, []string{"destination of rule bots is `bots` in A and `machines` in B"}},
		"another refusal":           {call(policy.Unknown, 0.5, policy.Reject, "", "no"), call(policy.Unknown, 0.5, policy.Reject, "", "no"), side("A", no), side("B", refused), true, false, false, []string{"status of rule no is `603` in A and not given in B", "refusal of rule no is not given in A and `608` in B"}},
		"allowed":                   {toAgents("allow"), callback, side("A", flood), side("B", flood), true, true, false, []string{"the caller is on an allow list of A and on none of B"}},
		"an emergency to one":       {callback, toAgents("emergency"), side("A", flood), side("B", flood), true, true, false, []string{"the call is an emergency to B and not to A"}},
		"the default's destination": {call(policy.Unknown, 0.5, policy.ToAgents, "x", "default"), call(policy.Unknown, 0.5, policy.ToAgents, "y", "default"), Side{Name: "A", Rules: rules.Config{DefaultDestination: "x"}}, Side{Name: "B", Rules: rules.Config{DefaultDestination: "y"}}, true, false, false, []string{"default_destination is x in A and y in B"}},
		"judged otherwise": {call(policy.Assistant, 0.9, policy.ToAgents, "agents", "default", ev), call(policy.Unknown, 0.6, policy.ToAgents, "agents", "default", heavier, voice), side("A"), side("B"), false, false, true,
			[]string{"judged assistant (0.90) by A and unknown (0.60) by B", "rtp.pacing weighs +1.50 by A and +2.00 by B (even)", "only by B: voice.synthetic +0.70 (synthetic)"}},
		"another prior":     {call(policy.Unknown, 0.5, policy.ToAgents, "agents", "default", ev), call(policy.Unknown, 0.6, policy.ToAgents, "agents", "default", ev), side("A"), side("B"), false, false, true, []string{"judged unknown (0.50) by A and unknown (0.60) by B, by the same evidence: prior, weights or load are others"}},
		"evidence gone":     {call(policy.Unknown, 0.5, policy.ToAgents, "agents", "default", ev), call(policy.Unknown, 0.5, policy.ToAgents, "agents", "default"), side("A"), side("B"), false, false, true, []string{"judged unknown (0.50) by A and unknown (0.50) by B", "only by A: rtp.pacing +1.50 (even)"}},
		"no rule knows why": {toAgents("default"), func() *trace.Call { c := toAgents("default"); c.Decision.Stage = policy.Arrival; return c }(), side("A"), side("B"), false, true, false, []string{"the rules that decide are the same in both: what they ask about is not (lists, trunks, time zone, load)"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Of(c.a, c.b, c.sideA, c.sideB)
			if got.Treated != c.treated || got.Ruled != c.rule || got.Judged != c.judged || !slices.Equal(got.Why, c.why) {
				t.Errorf("treated %v, ruled %v, judged %v:\n%s\nwant %v, %v, %v:\n%s", got.Treated, got.Ruled, got.Judged, strings.Join(got.Why, "\n"), c.treated, c.rule, c.judged, strings.Join(c.why, "\n"))
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, c := range [][4]string{{"x/a.yaml", "y/b.yaml", "a.yaml", "b.yaml"}, {"old/p.yaml", "new/p.yaml", "old/p.yaml", "new/p.yaml"}, {"p.yaml", "p.yaml", "p.yaml (first)", "p.yaml (second)"}} {
		if a, b := Names(c[0], c[1]); a != c[2] || b != c[3] {
			t.Errorf("%s and %s are called %s and %s", c[0], c[1], a, b)
		}
	}
}
