// Package relay anchors the media of calls: it owns the RTP and RTCP ports,
// forwards packets between a caller and the call's far side byte for byte, copies
// the caller's packets aside for the analysis, and lets Portero itself speak to
// the caller.
//
// It takes packets from the source that the SDP names, or that a consistent
// stream has proved, and refuses all others. It keeps the caller's stream of one
// piece when the far side is replaced. Where the two sides agreed on different
// things it is told to convert: payload type numbers, and audio whose packets keep
// their length (convert.go). It does not mix or re-time, knows nothing of SIP, and
// does not read SDP: addresses are given to it.
//
// On Linux a loop a processor reads the sockets of all calls (loop_linux.go),
// elsewhere each socket has a goroutine; either allocates nothing for a packet,
// and waits for nobody but, for the length of one send, for the
// other source of the same call at the instant when the two change places.
package relay
