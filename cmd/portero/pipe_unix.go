//go:build unix

package main

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipe reads standard input as it comes, such as from tcpdump, and tells while
// nothing does. At SIGINT it goes on for as long as the other end writes what it
// still holds, but not longer than parting.
type pipe struct {
	f        *os.File
	idle     func(time.Duration)
	since    time.Time
	signals  chan os.Signal
	deadline atomic.Int64 // Unix, ns; 0: none
	done     chan struct{}
}

const (
	pipeTick = 250 * time.Millisecond
	parting  = 2 * time.Second
)

func newPipe(f *os.File) *pipe {
	p := &pipe{f: f, signals: make(chan os.Signal, 1), done: make(chan struct{})}
	signal.Notify(p.signals, syscall.SIGINT)
	go func() {
		select {
		case <-p.signals:
			p.deadline.Store(time.Now().Add(parting).UnixNano())
			signal.Stop(p.signals) // a second one ends the command at once
		case <-p.done:
			signal.Stop(p.signals)
		}
	}()
	return p
}

// end lets go of the signal.
func (p *pipe) end() { close(p.done) }

// WhileIdle implements trace.Idler.
func (p *pipe) WhileIdle(f func(time.Duration)) { p.idle = f }

// Read implements io.Reader.
func (p *pipe) Read(b []byte) (int, error) {
	p.since = time.Now()
	for {
		fds := []unix.PollFd{{Fd: int32(p.f.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(pipeTick.Milliseconds()))
		if n > 0 || err != nil && err != unix.EINTR {
			return p.f.Read(b)
		}
		now := time.Now()
		if d := p.deadline.Load(); d > 0 && now.UnixNano() > d {
			return 0, os.ErrDeadlineExceeded
		}
		if p.idle != nil {
			p.idle(now.Sub(p.since))
		}
		p.since = now
	}
}
