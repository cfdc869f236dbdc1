// Package limit says when a source, a trunk or a caller makes more requests than
// it may: token buckets for rates, counters for call attempts that are not
// answered yet.
//
// A trunk carries thousands of callers, so who calls too much is limited by
// himself, and the trunk only when all of it together is too much. The tables
// have a fixed size: made-up sources cost no memory, and when a table cannot
// hold one more, that one is not limited (fail open).
//
// It refuses to know of dialogs, which are never limited, of emergencies, which
// its user lets pass, and of what a refusal looks like. Time is given to it.
package limit
