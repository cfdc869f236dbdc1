package policy

import "time"

// Facts is everything a rule's `when` expression may ask about, by the names in
// the expr tags. A bool named in Says of the reference configuration is the
// same word here.
type Facts struct {
	Stage Stage     `expr:"stage"` // arrival, listening or dialogue
	Now   time.Time `expr:"now"`   // the moment of judgement, in the configured time zone

	Class    Class   `expr:"class"`     // human, assistant, recording, unknown
	PMachine float64 `expr:"p_machine"` // 0..1

	From        string `expr:"from"`         // user part of the caller's identity (P-Asserted-Identity of a trusted trunk, else From)
	FromHost    string `expr:"from_host"`    // its host part
	DisplayName string `expr:"display_name"` //
	Anonymous   bool   `expr:"anonymous"`    // identity withheld
	To          string `expr:"to"`           // user part of the Request-URI
	Trunk       string `expr:"trunk"`        // name of the trunk the call came by
	Emergency   bool   `expr:"emergency"`    // RFC 5031 URN, Resource-Priority or a configured number
	Relay       bool   `expr:"relay"`        // a relay service, by list
	Allowed     bool   `expr:"allowed"`      // the caller is on an allow list

	Automata  bool   `expr:"automata"`   // the caller's Contact declares RFC 3840 automata
	Actor     string `expr:"actor"`      // RFC 3840 actor: principal, attendant, msg-taker, information
	Stack     string `expr:"stack"`      // SIP stack by fingerprint
	UserAgent string `expr:"user_agent"` // as claimed
	PrintID   string `expr:"print"`      // fingerprint hash

	HeardSeconds  float64 `expr:"heard_seconds"`  // caller's media so far, s
	SpeechSeconds float64 `expr:"speech_seconds"` // caller's speech so far, s
	Digits        string  `expr:"digits"`         // keys pressed so far
	WaitSeconds   float64 `expr:"wait_seconds"`   // since the INVITE, s
	Screened      bool    `expr:"screened"`       // the caller was screened

	AgentsBusy  int     `expr:"agents_busy"`  // calls now at agents' destinations
	AgentsFree  int     `expr:"agents_free"`  // capacity minus busy, never below 0
	CallsNow    int     `expr:"calls_now"`    // calls in the door
	CallsMinute int     `expr:"calls_minute"` // arrivals in the last 60 s
	Surge       float64 `expr:"surge"`        // arrivals now over the usual rate, 1 = usual
	Campaign    int     `expr:"campaign"`     // other calls with the same speech or make
}
