// Package replay places recorded calls again: the caller of a capture speaks
// SIP and RTP with whatever stands at an address now, with the bytes that were
// recorded, and what comes of it is held against the recording.
//
// Only what must be new is new: Call-ID, tags and branches, each in the shape
// of the recorded one, the addresses of Via, Contact and session description,
// and what the live dialog dictates (routes, tags of the far side, numbers of
// requests that were not recorded). Everything else, order, case and spacing of
// the headers included, goes out as it was, so that the call has the recorded
// call's fingerprint. The other side is answered as it acts, not as it once did.
//
// The package refuses to judge calls (sip/trace puts recordings before the
// judge, a door the live call) and to call anybody but the target it is given
// and, over UDP, the address that the target's Contact or Record-Route names.
package replay
