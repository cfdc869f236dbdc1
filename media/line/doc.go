// Package line says what the caller's stream tells of its sender, whatever is
// said in it: where its counters start, how its packets are paced, whether it
// sends while there is nothing to say, how silent its silence is, and what
// background lies between the words.
//
// Gateways and carriers sit between most callers and this door. They pace
// packets anew, gate background and fill in comfort noise, for people and
// machines alike; the weights are small for that reason (weights.go), and what
// is measured is coarse: a live socket and a capture of it differ by fractions
// of a millisecond and must tell the same.
//
// It refuses to listen to what is said (media/voice does), to keep audio, and
// to know what time it is.
package line
