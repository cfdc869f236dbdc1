package signature

import (
	"slices"

	"github.com/portero/portero/sip/fingerprint"
)

// llrMismatch weighs a stack that is not what it claims to be; an honest relay
// shows it too.
const llrMismatch = 0.5

// claim is what a User-Agent may truthfully be built on.
type claim struct {
	name   string
	agents []glob
	made   []string // stacks that it may be; empty: any but unmade
	unmade []string // stacks that it cannot be
	at     place
}

// belied is the claim that a message makes and a stack cannot be, or nil. What
// the first claim that fits says, holds.
func (s *Set) belied(m *fingerprint.Message, stack string) *claim {
	low, letters := m.Agent(), m.AgentLetters()
	if len(low) == 0 || m.Status() > 0 {
		return nil
	}
	for i := range s.claims {
		c := &s.claims[i]
		for j := range c.agents {
			if !c.agents[j].matchLow(low, letters) {
				continue
			}
			if slices.Contains(c.unmade, stack) || len(c.made) > 0 && !slices.Contains(c.made, stack) {
				return c
			}
			return nil
		}
	}
	return nil
}
