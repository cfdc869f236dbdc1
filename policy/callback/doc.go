// Package callback decides whether a callback may be promised, and when a
// promise is kept: [Queue] takes promises, [Dialer] has them dialled.
//
// A promise is on disk before the caller hears of it. A number is owed one
// callback at a time, and is never dialled twice at once. Dialling waits until
// agents are free, is paced, and is tried again a few times.
//
// The room refuses numbers that the configuration does not allow (toll fraud:
// whoever calls in chooses the number that is called back), and it places no
// call itself: that is [Door], which sip/door is. It keeps no clock and opens no
// file.
package callback
