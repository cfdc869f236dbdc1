package main

import "os"

// headroom is how much the heap may grow, beyond twice what is in use, before
// the garbage collector has to run, bytes. A door uses 15 MB: it would collect
// with every few hundred calls, at a tenth of their CPU time.
//
// It is a block that nobody writes to, which the collector takes for memory in
// use and the kernel never has to provide. GOGC at a higher figure would do the
// same to a small door, and have a large one grow to many times its size.
const headroom = 64 << 20

// reserve makes the headroom. Who sets GOGC knows better.
func reserve() []byte {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, headroom)
}
