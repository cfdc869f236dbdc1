package rules

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/portero/portero/policy"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) // a Friday

var places = map[string]bool{"agents": true, "bots": true, "night": true}

// house is a policy with something of everything.
func house() Config {
	c := Defaults()
	c.Lists = map[string][]string{
		"vip":   {"+49 30 123456", "0172/5550101", "alice"},
		"relay": {"+1711*"},
		"wave":  {"+4479*", "0800*"},
	}
	c.Allow, c.Relay = []string{"vip"}, []string{"relay"}
	c.Rules = []Rule{
		{Name: "wave", When: `in_list("wave") && surge > 2`, Action: policy.Reject, Stages: []policy.Stage{policy.Arrival}, Status: 486, Reason: "wave-2026"},
		{Name: "declared", When: `automata`, Action: policy.ToAutomation, Destination: "bots"},
		{Name: "synthetic", When: `class in ["assistant", "recording"] && p_machine > 0.95`, Action: policy.Reject},
		{Name: "message", When: `class == "recording" || has("campaign.same_speech")`, Action: policy.ToCallback, Stages: []policy.Stage{policy.Listening, policy.Dialogue}},
		{Name: "busy", When: `class == "unknown" && agents_free == 0 && evidence("voice.synthetic") >= 0`, Action: policy.ToScreen},
		{Name: "night", When: `now.Hour() >= 20 || now.Weekday().String() == "Sunday"`, Action: policy.ToAgents, Destination: "night"},
		{Name: "digits", When: `stage == "dialogue" && int(digits) > 5`, Action: policy.ToAgents},
	}
	return c
}

func TestDecide(t *testing.T) {
	s, err := Compile(house(), places)
	if err != nil {
		t.Fatal(err)
	}
	voice := []policy.Evidence{{Name: "voice.synthetic", LLR: 3}}
	both := append([]policy.Evidence{{Name: "line.digital_silence", LLR: 1.5}}, voice...)
	campaign := []policy.Evidence{{Name: "campaign.same_speech", LLR: 4}}
	f := func(change func(*policy.Facts)) policy.Facts {
		f := policy.Facts{Stage: policy.Arrival, Now: noon, Class: policy.Unknown, AgentsFree: 3, Surge: 1, From: "+4930999999", To: "100"}
		change(&f)
		return f
	}
	for _, tc := range []struct {
		name  string
		facts policy.Facts
		ev    []policy.Evidence
		want  string // rule action destination reason status
	}{
		{"nothing special", f(func(f *policy.Facts) {}), nil, "default agents agents P300-no-rule 0"},
		{"emergency", f(func(f *policy.Facts) { f.To, f.Automata = "911", true }), nil, "emergency agents agents P100-emergency 0"},
		{"emergency by signalling", f(func(f *policy.Facts) { f.Emergency = true }), nil, "emergency agents agents P100-emergency 0"},
		{"relay", f(func(f *policy.Facts) { f.From, f.Automata = "+17115550100", true }), nil, "relay agents agents P105-relay 0"},
		{"allowed", f(func(f *policy.Facts) { f.From, f.Automata, f.Class = "004930123456", true, policy.Assistant }), both, "allow agents agents P110-allow-listed 0"},
		{"allowed without the plus", f(func(f *policy.Facts) { f.From, f.Automata = "4930123456", true }), nil, "allow agents agents P110-allow-listed 0"},
		{"allowed by name", f(func(f *policy.Facts) { f.From, f.Automata = "alice", true }), nil, "allow agents agents P110-allow-listed 0"},
		{"reject", f(func(f *policy.Facts) { f.From, f.Surge = "+447911123456", 3 }), nil, "wave reject  wave-2026 486"},
		{"reject needs both", f(func(f *policy.Facts) { f.From = "+447911123456" }), nil, "default agents agents P300-no-rule 0"},
		{"a prefix needs the plus", f(func(f *policy.Facts) { f.From, f.Surge = "447911123456", 3 }), nil, "default agents agents P300-no-rule 0"},
		{"other stage", f(func(f *policy.Facts) { f.From, f.Surge, f.Stage = "+447911123456", 3, policy.Listening }), nil, "default agents agents P300-no-rule 0"},
		{"first match wins", f(func(f *policy.Facts) { f.Automata, f.AgentsFree = true, 0 }), nil, "declared automation bots P200-declared 0"},
		{"a voice alone is never rejected", f(func(f *policy.Facts) { f.Class, f.PMachine, f.Stage = policy.Recording, 0.99, policy.Listening }), voice, "message callback  P200-message 0"},
		{"a voice and a dead line", f(func(f *policy.Facts) { f.Class, f.PMachine, f.Stage = policy.Assistant, 0.99, policy.Listening }), both, "synthetic reject  P200-synthetic 0"},
		{"evidence by name", f(func(f *policy.Facts) { f.Stage = policy.Listening }), campaign, "message callback  P200-message 0"},
		{"screen", f(func(f *policy.Facts) { f.AgentsFree = 0 }), nil, "busy screen  P200-busy 0"},
		{"never screened twice", f(func(f *policy.Facts) { f.AgentsFree, f.Stage, f.Digits = 0, policy.Dialogue, "1" }), nil, "default agents agents P310-screened-undecided 0"},
		{"never screened twice, listening again", f(func(f *policy.Facts) { f.AgentsFree, f.Stage, f.Screened = 0, policy.Listening, true }), nil, "default agents agents P300-no-rule 0"},
		{"night", f(func(f *policy.Facts) { f.Now = noon.Add(9 * time.Hour) }), nil, "night agents night P200-night 0"},
		{"sunday", f(func(f *policy.Facts) { f.Now = noon.Add(48 * time.Hour) }), nil, "night agents night P200-night 0"},
		{"expression fails", f(func(f *policy.Facts) { f.Stage, f.Digits = policy.Dialogue, "x" }), nil, "digits agents agents P420-rules-broken 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.Fill(&tc.facts)
			d := s.Decide(tc.facts, tc.ev)
			got := fmt.Sprintf("%s %s %s %s %d", d.Rule, d.Action, d.Destination, d.Reason, d.Status)
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if d.Stage != tc.facts.Stage || !d.At.Equal(tc.facts.Now) {
				t.Errorf("decided at %s %v, asked at %s %v", d.Stage, d.At, tc.facts.Stage, tc.facts.Now)
			}
		})
	}
}

