package store

import (
	"github.com/portero/portero/policy"
)

// Record is the story of one call, written once when it has ended.
type Record struct {
	ID        string      `json:"id"`        // Portero's own id of the call, unique
	CallID    string      `json:"call_id"`   // SIP Call-ID of the caller's leg
	Direction Direction   `json:"direction"` // inbound, outbound or callback
	From      string      `json:"from"`      // user part of the caller's identity; empty when withheld
	To        string      `json:"to"`        // user part of the Request-URI
	Trunk     string      `json:"trunk"`     // name of the trunk the call came or went by
	Source    string      `json:"source"`    // ip:port that sent the INVITE
	Transport string      `json:"transport"` // udp, tcp, tls, ws, wss
	Mode      policy.Mode `json:"mode"`      // observe or enforce, at the time of the INVITE

	InviteAt   Time `json:"invite_at"`   // first byte of the INVITE
	RingingAt  Time `json:"ringing_at"`  // first 180 to 183 sent to the caller
	AnsweredAt Time `json:"answered_at"` // 2xx sent to the caller
	EndedAt    Time `json:"ended_at"`    // BYE, or the final response of a call that was never answered

	FinalCode int     `json:"final_code"` // final response sent to the caller, 0 when none
	Outcome   Outcome `json:"outcome"`    // what that came to
	EndedBy   Party   `json:"ended_by"`   // who ended it

	Far []FarLeg `json:"far"` // the far legs, in the order they were tried

	CallerMedia Media `json:"caller_media"` // received from the caller
	FarMedia    Media `json:"far_media"`    // received from the far side, all far legs together

	Copy *Copy `json:"siprec,omitempty"` // of a recording session: what its client said and sent

	Recordings []Recording `json:"recordings,omitempty"` // the files that hold its voices; absent when there are none

	AnalysisDropped uint64 `json:"analysis_dropped"` // frames of the caller the analysis was too late for
	Digits          int    `json:"digits"`           // keys the caller pressed; how many, never which: they may be a PIN

	Identity    *Identity          `json:"identity,omitempty"` // what Identity headers are worth; absent when they were not verified
	Fingerprint Fingerprint        `json:"fingerprint"`        // what the raw signalling says of the caller's stack
	Verdicts    []policy.Verdict   `json:"verdicts"`           // each change in the order of time, the final one last
	Decisions   []RecordedDecision `json:"decisions"`          // what rules ordered, in the order of time
	Errors      []string           `json:"errors"`             // what went wrong, as logged
}

// Copy is a recording session (RFC 7866): a call that a recording client sent
// copies of.
type Copy struct {
	Session      string            `json:"session"`         // the communication session's id, by the client
	SIP          []string          `json:"sip_session_ids"` // its RFC 7989 session ids
	Judged       string            `json:"judged"`          // label of the stream that was judged
	Participants []CopyParticipant `json:"participants"`    // those who talked, as the client named them
	Streams      []CopyStream      `json:"streams"`         // in the order of the session description
}

// CopyParticipant is one of those who talked.
type CopyParticipant struct {
	ID   string `json:"id"`
	AoR  string `json:"aor"`
	Name string `json:"name"`
}

// CopyStream is one copied stream.
type CopyStream struct {
	Label       string `json:"label"`
	Participant string `json:"participant"` // who sent it; empty when that was not said
	Media       Media  `json:"media"`
}

// Recording is a file that holds a call, or a part of it.
type Recording struct {
	File      string  `json:"file"`              // its path; empty when nothing came of it
	StartedAt Time    `json:"started_at"`        // its first sample
	Seconds   float64 `json:"seconds"`           // its length
	Dropped   uint64  `json:"dropped"`           // packets missing in it, as the disk was too slow
	Stopped   string  `json:"stopped,omitempty"` // why it ends before the call, or is not whole
}

// Identity is the outcome of verifying a call's Identity headers (RFC 8224).
type Identity struct {
	Verstat     string   `json:"verstat"`               // passed, failed or none
	Attestation string   `json:"attestation,omitempty"` // A, B or C, of one that passed
	OrigID      string   `json:"origid,omitempty"`      // its origid (RFC 8588)
	Code        int      `json:"code,omitempty"`        // 403, 428, 436, 437 or 438 of RFC 8224; evidence, not a response
	Reason      string   `json:"reason"`                // the outcome in a sentence
	Signer      string   `json:"signer,omitempty"`      // subject of the signer's certificate
	Diverted    []string `json:"diverted,omitempty"`    // numbers the call was diverted from, signed
	Notes       []string `json:"notes,omitempty"`       // what else was found
}

// Direction says who called whom.
type Direction string

// The directions.
const (
	Inbound  Direction = "inbound"  // a caller called
	Outbound Direction = "outbound" // the PBX called; nobody was judged
	Callback Direction = "callback" // Portero called back, keeping a promise
	Copied   Direction = "copied"   // a recording client sent copies of a call; nothing was acted on
)

// Outcome is what a call came to, in the words that `portero inspect` uses too.
type Outcome string

