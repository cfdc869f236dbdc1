//go:build linux && (amd64 || arm64)

package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loops read the sockets of all calls: one goroutine a processor with an epoll
// of its own (epoll(7)), instead of a goroutine, its stack and its buffer a
// socket. A packet costs a share of an epoll_wait, a recvmsg and a sendto.
type loops struct {
	next  atomic.Uint32
	all   []*loop
	wg    sync.WaitGroup
	clock int // a socket that only keeps the kernel stamping; -1 for none
}

func newLoops() sockets {
	ls := &loops{all: make([]*loop, max(runtime.NumCPU(), 1)), clock: -1}
	for i := range ls.all {
		ls.all[i] = &loop{}
	}
	// The kernel patches its own code, all processors standing still, when the
	// first socket of the system asks for stamps and when the last has gone: not
	// for every call that comes alone.
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		ls.clock = fd
	}
	return ls
}

// close implements sockets.
func (ls *loops) close() {
	if ls.clock >= 0 {
		_ = unix.Close(ls.clock)
		ls.clock = -1
	}
	for _, l := range ls.all {
		l.mu.Lock()
		if l.running {
			one := [8]byte{}
			binary.NativeEndian.PutUint64(one[:], 1)
			_, _ = unix.Write(l.wake, one[:])
		}
		l.closed = true
		l.mu.Unlock()
	}
	ls.wg.Wait()
}

// loop is one epoll and the goroutine that waits on it, from its first socket on.
type loop struct {
	mu      sync.Mutex // of opening and closing, never of a packet
	epoll   int
	wake    int // an eventfd, written once, at the end
	running bool
	closed  bool

	conns table
}

// table finds a socket by its descriptor without a lock: the loop reads it for
// each packet, opening and closing write it. Descriptors are small numbers.
type table struct {
	chunks [maxFD / chunkFD]atomic.Pointer[[chunkFD]atomic.Pointer[polled]]
}

const (
	maxFD   = 1 << 20
	chunkFD = 1 << 10
)

func (t *table) at(fd int) *polled {
	if fd < 0 || fd >= maxFD {
		return nil
	}
	if c := t.chunks[fd/chunkFD].Load(); c != nil {
		return c[fd%chunkFD].Load()
	}
	return nil
}

// set is called with the loop's lock held.
func (t *table) set(fd int, p *polled) {
	c := t.chunks[fd/chunkFD].Load()
	if c == nil {
		c = new([chunkFD]atomic.Pointer[polled])
		t.chunks[fd/chunkFD].Store(c)
	}
	c[fd%chunkFD].Store(p)
}

// polled is a socket that a loop reads, whether a call has it or not.
type polled struct {
	loop *loop
	fd   int
	v6   bool

	errors  int          // in a row; of the loop's goroutine
	broken  atomic.Bool  // it is read no more
	strayed atomic.Int64 // when a datagram was last thrown away, ns after began; 0 never

	// mu keeps the descriptor while something is received or sent: its number
	// belongs to another socket as soon as it is closed. It keeps the holder too: a
	// datagram is for whoever had the socket when it was received.
	mu     sync.RWMutex
	holder *polledConn // nil for nobody
	closed bool
}

// polledConn is a polled socket in the hands of one call.
type polledConn struct {
	p *polled
	f func(b []byte, src netip.AddrPort, wall int64) // nil until watch
}

// began is what polled.strayed counts from.
var began = time.Now()

func (ls *loops) open(addr netip.AddrPort, stamped bool) (socket, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a media socket: %w", err)
	}
	fail := func(err error) (socket, error) {
		_ = unix.Close(fd)
		return nil, err
	}
	if fd >= maxFD {
		return fail(fmt.Errorf("opening a media socket: descriptor %d is beyond %d", fd, maxFD))
	}
	if family == unix.AF_INET6 {
		if err := rawSet(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err != nil {
			return fail(err)
		}
	}
	if err := rawBind(fd, addr); err != nil {
		return fail(err)
	}
	if stamped { // without the kernel's consent the loop's clock serves
		_ = rawSet(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS)
	}
	l := ls.all[int(ls.next.Add(1))%len(ls.all)]
	if err := ls.start(l); err != nil {
		return fail(err)
	}
	p := &polled{loop: l, fd: fd, v6: family == unix.AF_INET6}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fail(fmt.Errorf("media loop: %w", err))
	}
	l.conns.set(fd, p)
	return p, nil
}

// mostOpen is how many pairs of sockets may be kept open: half of the process's
// files.
func mostOpen() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return int(min(l.Cur, maxFD) / 4)
}

func as4(a netip.Addr) [4]byte {
	if a.Is4() {
		return a.As4()
	}
	return [4]byte{}
}