func TestDefaultsPassEverybody(t *testing.T) {
	s, err := Compile(Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Decide(policy.Facts{Class: policy.Recording, PMachine: 1, Stage: policy.Arrival}, nil)
	if d.Action != policy.ToAgents || d.Destination != "agents" {
		t.Errorf("decision %+v, want the agents", d)
	}
}

func TestCompileReportsEveryMistake(t *testing.T) {
	ok := Rule{Name: "a", When: "true", Action: policy.ToAgents}
	with := func(change func(*Rule)) Config {
		r := ok
		change(&r)
		c := Defaults()
		c.Lists = map[string][]string{"vip": {"1"}}
		c.Rules = []Rule{r}
		return c
	}
	when := func(text string) Config { return with(func(r *Rule) { r.When = text }) }
	for _, tc := range []struct {
		name string
		cfg  Config
		want []string // one per mistake
	}{
		{"unknown fact", when(`clas == "human"`), []string{"rules[0].when: unknown fact clas; is it class? the facts are: stage, now, class"}},
		{"second line", when("automata &&\n  nope"), []string{"(line 2, column 3 of the expression)"}},
		{"wrong type", when(`p_machine == "high"`), []string{"mismatched types float64 and string) (line 1, column 11"}},
		{"not a bool", when(`p_machine`), []string{"expected bool, but got float64"}},
		{"may be anything", when(`fromJSON(digits)`), []string{"expected bool, but got interface {}"}},
		{"empty", when(` `), []string{"the rule has no expression"}},
		{"syntax", when(`automata &&`), []string{"unexpected token EOF"}},
		{"bad pattern", when(`from matches "["`), []string{"missing closing ]"}},
		{"the clock", when(`now() > now`), []string{"rules[0].when: "}},
		{"unknown list", when(`in_list("vpi")`), []string{`there is no list "vpi"; the lists are: vip (line 1, column 9`}},
		{"computed list", when(`in_list(from)`), []string{"in_list takes a name in quotes"}},
		{"unknown evidence", when(`has("voise.synthetic")`), []string{`no evidence is named "voise.synthetic"; is it voice.synthetic? the names are: analysis.late, campaign.same_speech`}},
		{"unknown class", when(`class == "robot"`), []string{`class is never "robot"; it is one of: human, assistant, recording, unknown (line 1, column 10`}},
		{"unknown class in a list", when(`class in ["human", "bot"]`), []string{`class is never "bot"`}},
		{"unknown verstat", when(`verstat == "valid"`), []string{`verstat is never "valid"; it is one of: passed, failed, none`}},
		{"unknown attestation", when(`attestation in ["A", "D"]`), []string{`attestation is never "D"`}},
		{"unknown failure code", when(`identity_code == 404`), []string{`identity_code is never 404; it is one of: 0 403 428`}},
		{"capabilities are a list", when(`capabilities == "audio"`), []string{"mismatched types"}},
		{"identity", when(`verstat == "passed" && attestation in ["A", ""] && !diverted && "text" in capabilities && identity_code != 438`), nil},
		{"refusal without reject", with(func(r *Rule) { r.Refusal = "608" }), []string{"only action reject has a refusal"}},
		{"refusal and status", with(func(r *Rule) { r.Action, r.Refusal, r.Status = policy.Reject, "608", 603 }), []string{"rules[0].refusal: a rule has a status or a refusal"}},
		{"unknown refusal", with(func(r *Rule) { r.Action, r.Refusal = policy.Reject, "609" }), []string{`rules[0].refusal: "609" is no refusal; allowed are: 603, 603+, 607, 608`}},
		{"unknown stage", when(`"ring" == stage`), []string{`stage is never "ring"`}},
		{"no name", with(func(r *Rule) { r.Name = "" }), []string{"rules[0].name: the rule has no name"}},
		{"bad name", with(func(r *Rule) { r.Name = "a b" }), []string{`rules[0].name: "a b" is no name`}},
		{"built-in name", with(func(r *Rule) { r.Name = "allow" }), []string{"is the name of a built-in"}},
		{"bad stage", with(func(r *Rule) { r.Stages = []policy.Stage{"listening", "ringing", "listening"} }), []string{`rules[0].stages[1]: "ringing" is no stage`, `rules[0].stages[2]: "listening" stands twice`}},
		{"bad action", with(func(r *Rule) { r.Action = "drop" }), []string{`rules[0].action: "drop" is no action; the actions are: agents, automation`}},
		{"automation", with(func(r *Rule) { r.Action = policy.ToAutomation }), []string{"rules[0].destination: action automation needs a destination"}},
		{"destination of a reject", with(func(r *Rule) { r.Action, r.Destination = policy.Reject, "bots" }), []string{"action reject takes no destination"}},
		{"unknown destination", with(func(r *Rule) { r.Destination = "nowhere" }), []string{`"nowhere" is no configured destination; there are: agents, bots, night`}},
		{"status without reject", with(func(r *Rule) { r.Status = 486 }), []string{"only action reject has a status"}},
		{"status", with(func(r *Rule) { r.Action, r.Status = policy.Reject, 200 }), []string{"rules[0].status: 200 is not allowed; allowed are: 403 404"}},
		{"reason", with(func(r *Rule) { r.Reason = "P100-emergency" }), []string{"Portero's own codes"}},
		{"reason form", with(func(r *Rule) { r.Reason = "über" }), []string{"is no reason code"}},
		{"screen in a dialogue", with(func(r *Rule) { r.Action, r.Stages = policy.ToScreen, []policy.Stage{policy.Dialogue} }), []string{"a call is screened once"}},
		{"lists", Config{DefaultDestination: "agents", Lists: map[string][]string{"a": {"", "*", "1*2", "+"}, "b c": nil}, Allow: []string{"x"}, Relay: []string{"y"}, Emergency: []string{"9*1"}},
			[]string{`lists.a[0]`, `lists.a[1]`, `lists.a[2]: "1*2": a * may stand only at the end`, `lists.a[3]`, `lists.b c`, `allow[0]: there is no list "x"`, `relay[0]`, `emergency[0]`}},
		{"no default destination", Config{}, []string{"default_destination: is empty"}},
		{"unknown default destination", Config{DefaultDestination: "x"}, []string{`default_destination: "x" is no configured destination`}},
		{"same name", Config{DefaultDestination: "agents", Rules: []Rule{{Name: "a", When: "automata", Action: policy.ToAgents}, ok}},
			[]string{`rules[1].name: "a" is also the name of rule 1`}},
		{"unreachable", Config{DefaultDestination: "agents", Rules: []Rule{ok, {Name: "b", When: "automata", Action: policy.ToAgents}}},
			[]string{"rules[1].when: the rule is never asked: a before it"}},
		{"unreachable by two", Config{DefaultDestination: "agents", Rules: []Rule{
			{Name: "a", When: "true", Action: policy.ToAgents, Stages: []policy.Stage{policy.Arrival}},
			{Name: "b", When: "true", Action: policy.ToAgents, Stages: []policy.Stage{policy.Listening, policy.Dialogue}},
			{Name: "c", When: "automata", Action: policy.ToAgents}}},
			[]string{"rules[2].when: the rule is never asked: a and b before it"}},
		{"reachable at one stage", Config{DefaultDestination: "agents", Rules: []Rule{
			{Name: "a", When: "true", Action: policy.ToAgents, Stages: []policy.Stage{policy.Arrival}},
			{Name: "c", When: "automata", Action: policy.ToAgents}}}, nil},
		{"screen for all, then decide", Config{DefaultDestination: "agents", Rules: []Rule{
			{Name: "a", When: "true", Action: policy.ToScreen},
			{Name: "c", When: "automata", Action: policy.ToAgents}}}, nil},
		{"everything at once", Config{Rules: []Rule{{}}}, []string{"default_destination", "rules[0].name", "rules[0].action", "rules[0].when"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Compile(tc.cfg, places)
			var got []string
			if j, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range j.Unwrap() {
					got = append(got, e.Error())
				}
			}
			if len(got) != len(tc.want) {
				t.Fatalf("%d mistakes, want %d:\n%s", len(got), len(tc.want), strings.Join(got, "\n"))
			}
			for _, w := range tc.want {
				if !strings.Contains(strings.Join(got, "\n"), w) {
					t.Errorf("nothing says %q in:\n%s", w, strings.Join(got, "\n"))
				}
			}
		})
	}
}

