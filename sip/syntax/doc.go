// Package syntax says whether the bytes of one SIP message are what RFC 3261
// section 25 allows, before any parser sees them, and which status is owed to
// the sender when they are not: the answers of RFC 4475 and RFC 5118.
//
// It is strict where two elements could read a message differently (framing,
// separators, quotes, line ends, headers that are there once, the tokens that
// name a transaction or a dialog) and takes what real senders get wrong without
// harm (names in Latin-1, unquoted specials in a display name, '#' in a user
// part). What the grammar allows but the parser behind it misreads (blanks
// around separators, folded lines, tags behind quoted parameters, ...) it
// rewrites into the plain spelling of the same message.
//
// It refuses to know methods, extensions, trunks or policy: whether a sound
// request is served belongs to package door.
package syntax
