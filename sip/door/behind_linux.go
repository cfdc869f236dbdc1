package door

import (
	"runtime"
	"syscall"
)

// behind puts the calling goroutine on a thread of its own that stands behind
// all others for the processor (setpriority(2)): the analysis of many callers
// keeps a core busy for milliseconds at a time, and a packet must not wait for
// it. The thread is not given back.
func behind() {
	runtime.LockOSThread()
	// It may be refused nowhere: anyone may be nicer.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), niceness)
}

// niceness of the analysis: low enough that packets come first, high enough that
// other programs on the machine do not starve it.
const niceness = 4
