// Package voice says where a caller speaks and how likely that speech is
// synthetic. It takes consecutive samples at 8 kHz, as they come off a telephone
// line, and keeps only statistics: no audio, no words, no speaker.
//
// Activity finds speech in noise. Listener hears a call's caller and gives a
// Score at any moment: the log-likelihood ratio of a synthetic over a human
// voice, by a Model that the sub-package training makes and MODEL.md describes.
//
// The package opens nothing and keeps no clock. It refuses to guess: with too
// little speech, too much noise or no voice in what it hears it abstains. A
// synthetic voice is not a bad caller: people speak through devices, relay
// services and interpreters.
package voice
