// Package stir verifies what Identity headers say of a call: STIR/SHAKEN (RFC
// 8224, RFC 8225, RFC 8226, RFC 8588), diversion (RFC 8946) and rich call data
// (RFC 9795). ES256 alone is taken.
//
// It is pure: it is given the request's bytes, the certificates behind each x5u
// and the time, and says what the signatures prove. That is little: a valid
// attestation of A says that the number is not spoofed, nothing of who calls.
// B, C and a missing header say less, and none of it is guilt. The failure codes
// of RFC 8224 section 6.2.2 are named as evidence; nobody is rejected here.
//
// It refuses sockets, files and clocks, to fetch a certificate (sip/identity/
// verifier), and to weigh what it found (policy).
package stir
