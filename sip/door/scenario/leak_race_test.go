//go:build race

package scenario_test

// The race detector makes every call ten times as dear: there are fewer, and
// fewer at once.
const (
	leakCalls = 2_000
	inFlight  = 100
)
