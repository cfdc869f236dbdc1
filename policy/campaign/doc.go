// Package campaign finds calls that belong together: whatever their numbers,
// they play the same speech. It keeps the acoustic prints of recent calls
// (media/acoustic) and compares a new one with all of them at any alignment.
//
// A print is one 32-bit word each 16 ms, 0 where nobody spoke. No audio is
// kept, and none can be made from a print. Memory and age are bounded; times
// are given.
//
// It refuses to judge make or numbers, to keep calls longer than a flood lasts,
// and to open anything.
package campaign
