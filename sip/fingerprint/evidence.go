package fingerprint

import "github.com/portero/portero/policy"

// The weights, natural log of P(mark|machine)/P(mark|human). They are set by
// reason, not learnt: no labelled traffic with these marks is public.
const (
	llrAutomata = 4.0 // RFC 3840: the caller says so itself, and nobody gains by a lie
	llrActor    = 2.0 // attendant may be a person at a switchboard
)

// Evidence gives what the sender declares of itself. What signatures say of the
// maker is package signature's.
func (p Print) Evidence() []policy.Evidence {
	var e []policy.Evidence
	add := func(name string, llr, recording float64, says string) {
		e = append(e, policy.Evidence{Name: name, LLR: llr, Says: says, Recording: recording})
	}
	if p.Automata {
		add("sig.automata", llrAutomata, 0, "the caller's device declares that it is a machine (automata)")
	}
	switch p.Actor {
	case "attendant":
		add("sig.actor", llrActor, 0, "the caller's device declares an attendant in place of its owner")
	case "information":
		add("sig.actor", llrActor, 0.5, "the caller's device declares that it only gives information")
	case "msg-taker":
		add("sig.actor", llrActor, 0.5, "the caller's device declares a message taker")
	}
	if p.TextMedia {
		add("sig.text_media", 0, 0, "the call offers real-time text (RFC 4103), as text telephones and relay services do")
	}
	return e
}
