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

	Signed       bool     `expr:"signed"`        // the INVITE has an Identity header (RFC 8224), whatever it is worth
	Verstat      string   `expr:"verstat"`       // passed, failed, none by Portero's own verification, else by a trusted trunk; "" is not known
	Attestation  string   `expr:"attestation"`   // A, B, C of a signature that passed, else by a trusted trunk; "" is not known
	OrigID       string   `expr:"origid"`        // origid of a signature that passed (RFC 8588)
	IdentityCode int      `expr:"identity_code"` // why a verification failed: 403, 428, 436, 437, 438 (RFC 8224); 0 did not
	Diverted     bool     `expr:"diverted"`      // signed diversions (RFC 8946) lead to the number called
	RichName     string   `expr:"rich_name"`     // the caller's name, signed (RFC 9795)
	CallReason   string   `expr:"call_reason"`   // why the caller calls: signed (crn), else by a trusted trunk (RFC 9796)
	CallInfo     []string `expr:"call_info"`     // purposes of the Call-Info headers, in lower case: icon, info, card, jcard
	Capabilities []string `expr:"capabilities"`  // RFC 3840 feature tags of the caller's Contact, in lower case, with = and their value if they have one

	Automata  bool   `expr:"automata"`   // the caller's Contact declares RFC 3840 automata
	Actor     string `expr:"actor"`      // RFC 3840 actor: principal, attendant, msg-taker, information
	Stack     string `expr:"stack"`      // SIP stack by fingerprint
	UserAgent string `expr:"user_agent"` // as claimed
	PrintID   string `expr:"print"`      // fingerprint hash

	Signature     string   `expr:"signature"`      // name of the first signature that the INVITE bears, "" of none
	SignatureKind string   `expr:"signature_kind"` // its kind, one of SignatureKinds, "" of none
	Signatures    []string `expr:"signatures"`     // names of all that it bears, the first one first

	HeardSeconds  float64 `expr:"heard_seconds"`  // caller's media so far, s
	SpeechSeconds float64 `expr:"speech_seconds"` // caller's speech so far, s
	Sound         string  `expr:"sound"`          // what the caller's audio is, if no voice: text_telephone, fax, modem, tones, music; "" is none of these

	Distant       bool    `expr:"distant"`        // the voice comes from across a room: of a person who speaks freely, or of a loudspeaker
	TextTelephone bool    `expr:"text_telephone"` // a text telephone was heard (ITU-T V.18): who types is never judged a machine
	TextOffered   bool    `expr:"text_offered"`   // the INVITE offers real-time text (RFC 4103)
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
