// Package dialogue holds the conversations that Portero itself has with a
// caller, as small state machines: screen, callback offer, and confirm (the
// person called back).
//
// A machine takes one event and answers with actions, which the door executes
// in their order. It is pure: it plays nothing, stores nothing, and keeps no
// clock; a Wait action asks for a Timeout event. Every race is a row of a test:
// late events, marked by their ID, are told apart from those waited for.
//
// What may be added here: another conversation, one file and one table of tests
// each. What must not: judgement of the caller (policy, policy/rules), SIP,
// media.
package dialogue