// lend implements socket.
func (p *polled) lend() conn {
	c := &polledConn{p: p}
	p.mu.Lock()
	p.holder = c
	p.mu.Unlock()
	return c
}

// again implements socket.
func (p *polled) again() bool { return !p.broken.Load() }

// stray implements socket.
func (p *polled) stray() time.Time {
	ns := p.strayed.Load()
	if ns == 0 {
		return time.Time{}
	}
	return began.Add(time.Duration(ns))
}

// watch implements conn. What the socket has received before is for nobody.
func (c *polledConn) watch(f func(b []byte, src netip.AddrPort, wall int64)) {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	for range maxWaiting {
		if p.closed || p.holder != c {
			return
		}
		if !rawDiscard(p.fd) {
			break
		}
	}
	c.f = f
}

// maxWaiting is more datagrams than a socket's buffer holds.
const maxWaiting = 4096

// close implements conn.
func (c *polledConn) close() {
	c.p.mu.Lock()
	if c.p.holder == c {
		c.p.holder = nil
	}
	c.p.mu.Unlock()
}

// start begins a loop if it is not running.
func (ls *loops) start(l *loop) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.running:
		return nil
	}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("media loop: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(l.epoll)
		return fmt.Errorf("media loop: %w", err)
	}
	if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.wake)}); err != nil {
		_ = unix.Close(l.epoll)
		_ = unix.Close(l.wake)
		return fmt.Errorf("media loop: %w", err)
	}
	l.running = true
	ls.wg.Go(func() { l.run(l.epoll, l.wake) })
	return nil
}

// run reads until the loop is closed.
func (l *loop) run(epoll, wake int) {
	r := newReader()
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			n = 0
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == wake {
				_ = unix.Close(epoll)
				_ = unix.Close(wake)
				return
			}
			// An event of a socket that was closed meanwhile finds nobody, or
			// whoever has its number now, and then nothing to read.
			if p := l.conns.at(int(e.Fd)); p != nil {
				p.read(r)
			}
		}
	}
}

// shut implements socket.
func (p *polled) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	l := p.loop
	l.mu.Lock()
	if l.conns.at(p.fd) == p {
		l.conns.set(p.fd, nil)
	}
	_ = unix.Close(p.fd) // takes it out of the epoll too
	l.mu.Unlock()
}

// reader is what a loop receives into.
type reader struct {
	buf  [maxPacket + 1]byte
	oob  [64]byte
	from unix.RawSockaddrAny
	iov  unix.Iovec
	msg  unix.Msghdr
}

func newReader() *reader {
	r := &reader{}
	r.iov.Base = &r.buf[0]
	r.iov.SetLen(len(r.buf))
	r.msg.Name = (*byte)(unsafe.Pointer(&r.from))
	r.msg.Iov = &r.iov
	r.msg.SetIovlen(1)
	r.msg.Control = &r.oob[0]
	return r
}

// maxErrors in a row, and a socket is read no more: it must not have its loop
// spin.
const maxErrors = 1000

// read hands on one datagram, or throws it away; epoll tells of the next.
func (p *polled) read(r *reader) {
	r.msg.Namelen = unix.SizeofSockaddrAny
	r.msg.SetControllen(len(r.oob))
	p.mu.RLock()
	if p.closed {
		p.mu.RUnlock()
		return
	}
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&r.msg)), unix.MSG_DONTWAIT)
	if errno != 0 { // nothing there after all, or an ICMP error of an earlier send
		if p.errors++; p.errors == maxErrors {
			_ = unix.EpollCtl(p.loop.epoll, unix.EPOLL_CTL_DEL, p.fd, nil)
			p.broken.Store(true)
		}
		p.mu.RUnlock()
		return
	}
	p.errors = 0
	var f func(b []byte, src netip.AddrPort, wall int64)
	if p.holder != nil {
		f = p.holder.f
	}
	p.mu.RUnlock()
	if f == nil {
		p.strayed.Store(int64(time.Since(began)))
		return
	}
	wall, _ := stampIn(r.oob[:r.msg.Controllen])
	f(r.buf[:n], r.source(), wall)
}

func (r *reader) source() netip.AddrPort {
	switch r.from.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&r.from))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(&r.from))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), port(a.Port))
	}
	return netip.AddrPort{}
}

// port turns a port from or to network byte order.
func port(p uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], p)
	return binary.BigEndian.Uint16(b[:])
}

// send implements conn.
func (c *polledConn) send(b []byte, to netip.AddrPort) error {
	if len(b) == 0 {
		return nil
	}
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed || p.holder != c {
		return ErrClosed
	}
	if !p.v6 && !to.Addr().Is4() {
		return unix.EAFNOSUPPORT
	}
	return rawSend(p.fd, b, to, p.v6)
}
