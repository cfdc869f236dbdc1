//go:build !unix

package main

import "os"

// windowColumns is not known on this system.
func windowColumns(*os.File) int { return 0 }
