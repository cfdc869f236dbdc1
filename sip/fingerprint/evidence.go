package fingerprint

import "github.com/portero/portero/policy"

// The weights, natural log of P(mark|machine)/P(mark|human). They are set by
// reason, not learnt: no labelled traffic with these marks is public.
const (
	llrAutomata = 4.0 // RFC 3840: the caller says so itself, and nobody gains by a lie
	llrActor    = 2.0 // attendant may be a person at a switchboard
	llrDirect   = 3.5 // the platform's own signalling, no gateway between
	llrPlatform = 2.0 // a host name or leaked header of a platform
	llrTestTool = 1.0 // SIPp and bare libraries: load tests, but demos and home-made diallers too
	llrScanner  = 5.0 // nobody speaks through a scanner
	llrMismatch = 0.5 // an honest relay shows it too
)

// Evidence gives what the print says of man or machine. Marks of carriers,
// gateways and PBXs give none: people and machines call through them alike.
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
	switch {
	case p.scanner:
		add("sig.scanner", llrScanner, 0, "the signalling is that of a scanning tool")
	case p.Stack == "sipp":
		add("sig.load_tool", llrTestTool, 0, "the signalling is that of SIPp, a load generator")
	}
	switch {
	case p.platform == "":
	case p.direct:
		add("sig.agent_platform", llrDirect, 0, "the signalling is "+p.platform+"'s own, a platform for automated agents")
	case p.platform == "sipgo" || p.platform == "sipsorcery":
		add("sig.agent_platform", llrTestTool, 0, "the signalling is that of a bare "+p.platform+" program")
	default:
		add("sig.agent_platform", llrPlatform, 0, "the call bears marks of "+p.platform+", a platform for automated agents")
	}
	if !p.scanner && mismatch(p.claims, p.Stack) {
		add("sig.stack_mismatch", llrMismatch, 0, "the caller says it is "+p.UserAgent+", the signalling was made by "+p.Stack)
	}
	return e
}
