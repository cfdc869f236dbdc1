package cases

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/trace"
)

// Difference is one expectation that does not hold.
type Difference struct {
	Key  string // below expect, such as class or evidence.voice.synthetic
	Want string // as the case has it; empty: it has nothing there
	Got  string // as it is, in the form that the case would have
}

// differences are what does not hold of a call.
func (e *Expect) differences(c *trace.Call) []Difference {
	var all []Difference
	note := func(key, want, got string) { all = append(all, Difference{key, want, got}) }
	text := func(key string, want *string, got string) {
		if want != nil && *want != got {
			note(key, *want, got)
		}
	}
	text("action", e.Action, string(c.Decision.Action))
	text("destination", e.Destination, c.Decision.Destination)
	text("rule", e.Rule, c.Decision.Rule)
	text("reason", e.Reason, c.Decision.Reason)
	text("stage", e.Stage, string(c.Decision.Stage))
	text("class", e.Class, string(c.Verdict.Class))
	if b := e.PMachine; b != nil && !b.holds(c.Verdict.PMachine) {
		note("p_machine", b.String(), figure(c.Verdict.PMachine))
	}
	text("outcome", e.Outcome, string(c.Outcome))
	if e.FinalCode != nil {
		code := 0
		if c.FinalCode != nil {
			code = *c.FinalCode
		}
		if code != *e.FinalCode {
			note("final_code", strconv.Itoa(*e.FinalCode), strconv.Itoa(code))
		}
	}
	text("fingerprint", e.Fingerprint, c.Fingerprint.ID)
	text("stack", e.Stack, c.Fingerprint.Stack)
	text("signature", e.Signature, c.Fingerprint.Signature)
	text("signature_kind", e.SignatureKind, c.Fingerprint.SignatureKind)
	if got := course(c); e.Decisions != nil && !slices.Equal(e.Decisions, got) {
		note("decisions", bracketed(e.Decisions), bracketed(got))
	}

	is := map[string]float64{}
	for _, item := range c.Verdict.Evidence {
		is[item.Name] = item.LLR
	}
	for _, name := range sortedKeys(e.Evidence) {
		b := e.Evidence[name]
		llr, there := is[name]
		switch {
		case name == other:
		case !there && b.Word != Absent:
			note("evidence."+name, b.String(), Absent)
		case there && !b.holds(llr):
			note("evidence."+name, b.String(), figure(llr))
		}
	}
	if _, closed := e.Evidence[other]; closed {
		for _, item := range c.Verdict.Evidence {
			if _, named := e.Evidence[item.Name]; !named {
				note("evidence."+item.Name, "", figure(item.LLR))
			}
		}
	}
	return all
}

// course are the rules that decided, in order.
func course(c *trace.Call) []string {
	rules := make([]string, 0, len(c.Decisions))
	for _, d := range c.Decisions {
		rules = append(rules, d.Rule)
	}
	return rules
}

// bracketed is a list as YAML has it; rules have names that need no quotes.
func bracketed(rules []string) string { return "[" + strings.Join(rules, ", ") + "]" }

