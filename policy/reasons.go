package policy

import "regexp"

// Reason codes. Every decision and every refusal carries one; it goes into the
// call record, the logs, the metrics and the X-Portero-Reason header, so a code
// keeps its number and its word for ever: new ones are added, none is reused.
//
//	P1xx  a built-in pass: the call goes to the agents, no rule is asked
//	P2xx  a rule of the configuration
//	P3xx  no rule spoke
//	P4xx  fail open: something of ours failed, the call goes on as if Portero
//	      were not there
//	P5xx  a refusal before any judgement
//	P6xx  how a built-in dialogue ended
const (
	// ReasonEmergency: an emergency call (RFC 5031 URN, Resource-Priority, a
	// configured number). Nothing may hold it.
	ReasonEmergency = "P100-emergency"
	// ReasonRelay: the caller is a relay service for people with a speech or
	// hearing disability, by list.
	ReasonRelay = "P105-relay"
	// ReasonAllowed: the caller is on an allow list.
	ReasonAllowed = "P110-allow-listed"

	// ReasonRule is the prefix of a rule's code: "P200-" and the rule's name,
	// unless the rule has a `reason` of its own, which is then taken as it is.
	ReasonRule = "P200-"

	// ReasonNoRule: no rule matched; the default destination.
	ReasonNoRule = "P300-no-rule"
	// ReasonUndecided: a screened call that no rule matched; the agents have it.
	ReasonUndecided = "P310-screened-undecided"

	// ReasonAnalysisFailed: the analysis of this call broke (an error or a
	// panic in it).
	ReasonAnalysisFailed = "P400-analysis-failed"
	// ReasonAnalysisLate: the analysis could not keep up or missed its deadline.
	ReasonAnalysisLate = "P410-analysis-late"
	// ReasonRulesBroken: a rule's expression failed while it was asked.
	ReasonRulesBroken = "P420-rules-broken"
	// ReasonStoreDown: a promise could not be stored, so it was not made.
	ReasonStoreDown = "P430-store-down"
	// ReasonDestinationDown: the destination of the decision did not answer;
	// the default destination has the call.
	ReasonDestinationDown = "P440-destination-unreachable"
	// ReasonPromptFailed: a prompt could not be played.
	ReasonPromptFailed = "P450-prompt-failed"
	// ReasonNotDialable: a callback was ordered for a caller whose number is
	// withheld or may not be dialled.
	ReasonNotDialable = "P460-not-dialable"

	// ReasonUnknownSource: the source is no configured trunk or PBX.
	ReasonUnknownSource = "P500-unknown-source"
	// ReasonScanner: the request bears the marks of a scanner.
	ReasonScanner = "P505-scanner"
	// ReasonMalformed: the request cannot be read, or lacks what RFC 3261
	// section 8.1.1 demands.
	ReasonMalformed = "P510-malformed"
	// ReasonTooLarge: the request exceeds a limit on size or headers.
	ReasonTooLarge = "P515-too-large"
	// ReasonTooManyCalls: the door's limit of calls is reached.
	ReasonTooManyCalls = "P520-too-many-calls"
	// ReasonCallRate: more calls a second than the door takes.
	ReasonCallRate = "P522-call-rate"
	// ReasonOverloaded: the door is so far behind that the caller has given up
	// waiting.
	ReasonOverloaded = "P523-overloaded"
	// ReasonSourceLimit: the limit of calls or requests of one source is reached.
	ReasonSourceLimit = "P525-source-limit"
	// ReasonCallerLimit: the limit of new calls of one caller is reached.
	ReasonCallerLimit = "P526-caller-limit"
	// ReasonTrunkLimit: the limit of calls or requests of a trunk is reached.
	ReasonTrunkLimit = "P527-trunk-limit"
	// ReasonNoPorts: no media port is free.
	ReasonNoPorts = "P530-no-media-ports"
	// ReasonLoop: Max-Forwards is used up, or the call came from ourselves.
	ReasonLoop = "P540-loop"
	// ReasonDraining: the door is shutting down.
	ReasonDraining = "P550-draining"
	// ReasonNoUpstream: no PBX can be reached.
	ReasonNoUpstream = "P560-no-upstream"
	// ReasonUpstreamFull: every PBX has as many calls as it may have.
	ReasonUpstreamFull = "P565-upstream-full"

	// ReasonPromised: a callback was promised and stored.
	ReasonPromised = "P600-callback-promised"
	// ReasonPromiseExists: the caller was owed a callback already.
	ReasonPromiseExists = "P610-callback-owed-already"
	// ReasonConfirmed: the person called back pressed the key and was joined.
	ReasonConfirmed = "P620-callback-confirmed"
	// ReasonNotConfirmed: the person called back did not press the key.
	ReasonNotConfirmed = "P630-callback-not-confirmed"
)

// Reason is one row of the table of codes.
type Reason struct {
	Code string
	Says string // for a supervisor
}

// Reasons is the table of all codes that Portero gives by itself, by number;
// the codes of rules are made of their names.
var Reasons = []Reason{
	{ReasonEmergency, "an emergency call passes at once"},
	{ReasonRelay, "a relay service passes at once"},
	{ReasonAllowed, "the caller is on an allow list"},
	{ReasonRule, "a rule of the configuration matched; its name follows"},
	{ReasonNoRule, "no rule matched: the default destination"},
	{ReasonUndecided, "the screened caller matched no rule: the agents"},
	{ReasonAnalysisFailed, "the analysis broke: passed on unjudged"},
	{ReasonAnalysisLate, "the analysis was late: passed on unjudged"},
	{ReasonRulesBroken, "a rule's expression failed: passed on"},
	{ReasonStoreDown, "the store is down: no promise could be made, passed on"},
	{ReasonDestinationDown, "the destination did not answer: the default destination"},
	{ReasonPromptFailed, "a prompt could not be played: passed on"},
	{ReasonNotDialable, "the caller's number cannot be called back: passed on"},
	{ReasonUnknownSource, "the source is not configured"},
	{ReasonScanner, "a scanner"},
	{ReasonMalformed, "the request cannot be read"},
	{ReasonTooLarge, "the request is too large"},
	{ReasonTooManyCalls, "the limit of calls is reached"},
	{ReasonCallRate, "too many calls a second"},
	{ReasonOverloaded, "the door is too far behind to take the call"},
	{ReasonSourceLimit, "the source's limit is reached"},
	{ReasonCallerLimit, "the caller's limit of new calls is reached"},
	{ReasonTrunkLimit, "the trunk's limit is reached"},
	{ReasonNoPorts, "no media port is free"},
	{ReasonLoop, "the request runs in a circle"},
	{ReasonDraining, "the door is shutting down"},
	{ReasonNoUpstream, "no PBX can be reached"},
	{ReasonUpstreamFull, "every PBX has all the calls it may have"},
	{ReasonPromised, "a callback was promised"},
	{ReasonPromiseExists, "a callback was owed already"},
	{ReasonConfirmed, "the person called back was joined to the agents"},
	{ReasonNotConfirmed, "the person called back did not ask to be joined"},
}

var reservedReason = regexp.MustCompile(`^P[0-9]{3}(-|$)`)

// ReservedReason says whether a code has the form that is kept for Portero's
// own codes, which a rule may not use.
func ReservedReason(code string) bool { return reservedReason.MatchString(code) }
