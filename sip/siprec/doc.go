// Package siprec reads and writes what a session recording client says of the
// calls that it sends copies of: recording metadata (RFC 7865) and the bodies that
// carry it beside a session description (RFC 7866).
//
// It is lenient where clients differ: elements and attributes are known by their
// local names, whatever the namespace and the draft; what it does not know it
// skips. It is strict in what a document may cost: size, depth, number of elements,
// no document type. It opens nothing and keeps no clock.
package siprec
