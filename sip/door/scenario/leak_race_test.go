//go:build race

package scenario_test

// The race detector makes every call ten times as dear.
const leakCalls = 2_000
