// Package auth answers the digest challenges of a SIP peer (RFC 3261 section
// 22, RFC 8760): it keeps the challenges of one dialog or one registration and
// writes Authorization and Proxy-Authorization into requests.
//
// It refuses to send, to wait, and to challenge anybody itself. What it knows
// of a password never leaves it but as a digest.
package auth
