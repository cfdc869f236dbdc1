//go:build race

package relay

// raced: the race detector has pools throw things away, so that what is free of
// allocations otherwise is not.
const raced = true
