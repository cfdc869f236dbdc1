//go:build !race

package scenario_test

const leakCalls = 20_000
