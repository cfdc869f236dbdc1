package config

import (
	"fmt"
	"strings"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
)

// Summary is what the configuration will do, for `portero check`: one line a
// subject, and the rules in the order in which they are asked.
func (c *Config) Summary() string {
	var b strings.Builder
	acts := "decides and writes down, acts on nothing"
	if c.Mode == policy.Enforce {
		acts = "decides, writes down and acts"
	}
	fmt.Fprintf(&b, "mode          %s: %s\n", c.Mode, acts)
	fmt.Fprintf(&b, "listen        %s\n", strings.Join(c.Door.Listen, ", "))
	if c.Media.WebRTC.Enabled() {
		fmt.Fprintf(&b, "browsers      %s\n", strings.Join(c.Media.WebRTC.Listen, ", "))
	}
	for _, t := range c.Door.Trunks {
		what := ""
		if t.SIPREC {
			what = " (a recording client: heard and judged, nothing is acted on)"
		}
		fmt.Fprintf(&b, "trunk         %s: %s%s\n", t.Name, strings.Join(t.Addresses, ", "), what)
	}
	for _, name := range c.Door.DestinationNames() {
		fmt.Fprintf(&b, "destination   %s: %s\n", name, c.Door.Destinations[name])
	}
	fmt.Fprintf(&b, "always pass   emergency (%s), relay (%s), allow (%s)\n",
		orNone(c.Rules.Emergency), orNone(c.Rules.Relay), orNone(c.Rules.Allow))
	if r := c.recorded(); len(r) > 0 {
		fmt.Fprintf(&b, "recording     %s, as %s in %s, announced by: %s, deleted after %v\n", strings.Join(r, ", "), c.Recording.Format, c.Recording.Directory, c.Recording.Announce, c.Recording.Keep)
	}
	if k := c.Captures; k.Directory != "" {
		what := "the signalling"
		if k.Media {
			what = "signalling and voices"
		}
		fmt.Fprintf(&b, "captures      %s of the last calls in %s, at most %d MiB, deleted after %v\n", what, k.Directory, k.MaxMB, k.Keep)
	}
	if id := c.Door.Identity; id.Verify {
		fmt.Fprintf(&b, "identity      signed numbers are verified; %d certificates at hand, others fetched from: %s\n", len(id.Certificates), orNone(id.FetchFrom))
	}
	for i, r := range c.Rules.Rules {
		stages := "any stage"
		if len(r.Stages) > 0 {
			stages = fmt.Sprint(r.Stages)
		}
		fmt.Fprintf(&b, "rule %-8d %s: %s -> %s, %s\n", i+1, r.Name, strings.Join(strings.Fields(r.When), " "), target(r.Action, r.Destination)+how(r), stages)
	}
	fmt.Fprintf(&b, "otherwise     -> agents (%s)\n", c.Rules.DefaultDestination)
	for _, n := range c.Door.Notes() {
		fmt.Fprintf(&b, "note          %s\n", n)
	}
	return b.String()
}

// recorded are the trunks and destinations whose calls are recorded.
func (c *Config) recorded() []string {
	var out []string
	for _, t := range c.Door.Trunks {
		if t.Record {
			out = append(out, "trunk "+t.Name)
		}
	}
	for _, name := range c.Door.DestinationNames() {
		if c.Door.Destinations[name].Record {
			out = append(out, "destination "+name)
		}
	}
	return out
}

// target is an action and where it leads.
func target(a policy.Action, destination string) string {
	if destination == "" {
		return string(a)
	}
	return fmt.Sprintf("%s (%s)", a, destination)
}

// how is what a rule that rejects tells the caller.
func how(r rules.Rule) string {
	switch {
	case r.Refusal != "":
		return " " + r.Refusal
	case r.Status != 0:
		return fmt.Sprintf(" %d", r.Status)
	}
	return ""
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
