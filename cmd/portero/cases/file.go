package cases

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/trace"
)

// Suite is one case file.
type Suite struct {
	// Config is the configuration that the cases are about, relative to the case
	// file. Default: none, and it is given with --config.
	Config string `yaml:"config"`
	// Given is what is given to every case that does not say otherwise.
	Given Given `yaml:"given"`
	// Cases in any order.
	Cases []Case `yaml:"cases"`

	path string
	file *config.File
}

// Case says of one recorded call what should be made of it.
type Case struct {
	// Name says what the case shows; unique in its file.
	Name string `yaml:"name"`
	// Capture is the file that holds the call, relative to the case file.
	Capture string `yaml:"capture"`
	// Call is its Call-ID. From and To are user parts as inspect prints them. What
	// is not given fits every call.
	Call string `yaml:"call"`
	From string `yaml:"from"`
	To   string `yaml:"to"`
	// Nth chooses among several calls that fit, the first being 1, in the order in
	// which they began. Default: there must be one.
	Nth int `yaml:"nth"`
	// After are captures that were heard before, relative to the case file: what was
	// said in their calls is known (campaigns).
	After []string `yaml:"after"`
	// Given is what the capture does not show.
	Given Given `yaml:"given"`
	// Expect is what should be made of the call.
	Expect Expect `yaml:"expect"`
}

// Given is what a capture does not show of what a call meets. It holds for every
// call of the capture while the case is tried. What is not given comes from the
// capture and from the configuration.
type Given struct {
	// Now is when the call comes, to rules that ask about now: RFC 3339.
	Now *time.Time `yaml:"now"`
	// Lists are numbers that stand on lists of the configuration besides its own.
	Lists map[string][]string `yaml:"lists"`
	// Trunk is the configured trunk that the call comes by, whatever its address.
	Trunk *string `yaml:"trunk"`
	// Verstat and Attestation are what the caller's signed number is worth.
	Verstat     *string `yaml:"verstat"`
	Attestation *string `yaml:"attestation"`
	// The load that the call meets. Of agents_busy and agents_free the one follows
	// from the other where surge.agents is configured.
	AgentsBusy  *int     `yaml:"agents_busy"`
	AgentsFree  *int     `yaml:"agents_free"`
	CallsNow    *int     `yaml:"calls_now"`
	CallsMinute *int     `yaml:"calls_minute"`
	Surge       *float64 `yaml:"surge"`
}

// Expect is what should be made of a call; what is not there is not looked at.
type Expect struct {
	Action      *string `yaml:"action"`
	Destination *string `yaml:"destination"`
	Rule        *string `yaml:"rule"`
	Reason      *string `yaml:"reason"`
	Stage       *string `yaml:"stage"`
	Class       *string `yaml:"class"`
	PMachine    *Bounds `yaml:"p_machine"`
	Outcome     *string `yaml:"outcome"`
	FinalCode   *int    `yaml:"final_code"`
	Fingerprint *string `yaml:"fingerprint"`
	Stack       *string `yaml:"stack"`
	// Signature is the name of the first signature that the INVITE bears.
	Signature     *string `yaml:"signature"`
	SignatureKind *string `yaml:"signature_kind"`
	// Decisions are the rules that decided, in order.
	Decisions []string `yaml:"decisions"`
	// Evidence by name: its log-likelihood ratio. The name `other` stands for all
	// evidence that is not named, and may only be absent.
	Evidence map[string]Bounds `yaml:"evidence"`
}

// other is the name that stands for all evidence that is not named.
const other = "other"

// empty says whether nothing is expected.
func (e *Expect) empty() bool {
	return e.Action == nil && e.Destination == nil && e.Rule == nil && e.Reason == nil && e.Stage == nil && e.Class == nil && e.PMachine == nil &&
		e.Outcome == nil && e.FinalCode == nil && e.Fingerprint == nil && e.Stack == nil && e.Signature == nil && e.SignatureKind == nil && e.Decisions == nil && len(e.Evidence) == 0
}

// Load reads a case file. The error is config.Faults where it has mistakes.
func Load(path string) (*Suite, error) {
	s := &Suite{path: path}
	f, err := config.ReadFile(path, s)
	if err != nil {
		return nil, err
	}
	s.file = f
	if f.IsYAML() {
		s.check(f.Fault)
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Find lists the case files that names mean: files, and of directories all that
// end in .yaml or .yml, however deep.
func Find(names []string) ([]string, error) {
	var found []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			found = append(found, name)
			continue
		}
		before := len(found)
		err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && d.Type().IsRegular() && (ext == ".yaml" || ext == ".yml") {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(found) == before {
			return nil, fmt.Errorf("%s holds no case file (.yaml, .yml)", name)
		}
	}
	return found, nil
}

// Path is the file's name as it was given.
func (s *Suite) Path() string { return s.path }

// ConfigPath is the configuration that the file names; empty if it names none.
func (s *Suite) ConfigPath() string { return s.beside(s.Config) }

// beside is a file that the case file names.
func (s *Suite) beside(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(s.path), name)
}

type faults = func(path, format string, args ...any)

