// Package identity says who a SIP request claims its caller to be: number,
// name, whether the identity is withheld, whether the call is an emergency, and
// what the trunk says of its verification.
//
// What a trusted trunk asserts (P-Asserted-Identity, verstat, attestation; RFC
// 3325, TS 24.229) is taken from trusted trunks alone; anybody can write these
// headers. Signatures of Identity headers (RFC 8224) are verified in stir, with
// certificates that verifier has.
//
// It refuses to look anything up, to judge, or to keep state.
package identity
