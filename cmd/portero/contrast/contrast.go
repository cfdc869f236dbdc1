// Package contrast lays two judgements of the same recorded call beside each other,
// and says in words where they part and why.
//
// It is given what two configurations made of a call, and their rules; it refuses to
// read either.
package contrast

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/trace"
)

// Side is one of the two configurations.
type Side struct {
	Name  string // as it is called in words
	Rules rules.Config
}

// Contrast is one call before both.
type Contrast struct {
	A, B    *trace.Call
	Treated bool     // they treat it differently: another action or destination, or another refusal
	Ruled   bool     // another rule decides, at another stage, or with another reason
	Judged  bool     // the verdicts' classes or evidence differ, or p_machine by 0.01
	Why     []string // where they part; empty if they do not
}

// Of compares what two sides made of a call.
func Of(a, b *trace.Call, sideA, sideB Side) Contrast {
	c := Contrast{A: a, B: b}
	c.Treated = sideA.Treatment(a) != sideB.Treatment(b)
	c.Ruled = a.Decision.Rule != b.Decision.Rule || a.Decision.Stage != b.Decision.Stage || a.Decision.Reason != b.Decision.Reason
	c.Judged = a.Verdict.Class != b.Verdict.Class || math.Abs(a.Verdict.PMachine-b.Verdict.PMachine) >= 0.01 || len(evidence(a, b, sideA, sideB)) > 0
	if c.Treated || c.Ruled {
		c.Why = append(c.Why, decided(a, b, sideA, sideB)...)
	}
	if c.Judged {
		c.Why = append(c.Why, judged(a, b, sideA, sideB)...)
	}
	if len(c.Why) == 0 && (c.Treated || c.Ruled) {
		c.Why = []string{"the rules that decide are the same in both: what they ask about is not (lists, trunks, time zone, load)"}
	}
	return c
}

// Treatment is what becomes of a call: its action, and where it goes or how it is
// refused.
func (s Side) Treatment(c *trace.Call) string {
	d := c.Decision
	switch {
	case d.Action == policy.Reject:
		r, _ := s.rule(d.Rule)
		switch {
		case r.Status != 0:
			return fmt.Sprintf("reject %d", r.Status)
		case r.Refusal != "":
			return "reject " + r.Refusal
		}
	case d.Destination != "" && d.Destination != string(d.Action):
		return string(d.Action) + " to " + d.Destination
	case d.Action == "":
		return "unjudged"
	}
	return string(d.Action)
}

// rule finds a rule and its place.
func (s Side) rule(name string) (rules.Rule, int) {
	i := slices.IndexFunc(s.Rules.Rules, func(r rules.Rule) bool { return r.Name == name })
	if i < 0 {
		return rules.Rule{}, -1
	}
	return s.Rules.Rules[i], i
}

// decided says why the rules part.
func decided(a, b *trace.Call, sideA, sideB Side) []string {
	ra, rb := a.Decision.Rule, b.Decision.Rule
	if ra == rb {
		return altered(ra, sideA, sideB)
	}
	var why []string
	if w := passed(ra, sideA, sideB); w != "" {
		why = append(why, w)
	} else if w := passed(rb, sideB, sideA); w != "" {
		return append(why, w) // no rule was asked there
	}
	if len(why) > 0 {
		return why
	}
	why = append(why, missing(ra, rb, sideA, sideB)...)
	return append(why, missing(rb, ra, sideB, sideA)...)
}

// passed says of a built-in pass that only one side has it.
func passed(rule string, here, there Side) string {
	list := map[string]string{rules.PassAllow: "the caller is on an allow list of %s and on none of %s",
		rules.PassRelay:     "the caller is a relay service by a list of %s and by none of %s",
		rules.PassEmergency: "the call is an emergency to %s and not to %s"}[rule]
	if list == "" {
		return ""
	}
	return fmt.Sprintf(list, here.Name, there.Name)
}

