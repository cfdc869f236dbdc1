// Package door is the front door itself: a back-to-back user agent for calls
// (RFC 3261, RFC 7092) and a stateful proxy for everything else (RFC 3261
// section 16), over sipgo's parser and our own transports and transactions.
//
// A call is a mailbox (call.go) of events, which run one after another: only they
// change the call's state. Who brings one and finds nobody at them runs them: the
// network's reader with a message, a timer, else a goroutine of their own (media,
// analysis, dialogues). A call has a caller leg and at any moment at most one far leg; while
// it is being moved, a candidate for the far leg besides (move.go).
//
// Calls of the PBX go out by the trunk that a rule names (outbound.go), or along
// the way that a phone left when it registered (flow.go). Transfers pass, with
// Replaces translated to the dialog behind a leg (refer.go, replaces.go), or are
// carried out by the door (transfer.go, takeover.go).
//
// The door serves only configured trunks and PBXs. It refuses everybody else
// before a byte is parsed, and sends requests nowhere that the configuration
// does not name.
package door

import (
	"maps"
	"slices"
)

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
