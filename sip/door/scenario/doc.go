// Package scenario plays call scenarios that are written as text against a
// door: who sends what and what is expected, in the order in which a SIP
// engineer would draw it. README.md describes the language.
//
// It is for tests only. It speaks SIP with a writer and reader of its own, not
// with the library the door is built on, so that a mistake of that library is
// not made on both sides; and every message a door sends is held against the
// rules of RFC 3261 that hold always (lint.go), whatever the scenario asks. It
// opens no sockets: its network is memory, so a script decides what crosses
// what. It refuses media: session descriptions are looked at, no packet is
// sent.
package scenario
