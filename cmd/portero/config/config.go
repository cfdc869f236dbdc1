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
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/portero/portero/cmd/portero/console"
	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/media/turns"
	"github.com/portero/portero/media/voice"
	"github.com/portero/portero/media/webrtc"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/campaign"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/policy/surge"
	"github.com/portero/portero/policy/webhook"
	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/judge"
)

// Config is the whole configuration.
type Config struct {
	// Mode is observe (decide and write down, act on nothing) or enforce
	// (decide, write down and act). Default: observe.
	Mode policy.Mode `yaml:"mode"`
	// Door is the signalling side: listeners, trunks, destinations, limits.
	Door door.Config `yaml:"sip"`
	// Media is the media side: addresses and ports of RTP, and browsers.
	Media Media `yaml:"media"`
	// Prompts is what Portero says.
	Prompts prompt.Config `yaml:"prompts"`
	// Recording is where recorded calls go, and for how long.
	Recording record.Config `yaml:"recording"`
	// Captures is where the packets of the last calls are kept.
	Captures record.Captures `yaml:"captures"`
	// Rules are the operator's policy: rules, lists, allow, relay, emergency
	// and default_destination, at the top level of the file.
	Rules rules.Config `yaml:",inline"`
	// Judge is how evidence becomes a verdict, and for how long.
	Judge judge.Config `yaml:"judgement"`
	// Campaign is how calls are found that belong together.
	Campaign campaign.Config `yaml:"campaign"`
	// Surge is the load: how many calls the agents can hold, and what counts
	// as a flood.
	Surge surge.Config `yaml:"surge"`
	// Callback is who is promised a callback and how promises are kept.
	Callback callback.Config `yaml:"callback"`
	// Webhook is who is told what is found out about calls, as it comes.
	Webhook webhook.Config `yaml:"webhook"`
	// Store is where records and promises are kept.
	Store store.Config `yaml:"store"`
	// Console is the HTTP side: health, metrics, the admin API.
	Console console.Config `yaml:"console"`
	// Log says what is logged and how.
	Log Log `yaml:"log"`
}

// Media is the media section.
type Media struct {
	Relay relay.Config `yaml:",inline"`
	// WebRTC is where the media of browsers is taken.
	WebRTC webrtc.Config `yaml:"webrtc"`
}

// Defaults are the values of all keys that a file does not have.
func Defaults() Config {
	return Config{
		Mode:      policy.Observe,
		Door:      door.Defaults(),
		Media:     Media{Relay: relay.Defaults()},
		Prompts:   prompt.Defaults(),
		Recording: record.Defaults(),
		Captures:  record.DefaultCaptures(),
		Rules:     rules.Defaults(),
		Judge:     judge.Defaults(),
		Campaign:  campaign.Defaults(),
		Surge:     surge.Defaults(),
		Callback:  callback.Defaults(),
		Store:     store.Defaults(),
		Webhook:   webhook.Defaults(),
		Console:   console.Defaults(),
		Log:       Log{Level: "info", Format: "json"},
	}
}

