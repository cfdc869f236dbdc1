//go:build !race

package scenario_test

// inFlight is how many calls are placed at once: several hundred a second, as
// most are short.
const (
	leakCalls = 20_000
	inFlight  = 500
)
