package rules

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/spelling"
)

// rule is a Rule ready to be asked.
type rule struct {
	decision policy.Decision // without time and stage
	stages   map[policy.Stage]bool
	program  *vm.Program
	always   bool // the expression is the constant true
	judged   bool // the expression asks what the caller is
}

var (
	stages  = []policy.Stage{policy.Arrival, policy.Listening, policy.Dialogue}
	actions = []policy.Action{policy.ToAgents, policy.ToAutomation, policy.ToCallback, policy.ToScreen, policy.Reject}
	classes = []string{string(policy.Human), string(policy.Assistant), string(policy.Recording), string(policy.Unknown)}
	// verstats and attestations may also be "", not known.
	verstats     = []string{"passed", "failed", "none", ""}
	attestations = []string{"A", "B", "C", ""}
	// codes are RFC 8224's for a verification that failed.
	codes      = []int{0, 403, 428, 436, 437, 438}
	stageNames = []string{string(policy.Arrival), string(policy.Listening), string(policy.Dialogue)}
	evidence   = func() (out []string) {
		for _, e := range policy.EvidenceNames {
			out = append(out, e.Name)
		}
		return out
	}()
	// statuses of a reject. 608 is missing since it is more than a status (see
	// Rule.Refusal), 5xx since they invite another try.
	statuses = []int{403, 404, 410, 433, 480, 484, 486, 600, 603, 604, 607}

	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

const formSays = "allowed are letters, digits, dash, underscore and dot, at most 64"

// Names of the built-in passes, as they stand in Decision.Rule.
const (
	PassEmergency = "emergency"
	PassRelay     = "relay"
	PassAllow     = "allow"
	DefaultRule   = "default" // no rule matched
)

// Compile checks the whole configuration and prepares it. The error joins a
// *Fault for every mistake. Destinations are the configured names; nil leaves
// them unchecked.
func Compile(cfg Config, destinations map[string]bool) (*Set, error) {
	var errs []error
	fault := func(path, format string, args ...any) {
		f := &Fault{Path: path, Err: fmt.Errorf(format, args...)}
		for _, a := range args {
			if e, ok := a.(*ExprError); ok {
				f.Err = e
			}
		}
		errs = append(errs, f)
	}
	s := compile(cfg, fault)
	if destinations != nil {
		cfg.CheckDestinations(destinations, fault)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// compile prepares what can be prepared and reports the rest.
func compile(cfg Config, fault func(path, format string, args ...any)) *Set {
	s := &Set{lists: map[string]*list{}, destination: cfg.DefaultDestination, signatures: cfg.Signatures}
	s.envs.New = func() any { return newEnv(s) }
	if cfg.DefaultDestination == "" {
		fault("default_destination", "is empty; name the destination of the agents")
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Lists)) {
		path := "lists." + name
		if !nameForm.MatchString(name) {
			fault(path, "%q is no name for a list; %s", name, formSays)
		}
		s.lists[name] = newList(cfg.Lists[name], func(i int, err error) {
			fault(fmt.Sprintf("%s[%d]", path, i), "%q: %v", cfg.Lists[name][i], err)
		})
	}
	named := func(path string, lists []string) (out []*list) {
		for i, name := range lists {
			if l, ok := s.lists[name]; ok {
				out = append(out, l)
			} else {
				fault(fmt.Sprintf("%s[%d]", path, i), "there is no list %q; the lists are: %s", name, names(s.lists))
			}
		}
		return out
	}
	s.allow = named("allow", cfg.Allow)
	s.relay = named("relay", cfg.Relay)
	s.emergency = newList(cfg.Emergency, func(i int, err error) {
		fault(fmt.Sprintf("emergency[%d]", i), "%q: %v", cfg.Emergency[i], err)
	})
	seen := map[string]int{}
	for i, r := range cfg.Rules {
		if j, dup := seen[r.Name]; dup && r.Name != "" {
			fault(rulePath(i, "name"), "%q is also the name of rule %d; names must be unique", r.Name, j+1)
		} else {
			seen[r.Name] = i
		}
		s.rules = append(s.rules, s.compileRule(i, r, fault))
		s.checkReachable(i, cfg, fault)
	}
	return s
}

func rulePath(i int, key string) string { return fmt.Sprintf("rules[%d].%s", i, key) }

func (s *Set) compileRule(i int, r Rule, fault func(path, format string, args ...any)) *rule {
	at := func(key string) string { return rulePath(i, key) }
	c := &rule{stages: map[policy.Stage]bool{}}
	c.decision = policy.Decision{Rule: r.Name, Action: r.Action, Destination: r.Destination, Reason: r.Reason, Status: r.Status, Refusal: r.Refusal}

	switch {
	case r.Name == "":
		fault(at("name"), "the rule has no name; %s", formSays)
	case !nameForm.MatchString(r.Name):
		fault(at("name"), "%q is no name for a rule; %s", r.Name, formSays)
	case r.Name == PassEmergency || r.Name == PassRelay || r.Name == PassAllow || r.Name == DefaultRule:
		fault(at("name"), "%q is the name of a built-in; choose another", r.Name)
	}

	for j, st := range r.Stages {
		switch {
		case !slices.Contains(stages, st):
			fault(fmt.Sprintf("%s[%d]", at("stages"), j), "%q is no stage; the stages are: %s", st, strings.Join(stageNames, ", "))
		case c.stages[st]:
			fault(fmt.Sprintf("%s[%d]", at("stages"), j), "%q stands twice", st)
		case st == policy.Dialogue && r.Action == policy.ToScreen:
			fault(fmt.Sprintf("%s[%d]", at("stages"), j), "a call is screened once; a rule of action screen is asked at arrival or listening")
		}
		c.stages[st] = true
	}
	if len(r.Stages) == 0 {
		for _, st := range stages {
			c.stages[st] = st != policy.Dialogue || r.Action != policy.ToScreen
		}
	}

	c.checkAction(r, at, s.destination, fault)
	switch {
	case r.Reason == "":
		c.decision.Reason = policy.ReasonRule + r.Name
	case policy.ReservedReason(r.Reason):
		fault(at("reason"), "%q has the form of Portero's own codes (P123-…); choose another", r.Reason)
	case !nameForm.MatchString(r.Reason):
		fault(at("reason"), "%q is no reason code; %s", r.Reason, formSays)
	}
	s.compileWhen(c, r.When, at("when"), fault)
	return c
}

func (c *rule) checkAction(r Rule, at func(string) string, agents string, fault func(path, format string, args ...any)) {
	if !slices.Contains(actions, r.Action) {
		fault(at("action"), "%q is no action; the actions are: agents, automation, callback, screen, reject", r.Action)
		return
	}
	switch {
	case r.Action == policy.ToAutomation && r.Destination == "":
		fault(at("destination"), "action automation needs a destination")
	case r.Action == policy.ToAgents && r.Destination == "":
		c.decision.Destination = agents
	case r.Action != policy.ToAutomation && r.Action != policy.ToAgents && r.Destination != "":
		fault(at("destination"), "action %s takes no destination; remove it", r.Action)
	}
	switch {
	case r.Action != policy.Reject && r.Status != 0:
		fault(at("status"), "only action reject has a status; remove it")
	case r.Action == policy.Reject && r.Status != 0 && !slices.Contains(statuses, r.Status):
		fault(at("status"), "%d is not allowed; allowed are: %s", r.Status, strings.Trim(fmt.Sprint(statuses), "[]"))
	}
	switch {
	case r.Refusal == "":
	case r.Action != policy.Reject:
		fault(at("refusal"), "only action reject has a refusal; remove it")
	case r.Status != 0:
		fault(at("refusal"), "a rule has a status or a refusal, not both; remove one")
	case !slices.Contains(policy.Refusals, r.Refusal):
		fault(at("refusal"), "%q is no refusal; allowed are: %s", r.Refusal, strings.Join(policy.Refusals, ", "))
	}
}

// compileWhen type-checks the expression and looks at what the types cannot
// tell: names of lists, evidence, classes and stages.
func (s *Set) compileWhen(c *rule, when, path string, fault func(path, format string, args ...any)) {
	report := func(err *ExprError) { fault(path, "%v", err) }
	if strings.TrimSpace(when) == "" {
		report(&ExprError{Line: 1, Column: 1, Message: "the rule has no expression; `true` matches every call"})
		return
	}
	program, err := expr.Compile(when, expr.Env(&env{}), expr.AsBool(), expr.WarnOnAny(),
		expr.DisableBuiltin("now"), // the clock is not asked: `now` is a fact
		expr.Timezone("UTC"))
	if err != nil {
		report(exprError(err))
		return
	}
	c.program = program
	tree, err := parser.Parse(when)
	if err != nil {
		report(exprError(err))
		return
	}
	if b, ok := tree.Node.(*ast.BoolNode); ok {
		c.always = b.Value
	}
	v := &visitor{source: when, lists: s.lists, signatures: s.signatures, report: report}
	ast.Walk(&tree.Node, v)
	c.judged = v.judged
}

// visitor checks the literals in an expression.
type visitor struct {
	source     string
	lists      map[string]*list
	signatures []string // nil: not known
	report     func(*ExprError)
	judged     bool
}

// Visit looks at one node.
func (v *visitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "class", "p_machine", "evidence", "has":
			v.judged = true
		}
	case *ast.CallNode:
		v.call(n)
	case *ast.BinaryNode:
		switch n.Operator {
		case "==", "!=", "in":
			v.compare(n.Left, n.Right)
			v.compare(n.Right, n.Left)
		}
	}
}

