// Package fingerprint says what the raw bytes of a SIP request tell of the
// stack that made it: the order, case and spacing of its headers, the shapes of
// its tokens, the make-up of its SDP, and what it declares of itself (RFC 3840
// automata and actor).
//
// It reads bytes as they came from the wire, before a parser has tidied them,
// and never fails: garbage has a print too. It judges the make of the signalling,
// not the honesty of the caller: marks of carriers and gateways, behind which
// millions of people call, carry no weight.
//
// It refuses to resolve, to open, to keep state, or to know what time it is;
// who the caller claims to be belongs to package identity.
package fingerprint
