//go:build !linux || !(amd64 || arm64)

package relay

// newLoops: elsewhere each socket has a goroutine.
func newLoops() sockets { return &plainSockets{} }

// mostOpen: a plain socket serves one call.
func mostOpen() int { return 0 }