func (s *Suite) check(fault faults) {
	s.Given.check("given", fault)
	if len(s.Cases) == 0 {
		fault("cases", "there is no case; wanted: a list (- name: …)")
	}
	first := map[string]int{}
	for i := range s.Cases {
		c := &s.Cases[i]
		at := fmt.Sprintf("cases[%d]", i)
		if c.Name == "" {
			fault(at+".name", "a case needs a name that says what it shows")
		} else if line, twice := first[c.Name]; twice {
			fault(at+".name", "%q is the name of another case (line %d); allowed: a name of its own", c.Name, line)
		} else {
			first[c.Name] = s.file.Line(at + ".name")
		}
		if c.Capture == "" {
			fault(at+".capture", "a case needs a capture, relative to this file")
		}
		if c.Nth < 0 {
			fault(at+".nth", "%d; allowed: 1 for the first call that fits, 2 for the second, …", c.Nth)
		}
		c.Given.check(at+".given", fault)
		c.Expect.check(at+".expect", fault)
	}
}

func (g *Given) check(at string, fault faults) {
	if g.Verstat != nil {
		oneOf(fault, at+".verstat", *g.Verstat, "passed", "failed", "none")
	}
	if g.Attestation != nil {
		oneOf(fault, at+".attestation", *g.Attestation, "A", "B", "C")
		if g.Verstat == nil || *g.Verstat != "passed" {
			fault(at+".attestation", "only a signature that passed has one; wanted: verstat: passed beside it")
		}
	}
	for _, n := range []struct {
		key string
		is  *int
	}{{"agents_busy", g.AgentsBusy}, {"agents_free", g.AgentsFree}, {"calls_now", g.CallsNow}, {"calls_minute", g.CallsMinute}} {
		if n.is != nil && (*n.is < 0 || *n.is > policy.Unlimited) {
			fault(at+"."+n.key, "%d; allowed: 0 to %d", *n.is, policy.Unlimited)
		}
	}
	if g.Surge != nil && !(*g.Surge >= 0 && *g.Surge <= 1e6) {
		fault(at+".surge", "%v; allowed: 0 to 1000000 times the usual rate", *g.Surge)
	}
}

func (e *Expect) check(at string, fault faults) {
	for _, w := range []struct {
		key     string
		is      *string
		allowed []string
	}{
		{"action", e.Action, texts(policy.ToAgents, policy.ToAutomation, policy.ToCallback, policy.ToScreen, policy.Reject)},
		{"stage", e.Stage, texts(policy.Arrival, policy.Listening, policy.Dialogue)},
		{"class", e.Class, texts(policy.Human, policy.Assistant, policy.Recording, policy.Unknown)},
		{"outcome", e.Outcome, texts(trace.Answered, trace.Cancelled, trace.Busy, trace.Declined, trace.AuthFailed, trace.Redirected, trace.Failed, trace.NoFinal)},
	} {
		if w.is != nil {
			oneOf(fault, at+"."+w.key, *w.is, w.allowed...)
		}
	}
	if e.SignatureKind != nil && *e.SignatureKind != "" {
		oneOf(fault, at+".signature_kind", *e.SignatureKind, policy.SignatureKinds...)
	}
	if b := e.PMachine; b != nil && (b.Word != "" || !b.single() && (b.Low > 1 || b.High < 0) || b.single() && (b.Low < 0 || b.Low > 1)) {
		fault(at+".p_machine", "%q; allowed: a probability like 0.31, or a range of them like 0.20..0.40, ..0.5, 0.9..", b.String())
	}
	if e.FinalCode != nil && (*e.FinalCode < 200 || *e.FinalCode > 699) {
		fault(at+".final_code", "%d; allowed: 200 to 699", *e.FinalCode)
	}
	for name, b := range e.Evidence {
		path := at + ".evidence." + name
		switch {
		case name == other && b.Word != Absent:
			fault(path, "%q; all evidence that is not named may only be absent", b.String())
		case name != other && !known(name):
			fault(path, "%q is no evidence; allowed: other, %s", name, strings.Join(kin(name), ", "))
		}
	}
}

// known says whether there is evidence of a name.
func known(name string) bool {
	return slices.ContainsFunc(policy.EvidenceNames, func(e policy.EvidenceName) bool { return e.Name == name })
}

// kin are the names of evidence of the same family, or all.
func kin(name string) []string {
	var all, same []string
	for _, e := range policy.EvidenceNames {
		all = append(all, e.Name)
		if policy.FamilyOf(e.Name) == policy.FamilyOf(name) {
			same = append(same, e.Name)
		}
	}
	if len(same) > 0 {
		return same
	}
	return all
}

func oneOf(fault faults, path, is string, allowed ...string) {
	if !slices.Contains(allowed, is) {
		fault(path, "%q; allowed: %s", is, strings.Join(allowed, ", "))
	}
}

func texts[T ~string](words ...T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

// over is g with what it does not give taken from the file's.
func (g Given) over(all Given) Given {
	pick(&g.Now, all.Now)
	pick(&g.Trunk, all.Trunk)
	if g.Verstat == nil { // the two belong together
		g.Verstat, g.Attestation = all.Verstat, all.Attestation
	}
	pick(&g.AgentsBusy, all.AgentsBusy)
	pick(&g.AgentsFree, all.AgentsFree)
	pick(&g.CallsNow, all.CallsNow)
	pick(&g.CallsMinute, all.CallsMinute)
	pick(&g.Surge, all.Surge)
	lists := map[string][]string{}
	for name, numbers := range all.Lists {
		lists[name] = numbers
	}
	for name, numbers := range g.Lists {
		lists[name] = numbers
	}
	g.Lists = lists
	return g
}

func pick[T any](mine **T, all *T) {
	if *mine == nil {
		*mine = all
	}
}

// errNothing says that a case expects nothing.
var errNothing = errors.New("it expects nothing; portero test --update writes down what is now")
