package policy

// Evidence is one observed fact about a call.
type Evidence struct {
	// Name is stable and dotted, family first: sig.automata, rtp.first_zero,
	// line.digital_silence, voice.synthetic, turns.answer_latency, keys.regular,
	// campaign.same_speech. At any moment a call has at most one item per name;
	// a newer one replaces the older.
	Name string `json:"name"`
	// LLR is the log-likelihood ratio ln(P(fact|machine)/P(fact|human)).
	LLR float64 `json:"llr"`
	// Says is the fact as a supervisor would say it.
	Says string `json:"says"`
	// Recording is ln(P(fact|recording)/P(fact|assistant)), and parts the two
	// kinds of machine; 0 says nothing about it.
	Recording float64 `json:"recording,omitempty"`
}
