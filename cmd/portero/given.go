package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/portero/portero/cmd/portero/cases"
	"github.com/portero/portero/cmd/portero/config"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/judge"
)

// withLists is a configuration with more numbers on its lists.
func withLists(c *config.Config, more map[string][]string) (*config.Config, error) {
	if len(more) == 0 {
		return c, nil
	}
	own := *c
	own.Rules.Lists = map[string][]string{}
	for name, numbers := range c.Rules.Lists {
		own.Rules.Lists[name] = numbers
	}
	for name, numbers := range more {
		if _, ok := own.Rules.Lists[name]; !ok {
			return nil, fmt.Errorf("given: there is no list %q in the configuration; there are: %s", name, strings.Join(sortedNames(c.Rules.Lists), ", "))
		}
		own.Rules.Lists[name] = append(slices.Clip(own.Rules.Lists[name]), numbers...)
	}
	var faults []error
	rules.Config{Lists: own.Rules.Lists}.Check(func(path, format string, args ...any) {
		if strings.HasPrefix(path, "lists") {
			faults = append(faults, fmt.Errorf("given: %s: %s", path, fmt.Sprintf(format, args...)))
		}
	})
	return &own, errors.Join(faults...)
}

func sortedNames[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// given is how a case alters an arrival.
func given(c *config.Config, g cases.Given) (func(*judge.Arrival), error) {
	var trunk *door.Trunk
	if g.Trunk != nil {
		i := slices.IndexFunc(c.Door.Trunks, func(t door.Trunk) bool { return t.Name == *g.Trunk })
		if i < 0 {
			return nil, fmt.Errorf("given: there is no trunk %q in the configuration", *g.Trunk)
		}
		trunk = &c.Door.Trunks[i]
	}
	return func(a *judge.Arrival) {
		if g.Now != nil {
			a.Shift = g.Now.Sub(a.At)
		}
		if trunk != nil {
			a.Trunk, a.TrustIdentity = trunk.Name, trunk.TrustIdentity
		}
		if g.Verstat != nil {
			r := stir.Result{Verstat: stir.Verstat(*g.Verstat), Reason: "given by the case"}
			if g.Attestation != nil {
				r.Attest = *g.Attestation
			}
			a.Identity = &r
		}
		load(&a.Load, c, g)
	}, nil
}

// load puts the load that a case gives over the capture's own.
func load(l *policy.Load, c *config.Config, g cases.Given) {
	put := func(to *int, from *int) {
		if from != nil {
			*to = *from
		}
	}
	if agents := c.Surge.Agents; agents > 0 {
		switch {
		case g.AgentsBusy != nil:
			l.AgentsFree = max(0, agents-*g.AgentsBusy)
		case g.AgentsFree != nil:
			l.AgentsBusy = max(0, agents-*g.AgentsFree)
		}
	}
	put(&l.AgentsBusy, g.AgentsBusy)
	put(&l.AgentsFree, g.AgentsFree)
	put(&l.CallsNow, g.CallsNow)
	put(&l.CallsMinute, g.CallsMinute)
	if g.Surge != nil {
		l.Surge, l.Shift = *g.Surge, c.Surge.Shift(*g.Surge)
	}
}
