// Package signature knows the makes of SIP stacks by marks in their signalling:
// a database of conditions over what package fingerprint reads, each with its
// source, its dates and its test vectors (README.md).
//
// A match names the make. What it weighs is the signature's: carriers, gateways,
// PBXs, telephones and libraries weigh nothing toward a machine, as people and
// machines call through them alike, and a mark that a gateway makes names the
// gateway, never the caller behind it.
//
// It is given bytes, addresses and times, and opens no file, no socket and no
// clock; who reads the operator's files hands them in.
package signature
