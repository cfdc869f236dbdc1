// Package registration is the client side of one registration (RFC 3261 section
// 10.2): a state machine that says which REGISTER to send when, refreshes before
// the registrar forgets, takes the registrar's terms (423), and comes back after
// failures at a pace that spares it (RFC 5626 section 4.5).
//
// It refuses to send, to wait and to know what time it is: it is told what came
// of each REGISTER, and says how long to wait for the next. Challenges are
// package auth's.
package registration