// missing says why a rule that decides here does not there, where another does.
func missing(rule, instead string, here, there Side) []string {
	mine, at := here.rule(rule)
	if at < 0 {
		return nil
	}
	theirs, place := there.rule(rule)
	if place < 0 {
		return []string{fmt.Sprintf("%s has no rule %s", there.Name, rule)}
	}
	if w := asked(rule, here, there); len(w) > 0 {
		return w
	}
	if _, before := there.rule(instead); before >= 0 && before < place {
		if _, after := here.rule(instead); after > at {
			return []string{fmt.Sprintf("%s asks rule %s before %s", there.Name, instead, rule)}
		}
		return nil // what is said of the other rule says it
	}
	if mine.When == theirs.When {
		return []string{fmt.Sprintf("rule %s stands in both and does not match in %s: %s", rule, there.Name, mine.When)}
	}
	return nil
}

// asked says in what a rule of both differs that decides whether it matches.
func asked(rule string, here, there Side) []string {
	return slices.DeleteFunc(altered(rule, here, there), func(s string) bool {
		return !strings.HasPrefix(s, "when of ") && !strings.HasPrefix(s, "stages of ")
	})
}

// altered says in what a rule of both differs.
func altered(rule string, sideA, sideB Side) []string {
	a, i := sideA.rule(rule)
	b, j := sideB.rule(rule)
	if i < 0 || j < 0 {
		if sideA.Rules.DefaultDestination != sideB.Rules.DefaultDestination && rule == rules.DefaultRule {
			return []string{fmt.Sprintf("default_destination is %s in %s and %s in %s", sideA.Rules.DefaultDestination, sideA.Name, sideB.Rules.DefaultDestination, sideB.Name)}
		}
		return nil
	}
	var why []string
	for _, f := range []struct{ key, a, b string }{
		{"when", a.When, b.When}, {"stages", fmt.Sprint(a.Stages), fmt.Sprint(b.Stages)}, {"action", string(a.Action), string(b.Action)},
		{"destination", a.Destination, b.Destination}, {"reason", a.Reason, b.Reason}, {"status", number(a.Status), number(b.Status)}, {"refusal", a.Refusal, b.Refusal},
	} {
		if f.a != f.b {
			why = append(why, fmt.Sprintf("%s of rule %s is %s in %s and %s in %s", f.key, rule, orNothing(f.a), sideA.Name, orNothing(f.b), sideB.Name))
		}
	}
	return why
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func orNothing(s string) string {
	if s == "" || s == "[]" {
		return "not given"
	}
	return "`" + s + "`"
}

// judged says how the verdicts part.
func judged(a, b *trace.Call, sideA, sideB Side) []string {
	v, w := a.Verdict, b.Verdict
	line := fmt.Sprintf("judged %s (%.2f) by %s and %s (%.2f) by %s", v.Class, v.PMachine, sideA.Name, w.Class, w.PMachine, sideB.Name)
	differs := evidence(a, b, sideA, sideB)
	if len(differs) == 0 {
		return []string{line + ", by the same evidence: prior, weights or load are others"}
	}
	return append([]string{line}, differs...)
}

// evidence tells the items that only one side has, or that weigh differently.
func evidence(a, b *trace.Call, sideA, sideB Side) []string {
	var out []string
	theirs := map[string]trace.Evidence{}
	for _, e := range b.Verdict.Evidence {
		theirs[e.Name] = e
	}
	only := func(e trace.Evidence, side Side) string {
		return fmt.Sprintf("only by %s: %s %+.2f (%s)", side.Name, e.Name, e.LLR, e.Says)
	}
	for _, e := range a.Verdict.Evidence {
		switch o, ok := theirs[e.Name]; {
		case !ok:
			out = append(out, only(e, sideA))
		case math.Abs(e.LLR-o.LLR) >= 0.01-1e-9:
			out = append(out, fmt.Sprintf("%s weighs %+.2f by %s and %+.2f by %s (%s)", e.Name, e.LLR, sideA.Name, o.LLR, sideB.Name, e.Says))
		}
		delete(theirs, e.Name)
	}
	for _, e := range b.Verdict.Evidence {
		if _, left := theirs[e.Name]; left {
			out = append(out, only(e, sideB))
		}
	}
	return out
}

// Names are what two configurations are called in words: their files' own names
// where these differ.
func Names(a, b string) (string, string) {
	short := func(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
	if short(a) != short(b) {
		return short(a), short(b)
	}
	if a != b {
		return a, b
	}
	return a + " (first)", b + " (second)"
}
