// Package sound says what a caller's audio is when it is no speech: text telephones
// (ITU-T V.18), fax, modems, tones of the network, music on hold.
//
// These are neither a person's voice nor an assistant's. What it finds are facts
// first: of evidence it gives sentences that weigh nothing, and the judge abstains
// where it says so (sip/judge). A text telephone is a person's, and never counts
// against one.
//
// It takes consecutive samples at 8 kHz, allocates nothing per frame, keeps no
// audio and no text: of the characters of a text telephone it keeps their number.
// It refuses to tell people from machines by how they sound (media/voice), and to
// know what time it is.
package sound