// now is what is made of a call, as a case that expects all of it would have it.
func now(c *trace.Call) []Difference {
	all := []Difference{
		{"action", "", string(c.Decision.Action)}, {"rule", "", c.Decision.Rule}, {"class", "", string(c.Verdict.Class)},
		{"p_machine", "", figure(c.Verdict.PMachine)}, {"outcome", "", string(c.Outcome)},
	}
	if c.Decision.Destination != "" {
		all = slices.Insert(all, 1, Difference{"destination", "", c.Decision.Destination})
	}
	if c.Fingerprint.ID != "" {
		all = append(all, Difference{"fingerprint", "", c.Fingerprint.ID})
	}
	if f := c.Fingerprint; f.Signature != "" {
		all = append(all, Difference{"signature", "", f.Signature})
	}
	if len(c.Decisions) > 1 {
		all = append(all, Difference{"decisions", "", bracketed(course(c))})
	}
	for _, item := range c.Verdict.Evidence {
		all = append(all, Difference{"evidence." + item.Name, "", figure(item.LLR)})
	}
	if c.Decision.Rule == "" { // it was not put before the judge
		return slices.DeleteFunc(all, func(d Difference) bool { return d.Key != "outcome" })
	}
	return all
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// explain says in words what differs and, as far as the case knows what it was
// before, why.
func explain(e *Expect, c *trace.Call, all []Difference, names []string) []string {
	by := map[string]Difference{}
	for _, d := range all {
		by[d.Key] = d
	}
	has := func(keys ...string) bool {
		return slices.ContainsFunc(keys, func(k string) bool { _, ok := by[k]; return ok })
	}
	var out []string
	treated := has("action", "destination", "rule", "reason", "stage")
	why := e.why(c, by)
	if treated {
		line := fmt.Sprintf("expected %s, got %s", e.treatment(by), treatment(c.Decision, by))
		switch {
		case len(why) > 0:
			line += ", because " + strings.Join(why, " and ")
		case e.PMachine != nil && e.PMachine.single() || e.Class != nil:
			line += ", though the caller is judged as expected: the rules are others, or what they ask about besides the verdict"
		}
		out = append(out, line)
		if d, ok := by["rule"]; ok && names != nil && !slices.Contains(names, d.Want) && !builtIn(d.Want) {
			out = append(out, fmt.Sprintf("there is no rule `%s` in the configuration; there are: %s", d.Want, strings.Join(names, ", ")))
		}
	} else if len(why) > 0 {
		out = append(out, strings.Join(why, "; "))
	}
	for _, k := range []string{"decisions", "outcome", "final_code", "fingerprint", "stack", "signature", "signature_kind"} {
		if d, ok := by[k]; ok {
			line := fmt.Sprintf("expected %s %s, got %s", strings.ReplaceAll(k, "_", " "), quoted(d.Want), quoted(d.Got))
			if k == "fingerprint" && c.Fingerprint.Text != "" {
				line += ", which is " + c.Fingerprint.Text
			}
			out = append(out, line)
		}
	}
	return append(out, e.evidence(c, all)...)
}

// builtIn says whether a rule is one of those that every configuration has.
func builtIn(rule string) bool {
	switch rule {
	case rules.DefaultRule, rules.PassEmergency, rules.PassRelay, rules.PassAllow:
		return true
	}
	return false
}

// why are the reasons that lie in the verdict.
func (e *Expect) why(c *trace.Call, by map[string]Difference) []string {
	var why []string
	if d, ok := by["class"]; ok {
		why = append(why, fmt.Sprintf("the caller is judged %s and not %s", d.Got, d.Want))
	}
	if d, ok := by["p_machine"]; ok {
		switch p, b := c.Verdict.PMachine, e.PMachine; {
		case !b.single():
			why = append(why, fmt.Sprintf("p_machine is %s, not within %s", d.Got, d.Want))
		case p > b.Low:
			why = append(why, fmt.Sprintf("p_machine rose from %s to %s", d.Want, d.Got))
		default:
			why = append(why, fmt.Sprintf("p_machine fell from %s to %s", d.Want, d.Got))
		}
	}
	return why
}

// treatment is what the case expects of the rules, as far as that differs.
func (e *Expect) treatment(by map[string]Difference) string {
	return words(by, func(key string) (string, bool) {
		p := map[string]*string{"action": e.Action, "destination": e.Destination, "rule": e.Rule, "reason": e.Reason, "stage": e.Stage}[key]
		if p == nil {
			return "", false
		}
		return *p, true
	})
}

// treatment is what the rules ordered.
func treatment(d *trace.Decision, by map[string]Difference) string {
	return words(by, func(key string) (string, bool) {
		switch key {
		case "action":
			return string(d.Action), true
		case "destination":
			return d.Destination, by[key].Key != ""
		case "rule":
			return d.Rule, true
		case "reason":
			return d.Reason, by[key].Key != ""
		}
		return string(d.Stage), by[key].Key != ""
	})
}

func words(by map[string]Difference, of func(key string) (string, bool)) string {
	var parts []string
	for _, w := range []struct{ key, before string }{{"action", "action "}, {"destination", "to "}, {"rule", "by rule "}, {"reason", "for "}, {"stage", "at stage "}} {
		_, differs := by[w.key]
		if is, told := of(w.key); told && (differs || w.key == "action" || w.key == "rule") {
			parts = append(parts, w.before+quoted(is))
		}
	}
	return strings.TrimPrefix(strings.Join(parts, " "), "by ")
}

func quoted(s string) string {
	if s == "" {
		return "none"
	}
	return "`" + s + "`"
}

// evidence tells what is new, gone and changed. Evidence that the case does not
// name is told only where the judgement differs, and may not be new.
func (e *Expect) evidence(c *trace.Call, all []Difference) []string {
	var added, gone, changed []string
	judged := slices.ContainsFunc(all, func(d Difference) bool {
		return d.Key == "class" || d.Key == "p_machine" || strings.HasPrefix(d.Key, "evidence.")
	})
	says := map[string]bool{}
	for _, item := range c.Verdict.Evidence {
		says[item.Name] = true
		b, named := e.Evidence[item.Name]
		line := fmt.Sprintf("%s %s (%s)", item.Name, signed(item.LLR), item.Says)
		switch {
		case !named || b.Word == Absent:
			if judged {
				added = append(added, line)
			}
		case b.Word == "" && !b.holds(item.LLR):
			move := "is not within " + b.String() + " but"
			if b.single() {
				move = "rose from " + signed(b.Low) + " to"
				if item.LLR < b.Low {
					move = "fell from " + signed(b.Low) + " to"
				}
			}
			changed = append(changed, fmt.Sprintf("%s %s %s (%s)", item.Name, move, signed(item.LLR), item.Says))
		}
	}
	for _, name := range sortedKeys(e.Evidence) {
		if b := e.Evidence[name]; name != other && b.Word != Absent && !says[name] {
			gone = append(gone, fmt.Sprintf("%s, which was %s", name, b))
		}
	}
	var out []string
	for _, k := range []struct {
		head  string
		lines []string
	}{{"evidence new: ", added}, {"evidence gone: ", gone}, {"evidence changed: ", changed}} {
		if len(k.lines) > 0 {
			out = append(out, k.head+strings.Join(k.lines, "; "))
		}
	}
	return out
}

func signed(x float64) string {
	if s := figure(x); strings.HasPrefix(s, "-") {
		return s
	} else {
		return "+" + s
	}
}
