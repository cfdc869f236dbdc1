// Package hep mirrors signalling and RTCP to a Homer (HEP version 3, the
// Homer Encapsulation Protocol): what the door receives and sends, with where,
// when and for which call.
//
// The mirror never holds up what it mirrors: a message is copied into a bounded
// queue or dropped, and counted. It refuses to receive HEP, to choose what is
// worth mirroring, and to keep anything for a Homer that is away.
package hep
