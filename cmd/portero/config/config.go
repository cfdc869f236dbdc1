// Package config reads Portero's configuration: one YAML file, composed of the
// rooms' own Config structs, whose doc comments are the reference.
//
// It reports every mistake at once, each as file:line:column: path: what is
// wrong; allowed: …. It refuses what makes a file read differently from what
// it says: unknown and repeated keys, aliases, anchors, type tags, a second
// document. It does not expand environment variables, include other files, or
// start anything.
package config

import (
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/door"
)

// Config is the whole configuration.
type Config struct {
	// Mode is observe (decide and write down, act on nothing) or enforce
	// (decide, write down and act). Default observe.
	Mode policy.Mode `yaml:"mode"`
	// Door is the signalling side: listeners, trunks, destinations, limits.
	Door door.Config `yaml:"sip"`
	// Rules are the operator's policy: rules, lists, allow, relay, emergency
	// and default_destination, at the top level of the file.
	Rules rules.Config `yaml:",inline"`
	// Store is where records and promises are kept.
	Store store.Config `yaml:"store"`
	// Log says what is logged and how.
	Log Log `yaml:"log"`
}

// Defaults are the values of all keys that a file does not have.
func Defaults() Config {
	return Config{
		Mode:  policy.Observe,
		Door:  door.Defaults(),
		Rules: rules.Defaults(),
		Store: store.Defaults(),
		Log:   Log{Level: "info", Format: "json"},
	}
}

// check asks every room for its faults.
func (c *Config) check(r *reader) {
	if c.Mode != policy.Observe && c.Mode != policy.Enforce {
		r.checkFault("")("mode", "%q is not a mode; allowed: observe, enforce", c.Mode)
	}
	c.Door.Check(r.checkFault("sip"))
	c.Rules.Check(r.checkFault(""))
	if len(c.Door.Destinations) > 0 { // else one fault says it all
		c.Rules.CheckDestinations(c.destinations(), r.checkFault(""))
	}
	c.Store.Check(r.checkFault("store"))
	c.Log.check(r.checkFault("log"))
}

// destinations are the names that rules may send calls to.
func (c *Config) destinations() map[string]bool {
	names := map[string]bool{}
	for name := range c.Door.Destinations {
		names[name] = true
	}
	return names
}
