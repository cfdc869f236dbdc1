package policy

// EvidenceName is one row of the table of what observers give.
type EvidenceName struct {
	Name string
	Says string // what it means, for the reference
}

// EvidenceNames is everything that an observer of this house may say, sorted by
// name. Rules may ask for these names alone, so that a misspelt one is found at
// start; a test in sip/judge holds the table against the observers' source.
var EvidenceNames = []EvidenceName{
	{"analysis.late", "the analysis was late and did not hear all of the caller; it weighs nothing"},
	{"campaign.same_speech", "other calls had the same speech"},
	{"identity.failed", "the caller's number is signed, and the signature does not hold (RFC 8224)"},
	{"identity.passed", "the caller's number is signed and not spoofed (RFC 8224); it says no more"},
	{"keys.held", "how evenly long the keys were held"},
	{"keys.human", "keys were pressed at uneven times, as people do"},
	{"keys.regular", "keys were pressed as evenly as by a timer"},
	{"line.digital_silence", "the line is exactly silent between the words"},
	{"line.discontinuous", "the stream's clock stands still while there is nothing to play"},
	{"line.noise_floor", "what lies between the words"},
	{"line.unheard", "most of the caller's audio cannot be decoded: it is relayed, not heard; it says no more"},
	{"rtp.first_zero", "sequence number and timestamp began at 0"},
	{"rtp.pacing", "how evenly the packets come"},
	{"sig.actor", "the caller's device declares who acts (RFC 3840 section 10.14)"},
	{"sig.agent_platform", "the signalling is that of a platform for automated agents"},
	{"sig.automata", "the caller's device declares that it is a machine (RFC 3840 section 10.8)"},
	{"sig.carrier", "the signalling is a carrier's; it weighs nothing"},
	{"sig.dialer", "the signalling is that of a program that calls by itself"},
	{"sig.gateway", "the signalling is a gateway's; it weighs nothing"},
	{"sig.library", "the signalling is that of a library that anything may be built on; it weighs nothing"},
	{"sig.load_tool", "the signalling is that of a load generator"},
	{"sig.media_mismatch", "the audio was made by another stack than the signalling; it weighs nothing"},
	{"sig.pbx", "the signalling is a PBX's; it weighs nothing"},
	{"sig.phone", "the signalling is a telephone's; it weighs nothing"},
	{"sig.scanner", "the signalling is that of a scanning tool"},
	{"sig.stack_mismatch", "the signalling was made by another stack than it claims"},
	{"sig.text_media", "the INVITE offers real-time text (RFC 4103), as text telephones and relay services do; it weighs nothing"},
	{"sound.distant", "the voice comes from across a room: of a person who speaks freely, or of a loudspeaker; it weighs nothing"},
	{"sound.fax", "what is heard is a fax: no voice is judged; it weighs nothing"},
	{"sound.modem", "what is heard is a modem: no voice is judged; it weighs nothing"},
	{"sound.music", "what is heard is music; where it is most of it, no voice is judged; it weighs nothing"},
	{"sound.repeats", "the caller said the same again, sound for sound: a loop, or a sentence that a program has kept"},
	{"sound.text_telephone", "somebody types on a text telephone (ITU-T V.18): nothing counts against them; it weighs nothing"},
	{"sound.tones", "tones of the network are heard, or others; where they are most of it, no voice is judged; it weighs nothing"},
	{"turns.answer_latency", "how soon the caller spoke after the answer"},
	{"turns.anticipates", "how often the caller began just before the other side's end"},
	{"turns.barge_in", "how often the caller began in the middle of what the other side said"},
	{"turns.heedless", "the caller speaks as if there were no other side: over it as long as by chance, stopping for nothing"},
	{"turns.interrupted", "what the caller did when the other side began to speak"},
	{"turns.latency", "how soon the caller answered after the other side's end"},
	{"turns.monologue", "the caller spoke long without leaving room for an answer"},
	{"turns.overlap", "how long the caller spoke over the other side"},
	{"turns.spread", "how much the latencies of the caller's answers deviate"},
	{"voice.synthetic", "how likely the sound of the voice is a synthesizer's"},
}