// check asks every room for its faults, and looks at what no room sees alone.
func (c *Config) check(r *reader) {
	top := r.checkFault("")
	if c.Mode != policy.Observe && c.Mode != policy.Enforce {
		top("mode", "%q is not a mode; allowed: observe, enforce", c.Mode)
	}
	c.Door.Check(r.checkFault("sip"))
	c.Media.Relay.Check(r.checkFault("media"))
	c.Media.WebRTC.Check(r.checkFault("media.webrtc"))
	c.Prompts.Check(r.checkFault("prompts"))
	c.Recording.Check(r.checkFault("recording"))
	c.Captures.Check(r.checkFault("captures"))
	c.checkRecorded(top)
	c.checkSignatures(top)
	c.Rules.Check(top)
	c.Judge.Check(r.checkFault("judgement"))
	c.Campaign.Check(r.checkFault("campaign"))
	c.Surge.Check(r.checkFault("surge"))
	c.Callback.Check(r.checkFault("callback"))
	c.Webhook.Check(r.checkFault("webhook"))
	c.Store.Check(r.checkFault("store"))
	c.Console.Check(r.checkFault("console"))
	c.Log.check(r.checkFault("log"))
	if len(c.Door.Destinations) > 0 { // else one fault says it all
		c.checkDestinations(top)
	}
	c.Door.Identity.CheckFiles(r.checkFault("sip.identity"))
	c.Door.Refusal.CheckFiles(r.checkFault("sip.refusal"))
	for i, rule := range c.Rules.Rules {
		if err := c.Door.Refusal.Usable(rule.Refusal); err != nil {
			top(fmt.Sprintf("rules[%d].refusal", i), "%v", err)
		}
	}
	checkFile(top, "judgement.fusion", c.Judge.Fusion, func(f io.Reader) error {
		b, err := io.ReadAll(f)
		if err == nil {
			_, err = policy.ParseFusion(b)
		}
		return err
	})
	checkFile(top, "judgement.turns", c.Judge.Turns, func(f io.Reader) error {
		b, err := io.ReadAll(f)
		if err == nil {
			_, err = turns.ParseWeights(b)
		}
		return err
	})
	checkFile(top, "judgement.model", c.Judge.Model, func(f io.Reader) error {
		_, err := voice.ReadModel(f)
		return err
	})
}

// checkDestinations checks that what other rooms name is there.
func (c *Config) checkDestinations(fault func(path, format string, args ...any)) {
	known := map[string]bool{}
	for name := range c.Door.Destinations {
		known[name] = true
	}
	c.Rules.CheckDestinations(known, fault)
	if to := c.Callback.Destination; to != "" && !known[to] {
		fault("callback.destination", "%q is no configured destination; allowed: %s", to, strings.Join(c.Door.DestinationNames(), ", "))
	}
	for i, choice := range c.Prompts.Languages {
		for j, name := range choice.Destinations {
			if !known[name] {
				fault(fmt.Sprintf("prompts.languages[%d].destinations[%d]", i, j), "%q is no configured destination; allowed: %s", name, strings.Join(c.Door.DestinationNames(), ", "))
			}
		}
		for j, name := range choice.Trunks {
			if !slices.ContainsFunc(c.Door.Trunks, func(t door.Trunk) bool { return t.Name == name }) {
				fault(fmt.Sprintf("prompts.languages[%d].trunks[%d]", i, j), "%q is no configured trunk", name)
			}
		}
	}
	if !c.Callback.Enabled {
		i := slices.IndexFunc(c.Rules.Rules, func(r rules.Rule) bool { return r.Action == policy.ToCallback })
		if i >= 0 && c.Mode == policy.Enforce {
			fault("callback.enabled", "is false, but rule %q promises callbacks; allowed: true, or no rule of action callback", c.Rules.Rules[i].Name)
		}
	}
}

// checkRecorded checks that what is to be recorded has somewhere to go.
func (c *Config) checkRecorded(fault func(path, format string, args ...any)) {
	if c.Recording.Directory != "" {
		return
	}
	const why = "true, but recording.directory is not given; allowed: a directory for the files, or false"
	for i, t := range c.Door.Trunks {
		if t.Record {
			fault(fmt.Sprintf("sip.trunks[%d].record", i), why)
		}
	}
	for _, name := range c.Door.DestinationNames() {
		if c.Door.Destinations[name].Record {
			fault("sip.destinations."+name+".record", why)
		}
	}
}

// checkFile reports a file that cannot be opened or does not hold what it
// should. An empty name is the built-in one.
func checkFile(fault func(path, format string, args ...any), path, name string, read func(io.Reader) error) {
	if name == "" {
		return
	}
	if err := readFile(name, read); err != nil {
		fault(path, "%v; allowed: a file of that kind, or no key for the built-in one", err)
	}
}

// maxFile bounds the files that a configuration names, bytes.
const maxFile = 16 << 20

// readFile opens a plain file, and no device or pipe: those may never end.
func readFile(name string, read func(io.Reader) error) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no plain file", name)
	case info.Size() > maxFile:
		return fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return read(bytes.NewReader(b))
}