// A configuration tool gets the position inside an expression both ways.
func TestPositions(t *testing.T) {
	c := Defaults()
	c.Rules = []Rule{{Name: "a", When: "automata &&\n  clas == \"x\"", Action: policy.ToAgents}}
	_, err := Compile(c, nil)
	var f *Fault
	var e *ExprError
	if !errors.As(err, &f) || f.Path != "rules[0].when" || !errors.As(err, &e) || e.Line != 2 || e.Column != 3 {
		t.Errorf("Compile says %#v at %#v", e, f)
	}
	found := false
	c.Check(func(path, format string, args ...any) {
		for _, a := range args {
			if p, ok := a.(interface{ Position() (int, int) }); ok {
				line, column := p.Position()
				found = path == "rules[0].when" && line == 2 && column == 3
			}
		}
	})
	if !found {
		t.Error("Check does not tell the position")
	}
	Defaults().Check(func(path, format string, args ...any) {
		t.Errorf("the defaults are at fault: %s "+format, append([]any{path}, args...)...)
	})
}

// Every fact can be asked about, and arrives with its value.
func TestFactsAreComplete(t *testing.T) {
	var f policy.Facts
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.String:
			field.SetString(fmt.Sprint("text", i))
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Int:
			field.SetInt(int64(i + 1))
		case reflect.Float64:
			field.SetFloat(float64(i) + 0.5)
		case reflect.Slice:
			field.Set(reflect.ValueOf([]string{fmt.Sprint("text", i)}))
		default:
			field.Set(reflect.ValueOf(noon))
		}
	}
	s, err := Compile(Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := newEnv(s)
	e.load(&f, nil)
	ev := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("expr")
		field := ev.FieldByName(v.Type().Field(i).Name)
		if !field.IsValid() {
			t.Errorf("the fact %s is missing in env", tag)
			continue
		}
		ef, _ := ev.Type().FieldByName(v.Type().Field(i).Name)
		if ef.Tag.Get("expr") != tag {
			t.Errorf("%s is named %q in env, %q in policy.Facts", ef.Name, ef.Tag.Get("expr"), tag)
		}
		if got, want := fmt.Sprint(field.Interface()), fmt.Sprint(v.Field(i).Interface()); got != want {
			t.Errorf("%s arrives as %s, want %s", tag, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]string{
		"+49 30 123456": "+4930123456", "004930123456": "+4930123456", "030/12 34-56": "030123456",
		"(0172) 555.0101": "01725550101", "+49301;phone-context=x": "+49301", "alice": "alice",
		"112": "112", "00": "00", "0012": "0012", "*67": "*67", "a+1": "a+1", "": "", "1+2": "1+2",
	} {
		if got := Number(in); got != want {
			t.Errorf("Number(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzNumber(f *testing.F) {
	f.Add("+49 30 123456;x=y")
	f.Add("00*#")
	f.Fuzz(func(t *testing.T, s string) {
		if n := Number(s); Number(n) != n {
			t.Errorf("Number(%q) = %q, again %q", s, n, Number(n))
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	s, err := Compile(house(), places)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range 200 {
				f := policy.Facts{Stage: policy.Arrival, Now: noon, From: fmt.Sprintf("+4479%d", j), Surge: float64(i), AgentsFree: 1}
				if d := s.Decide(f, nil); (d.Rule == "wave") != (i > 2) {
					t.Errorf("surge %d: rule %s", i, d.Rule)
				}
			}
		}()
	}
	wg.Wait()
}

func BenchmarkDecide(b *testing.B) {
	s, err := Compile(house(), places)
	if err != nil {
		b.Fatal(err)
	}
	f := policy.Facts{Stage: policy.Listening, Now: noon, Class: policy.Assistant, PMachine: 0.6, From: "+4930999999", AgentsFree: 2}
	ev := []policy.Evidence{{Name: "line.digital_silence", LLR: 1}, {Name: "voice.synthetic", LLR: 2}}
	b.ReportAllocs()
	for b.Loop() {
		s.Decide(f, ev)
	}
}
