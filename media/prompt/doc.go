// Package prompt is what Portero says to a caller: recorded prompts, a beep, a
// ringing tone, and the player that sends them as G.711 in the packet time agreed.
//
// The built-in prompts, in English and Spanish, say that they are automated; an
// operator replaces them by WAV files of the same names, adds languages, and says
// which callers hear which. The package synthesizes no speech, opens no socket
// (a Speaker sends), and decides nothing about what is said when.
package prompt
