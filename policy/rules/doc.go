// Package rules is the operator's language: an ordered list of `when`
// expressions over named, type-checked facts, each with one action. First match
// wins.
//
// Before any rule, three kinds of caller pass to the agents and cannot be
// ruled away: emergency calls, relay services, and callers on an allow list. A
// rule whose expression fails while it is asked also lets the call pass to the
// agents: rules never lose a call.
//
// Expressions are those of github.com/expr-lang/expr over the facts of
// policy.Facts and three functions:
//
//	in_list("name")    the caller's number is on the list
//	evidence("name")   the log-likelihood ratio of that evidence, 0 if not there
//	has("name")        that evidence is there
//
// The clock is not asked: `now` is the moment of judgement, in the configured
// time zone (now.Hour() >= 18, now.Weekday().String() == "Sunday").
//
// What this room refuses: to weigh evidence (policy), to keep state between
// calls, to read files, to know SIP.
package rules
