package rules

import "github.com/portero/portero/policy"

// Config is the operator's policy: rules, lists of numbers and who passes
// always.
type Config struct {
	// Rules in the order in which they are asked; the first that matches
	// decides. Default: none, so every call goes to the default destination.
	Rules []Rule `yaml:"rules"`
	// Lists of numbers by name. A pattern is a number ("+49 30 123456",
	// "004930123456" and "+4930123456" are the same one), a prefix ending in *
	// ("+4930*"), or the user part of a SIP address ("alice"). A number of 8
	// digits or more matches with and without its leading +; a prefix does
	// not. Default: none.
	Lists map[string][]string `yaml:"lists"`
	// Allow names the lists whose callers always pass to the agents, whatever
	// is heard. Default: none.
	Allow []string `yaml:"allow"`
	// Relay names the lists of relay services for people with a speech or
	// hearing disability, whose calls always pass to the agents. Default: none.
	Relay []string `yaml:"relay"`
	// Emergency holds the called numbers (patterns as in lists) that make an
	// emergency call, besides RFC 5031 URNs and RFC 4412 Resource-Priority.
	// Default: 112, 911.
	Emergency []string `yaml:"emergency"`
	// DefaultDestination is where a call goes that no rule moves, and where
	// the action agents goes when its rule names no destination. Default:
	// agents.
	DefaultDestination string `yaml:"default_destination"`
	// Signatures are the names that the fact signature can have, so that a
	// misspelt one is found; nil leaves them unchecked. It is no part of the file:
	// who has read the signatures says it.
	Signatures []string `yaml:"-"`
}

// Rule is one line of the policy.
type Rule struct {
	// Name of the rule, unique; it stands in records, metrics and headers.
	// Letters, digits, dash, underscore and dot, at most 64.
	Name string `yaml:"name"`
	// When is the expression that must be true; `true` matches every call.
	When string `yaml:"when"`
	// Stages at which the rule is asked: arrival, listening, dialogue.
	// Default: all. A rule of action screen is asked only until the call was
	// screened, so never at dialogue.
	Stages []policy.Stage `yaml:"stages"`
	// Action: agents, automation, callback, screen or reject.
	Action policy.Action `yaml:"action"`
	// Destination is a configured destination: required for automation,
	// optional for agents (default: default_destination), none for the others.
	Destination string `yaml:"destination"`
	// Reason is the rule's stable reason code. Letters, digits, dash,
	// underscore and dot, at most 64; the form P123-… is kept for Portero's
	// own. Default: P200- and the rule's name.
	Reason string `yaml:"reason"`
	// Status is the SIP status of a reject: 403, 404, 410, 433, 480, 484, 486,
	// 600, 603, 604 or 607. Default: that of the refusal. Only with reject.
	Status int `yaml:"status"`
	// Refusal is the profile of a reject, which says more than a status: "603",
	// "603+" (ATIS-1000099), "607" (RFC 8197) or "608" (RFC 8688). Default: that
	// of sip.refusal.profile. Only with reject, and not with a status.
	Refusal string `yaml:"refusal"`
}

// Defaults is the policy of an empty configuration: everybody to the agents.
func Defaults() Config {
	return Config{Emergency: []string{"112", "911"}, DefaultDestination: "agents"}
}

// Check reports every mistake except destinations that do not exist, for which
// see CheckDestinations. A mistake inside an expression is reported with an
// *ExprError among the arguments, which tells line and column.
func (c Config) Check(fault func(path, format string, args ...any)) {
	compile(c, fault)
}

// CheckDestinations reports every destination that is not among the known ones.
func (c Config) CheckDestinations(known map[string]bool, fault func(path, format string, args ...any)) {
	check := func(path, name string) {
		if name != "" && !known[name] {
			fault(path, "%q is no configured destination; there are: %s", name, names(known))
		}
	}
	for i, r := range c.Rules {
		check(rulePath(i, "destination"), r.Destination)
	}
	check("default_destination", c.DefaultDestination)
}
