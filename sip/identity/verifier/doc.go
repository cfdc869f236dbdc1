// Package verifier is the verification service (RFC 8224 section 6, ATIS-1000074
// section 5.3) around the pure rules of sip/identity/stir: it knows the trust
// anchors, keeps signers' certificates, and fetches them by their x5u.
//
// An x5u is a URL that a stranger wrote. It is fetched only over https, only from
// hosts that the configuration allows, never from a private address unless that
// is allowed too, with bounds on time, size and redirects, once for all calls
// that wait for it; failures are remembered for a while. A call waits for its
// budget and no longer; what comes later serves the next call.
//
// It refuses to judge a call, and to be in anybody's way: whatever goes wrong
// here leaves a call unverified and nothing else.
package verifier