func (v *visitor) fault(n ast.Node, format string, args ...any) {
	v.report(exprErrorAt(v.source, n.Location().From, format, args...))
}

func (v *visitor) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || len(n.Arguments) != 1 {
		return
	}
	switch callee.Value {
	case "in_list", "evidence", "has":
	default:
		return
	}
	arg, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		v.fault(n.Arguments[0], "%s takes a name in quotes, so that it can be checked", callee.Value)
		return
	}
	if callee.Value == "in_list" {
		if v.lists[arg.Value] == nil {
			v.fault(arg, "there is no list %q; the lists are: %s", arg.Value, names(v.lists))
		}
		return
	}
	if !slices.Contains(evidence, arg.Value) {
		guess := ""
		if n := spelling.Nearest(arg.Value, evidence, 2); n != "" {
			guess = "is it " + n + "? "
		}
		v.fault(arg, "no evidence is named %q; %sthe names are: %s", arg.Value, guess, strings.Join(evidence, ", "))
	}
}

// compare finds literals that a fact can never have.
func (v *visitor) compare(fact, literal ast.Node) {
	id, ok := fact.(*ast.IdentifierNode)
	if !ok {
		return
	}
	var allowed []string
	switch id.Value {
	case "class":
		allowed = classes
	case "stage":
		allowed = stageNames
	case "verstat":
		allowed = verstats
	case "attestation":
		allowed = attestations
	case "signature_kind":
		allowed = append(slices.Clone(policy.SignatureKinds), "")
	case "signature", "signatures":
		if v.signatures == nil {
			return
		}
		allowed = append(slices.Clone(v.signatures), "")
	case "identity_code":
		v.code(literal)
		return
	default:
		return
	}
	items := []ast.Node{literal}
	if array, ok := literal.(*ast.ArrayNode); ok {
		items = array.Nodes
	}
	for _, item := range items {
		if s, ok := item.(*ast.StringNode); ok && !slices.Contains(allowed, s.Value) {
			guess := ""
			if n := spelling.Nearest(s.Value, allowed, 2); n != "" && id.Value != "verstat" && id.Value != "attestation" {
				guess = "is it " + n + "? "
			}
			v.fault(s, "%s is never %q; %sit is one of: %s", id.Value, s.Value, guess, strings.TrimSuffix(strings.Join(allowed, ", "), ", ")) // "" may be asked for too
		}
	}
}

// code finds failure codes that there are not.
func (v *visitor) code(literal ast.Node) {
	items := []ast.Node{literal}
	if array, ok := literal.(*ast.ArrayNode); ok {
		items = array.Nodes
	}
	for _, item := range items {
		if n, ok := item.(*ast.IntegerNode); ok && !slices.Contains(codes, n.Value) {
			v.fault(n, "identity_code is never %d; it is one of: %s", n.Value, strings.Trim(fmt.Sprint(codes), "[]"))
		}
	}
}

// checkReachable reports a rule that can never be asked because rules before it
// match every call at all of its stages.
func (s *Set) checkReachable(i int, cfg Config, fault func(path, format string, args ...any)) {
	var by []string
	for _, st := range stages {
		if !s.rules[i].stages[st] {
			continue
		}
		covered := false
		for j, earlier := range s.rules[:i] {
			if earlier.always && earlier.stages[st] {
				covered = true
				if name := cfg.Rules[j].Name; !slices.Contains(by, name) {
					by = append(by, name)
				}
				break
			}
		}
		if !covered {
			return
		}
	}
	if len(by) > 0 {
		fault(rulePath(i, "when"), "the rule is never asked: %s before it matches every call; move it up or remove it", strings.Join(by, " and "))
	}
}
