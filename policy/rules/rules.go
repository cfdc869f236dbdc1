package rules

import (
	"sync"

	"github.com/portero/portero/policy"
)

// Set is a compiled policy. It is immutable and safe for concurrent use.
type Set struct {
	rules       []*rule
	lists       map[string]*list
	allow       []*list
	relay       []*list
	emergency   *list
	destination string
	signatures  []string  // names; nil: not known
	envs        sync.Pool // of *env
}

// Destination is where a call goes that no rule moves.
func (s *Set) Destination() string { return s.destination }

// Names are the rules' names in order.
func (s *Set) Names() []string {
	out := make([]string, len(s.rules))
	for i, r := range s.rules {
		out[i] = r.decision.Rule
	}
	return out
}

// Judged says whether the rule of that name asks what the caller is: by class,
// p_machine or evidence.
func (s *Set) Judged(name string) bool {
	for _, r := range s.rules {
		if r.decision.Rule == name {
			return r.judged
		}
	}
	return false
}

// Fill sets the facts that follow from the lists: Allowed and Relay by the
// caller's number, Emergency by the called one. What is set already stays set.
func (s *Set) Fill(f *policy.Facts) {
	from := Number(f.From)
	f.Allowed = f.Allowed || onAny(s.allow, from)
	f.Relay = f.Relay || onAny(s.relay, from)
	f.Emergency = f.Emergency || s.emergency.match(Number(f.To))
}

func onAny(lists []*list, number string) bool {
	for _, l := range lists {
		if l.match(number) {
			return true
		}
	}
	return false
}

// Decide asks the built-in passes and then the rules of the facts' stage in
// their order. It always answers: when no rule matches, the default
// destination with ReasonNoRule (at listening the caller of Decide leaves the
// call where it is); when an expression fails, the default destination with
// ReasonRulesBroken.
//
// A rule that rejects because of what the caller was judged to be is passed
// over while nothing but the voice speaks for a machine: people speak through
// devices, relay services and interpreters.
func (s *Set) Decide(f policy.Facts, ev []policy.Evidence) policy.Decision {
	d := policy.Decision{At: f.Now, Stage: f.Stage, Action: policy.ToAgents, Destination: s.destination}
	switch {
	case f.Emergency:
		d.Rule, d.Reason = PassEmergency, policy.ReasonEmergency
		return d
	case f.Relay:
		d.Rule, d.Reason = PassRelay, policy.ReasonRelay
		return d
	case f.Allowed:
		d.Rule, d.Reason = PassAllow, policy.ReasonAllowed
		return d
	}
	e := s.envs.Get().(*env)
	defer func() {
		e.ev = nil
		s.envs.Put(e)
	}()
	e.load(&f, ev)
	for _, r := range s.rules {
		if !r.stages[f.Stage] || f.Screened && r.decision.Action == policy.ToScreen {
			continue // nobody is screened twice
		}
		matched, err := r.ask(e)
		if err != nil {
			d.Rule, d.Reason = r.decision.Rule, policy.ReasonRulesBroken
			return d
		}
		if !matched || r.decision.Action == policy.Reject && r.judged && voiceAlone(ev) {
			continue
		}
		d = r.decision
		d.At, d.Stage = f.Now, f.Stage
		return d
	}
	d.Rule, d.Reason = DefaultRule, policy.ReasonNoRule
	if f.Stage == policy.Dialogue {
		d.Reason = policy.ReasonUndecided
	}
	return d
}

func (r *rule) ask(e *env) (bool, error) {
	if r.always {
		return true, nil
	}
	out, err := e.vm.Run(r.program, e)
	if err != nil {
		return false, err
	}
	matched, _ := out.(bool)
	return matched, nil
}

// otherEvidence is the sum of ratios (odds 2 to 1) from which something besides
// the voice is said to speak for a machine.
const otherEvidence = 0.7

// voiceAlone says whether nothing but the voice speaks for a machine.
func voiceAlone(ev []policy.Evidence) bool {
	voice, other := false, 0.0
	for _, e := range ev {
		switch {
		case e.LLR <= 0:
		case policy.FamilyOf(e.Name) == "voice":
			voice = true
		default:
			other += e.LLR
		}
	}
	return voice && other < otherEvidence
}
