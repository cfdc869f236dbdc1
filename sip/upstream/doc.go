// Package upstream knows the PBXs: which targets a destination has, where they
// are (RFC 3263), how they fare, and which one the next call is sent to.
//
// A destination has targets, each a SIP URI with a priority, a weight and a
// cap on calls. A target has addresses, one or several, from its URI or from
// DNS (resolve.go, dns.go). An address is up, refuses, has failed or is down
// (health.go), by what OPTIONS and real calls came to. A choice (choose.go)
// takes the best address that a call has not tried yet; when none is well, the
// least bad: whether a PBX is really dead, only a call can tell.
//
// The room decides and remembers. It sends nothing but DNS queries: OPTIONS go
// through the Pinger it is given, calls through the door. Choice, health and
// cooldown are given the time and run on a virtual clock in tests.
package upstream
