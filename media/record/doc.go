// Package record writes calls to disk: both voices as a stereo WAV file, or the
// caller's side of the call, signalling and media, as a pcapng file.
//
// It is fed by copies of the packets (relay.Copies), from which each recording's
// own goroutine takes what has come twice a second. So a slow disk holds up that
// goroutine and nobody else; what the rings could not hold meanwhile is missing in
// the file, and the file says how much. When the disk has no room, recording
// stops, and calls go on.
//
// Calls out of a capture are written by a Tape, which is given frames and has no
// goroutine.
//
// It refuses to decide who is recorded (that is the door, by the configuration),
// to announce it, and to keep a file longer than it was told.
package record
