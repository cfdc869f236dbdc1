// Package trace reads captures: it rebuilds each call in them, INVITE to BYE
// with its RTP streams, and puts the call before the same judge that sits in a
// live door.
//
// It reads pcap and pcapng, bounds its memory by the calls that are open at one
// time, and takes everything in a capture for hostile: whatever cannot be read
// is passed over and counted. It refuses to guess: SIP is what starts with a
// SIP start line, RTP is what a session description announced, and a packet
// quoted inside an ICMP error is neither. It opens no file and no socket and
// prints nothing.
package trace