// The outcomes, in the order in which they are looked for.
const (
	Answered   Outcome = "answered"    // the INVITE got a 2xx
	Cancelled  Outcome = "cancelled"   // the caller sent CANCEL, or the final response is 487
	Busy       Outcome = "busy"        // 486 or 600
	Declined   Outcome = "declined"    // 603
	AuthFailed Outcome = "auth_failed" // 401 or 407 and nothing after
	Redirected Outcome = "redirected"  // 3xx
	Failed     Outcome = "failed"      // any other final response
	NoFinal    Outcome = "no_final"    // no final response
)

// OutcomeOf is the outcome of a call by its final response (0 when none) and
// whether a CANCEL was seen.
func OutcomeOf(finalCode int, cancelled bool) Outcome {
	switch {
	case finalCode >= 200 && finalCode <= 299:
		return Answered
	case cancelled, finalCode == 487:
		return Cancelled
	case finalCode == 486, finalCode == 600:
		return Busy
	case finalCode == 603:
		return Declined
	case finalCode == 401, finalCode == 407:
		return AuthFailed
	case finalCode >= 300 && finalCode <= 399:
		return Redirected
	case finalCode >= 400:
		return Failed
	}
	return NoFinal
}

// Party is one of the three that can end a call.
type Party string

// The parties.
const (
	ByCaller  Party = "caller"
	ByFar     Party = "far"
	ByPortero Party = "portero"
)

// FarLeg is one attempt at a destination.
type FarLeg struct {
	Destination string `json:"destination"` // name in the configuration
	URI         string `json:"uri"`         // Request-URI sent
	Peer        string `json:"peer"`        // the target it was sent to, as transport:address:port
	CallID      string `json:"call_id"`     // SIP Call-ID of this leg
	AnsweredAt  Time   `json:"answered_at"` // its 2xx
	EndedAt     Time   `json:"ended_at"`    // its BYE or final response
	Code        int    `json:"code"`        // its final response, 0 when none
}

// Media is what was received from one side.
type Media struct {
	Packets  uint64  `json:"packets"`   // RTP packets received and accepted
	Lost     uint64  `json:"lost"`      // missing by sequence number
	JitterMS float64 `json:"jitter_ms"` // mean of the interarrival jitter of RFC 3550 section 6.4.1, ms
	TripMS   float64 `json:"trip_ms"`   // mean round trip to this side, by its RTCP (RFC 3550 section 6.4.1), ms; 0 when it told none
	MOS      float64 `json:"mos"`       // estimated from loss, jitter, round trip and codec (G.107), 1 to 4.5; 0 for no figure
	Codec    string  `json:"codec"`     // encoding name, as in rtpmap
	Latched  string  `json:"latched"`   // ip:port the media was accepted from; empty when none came
	Dropped  uint64  `json:"dropped"`   // packets refused: foreign source, malformed, over a limit
	SRTP     string  `json:"srtp"`      // the suite it was encrypted with toward the door, as in RFC 4568; empty: it was not
	Forged   uint64  `json:"forged"`    // packets refused because the side's SRTP key did not make them
	Replayed uint64  `json:"replayed"`  // packets refused because they had come before, of SRTP
}

// Fingerprint is the caller's stack as sip/fingerprint saw it.
type Fingerprint struct {
	ID        string `json:"id"`         // short hash of Text
	Text      string `json:"text"`       // stable readable form
	Stack     string `json:"stack"`      // what the tokens prove; empty when unknown
	UserAgent string `json:"user_agent"` // as claimed

	Signature     string `json:"signature,omitempty"`      // the first signature that it bears
	SignatureKind string `json:"signature_kind,omitempty"` // its kind
}

// RecordedDecision is a decision and what became of it.
type RecordedDecision struct {
	policy.Decision
	Enforced bool   `json:"enforced"` // acted on; false in observe mode, or when it could not be
	Outcome  string `json:"outcome"`  // what acting on it came to, in words; empty when not enforced
}

// Class is the final verdict's class; unknown when there is no verdict.
func (r *Record) Class() policy.Class {
	if n := len(r.Verdicts); n > 0 && r.Verdicts[n-1].Class != "" {
		return r.Verdicts[n-1].Class
	}
	return policy.Unknown
}

// Action is what the last decision ordered; empty when there was none.
func (r *Record) Action() policy.Action {
	if n := len(r.Decisions); n > 0 {
		return r.Decisions[n-1].Action
	}
	return ""
}

// canonical gives r a form that does not depend on where it was made: all times
// in UTC, lists never null. The slices are copied, the call keeps its own.
func (r Record) canonical() Record {
	r.InviteAt, r.RingingAt = At(r.InviteAt.Time), At(r.RingingAt.Time)
	r.AnsweredAt, r.EndedAt = At(r.AnsweredAt.Time), At(r.EndedAt.Time)
	r.Far = append([]FarLeg{}, r.Far...)
	r.Errors = append([]string{}, r.Errors...)
	r.Verdicts = append([]policy.Verdict{}, r.Verdicts...)
	for i := range r.Verdicts {
		r.Verdicts[i].At = r.Verdicts[i].At.UTC()
		r.Verdicts[i].Evidence = append([]policy.Evidence{}, r.Verdicts[i].Evidence...)
	}
	r.Decisions = append([]RecordedDecision{}, r.Decisions...)
	for i := range r.Decisions {
		r.Decisions[i].At = r.Decisions[i].At.UTC()
	}
	return r
}
