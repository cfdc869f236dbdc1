//go:build !unix

package main

import "os"

// pipe is standard input as it is: it cannot tell while nothing comes.
type pipe struct{ *os.File }

func newPipe(f *os.File) pipe { return pipe{f} }

func (pipe) end() {}
