//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mediaAt is where a message's session description wants its audio.
func mediaAt(m []byte) netip.AddrPort {
	_, c, _ := bytes.Cut(m, []byte("c=IN IP4 "))
	c, _, _ = bytes.Cut(c, crlf)
	a, err := netip.ParseAddr(string(c))
	if err != nil {
		return netip.AddrPort{}
	}
	_, p, _ := bytes.Cut(m, []byte("m=audio "))
	p, _, _ = bytes.Cut(p, []byte(" "))
	port, err := strconv.ParseUint(string(p), 10, 16)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, uint16(port))
}

const (
	packetTime = 20 * time.Millisecond
	packetSize = 12 + 160 // RTP header and G.711
	// The end of a packet's payload says what it is: when it was sent, of which
	// call, whether it counts.
	markSize = 16
	batch    = 64
	// straggle is how long after the last packet sent one may come.
	straggle = 500 * time.Millisecond
	pause    = 2 * time.Millisecond // between looks
	warmUp   = time.Second          // of media, before anything is counted
)

// streams are the media of all calls of a load, both ways: all callers send from
// one socket, all answerers from another, which costs the tool least; the peer
// has ports for each call.
type streams struct {
	socks [2]*socket
	calls int
	to    [2][]unix.RawSockaddrInet4 // of each call
	sound [256]byte                  // what is said

	sent, received [2]int // that count
	delays         [2][]int32
	over           atomic.Bool
}

func newStreams(l *load) (*streams, error) {
	s := &streams{}
	for i := range s.sound {
		s.sound[i] = byte(i*37) ^ byte(i>>2) // something loud
	}
	for i := range l.state {
		both := l.state[i].toPeer
		if !both[0].IsValid() || !both[1].IsValid() {
			continue // a call that failed
		}
		s.calls++
		for side, to := range both {
			sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
			binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], to.Port())
			s.to[side] = append(s.to[side], sa)
		}
	}
	if s.calls == 0 {
		return nil, errors.New("no call has come about")
	}
	for side := range s.socks {
		at, port := l.caller, uint16(callerMedia)
		if side == 1 {
			at, port = l.answerer, answererMedia
		}
		sock, err := listen(netip.AddrPortFrom(at.Addr(), port))
		if err != nil {
			return nil, err
		}
		_ = unix.SetsockoptInt(sock.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20)
		s.socks[side] = sock
	}
	return s, nil
}

func (s *streams) close() {
	for _, sock := range s.socks {
		if sock != nil {
			sock.close()
		}
	}
}

// mmsghdr is recvmmsg(2)'s.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   uint32
}

// run sends for warmUp and d, and listens. counted is called when the counting
// begins and when it ends.
func (s *streams) run(d time.Duration, counted func(begin bool)) error {
	var listening sync.WaitGroup
	errs := make([]error, 3)
	for side := range s.socks {
		listening.Go(func() { errs[side] = s.listen(side) })
	}
	errs[2] = s.send(d, counted)
	time.Sleep(straggle)
	s.over.Store(true)
	listening.Wait()
	return errors.Join(errs...)
}

// send spreads the packets of all calls evenly over the packet time; what is due
// goes in one system call a side.
func (s *streams) send(d time.Duration, counted func(begin bool)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var bufs [2][batch][packetSize]byte
	var msgs [2][batch]mmsghdr
	var iovs [2][batch]unix.Iovec
	for side := range msgs {
		for i := range batch {
			iovs[side][i].Base = &bufs[side][i][0]
			iovs[side][i].SetLen(packetSize)
			msgs[side][i].hdr.Iov = &iovs[side][i]
			msgs[side][i].hdr.SetIovlen(1)
			msgs[side][i].hdr.Namelen = unix.SizeofSockaddrInet4
		}
	}
	begin := time.Now()
	counting := false
	for n := 0; ; {
		now := time.Since(begin)
		if !counting && now >= warmUp {
			counting = true
			counted(true)
		}
		if now >= warmUp+d {
			counted(false)
			return nil
		}
		due := int(now * time.Duration(s.calls) / packetTime)
		if n >= due {
			time.Sleep(min(time.Millisecond, packetTime/time.Duration(s.calls)))
			continue
		}
		k := min(due-n, batch)
		stamp := uint64(time.Now().UnixNano())
		for side := range msgs {
			for i := range k {
				call, seq := (n+i)%s.calls, (n+i)/s.calls
				b := &bufs[side][i]
				b[0], b[1] = 0x80, 0
				binary.BigEndian.PutUint16(b[2:], uint16(seq))
				binary.BigEndian.PutUint32(b[4:], uint32(160*seq))
				binary.BigEndian.PutUint32(b[8:], uint32(side+1)<<24|uint32(call))
				copy(b[12:packetSize-markSize], s.sound[seq%100:])
				mark := b[packetSize-markSize:]
				binary.BigEndian.PutUint64(mark, stamp)
				binary.BigEndian.PutUint32(mark[8:], uint32(call))
				mark[12], mark[13], mark[14], mark[15] = 0xA5, byte(side), 0, 0
				if counting {
					mark[14] = 1
				}
				msgs[side][i].hdr.Name = (*byte)(unsafe.Pointer(&s.to[side][call]))
			}
			for done := 0; done < k; {
				r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.socks[side].fd), uintptr(unsafe.Pointer(&msgs[side][done])), uintptr(k-done), 0, 0, 0)
				if errno == unix.EINTR {
					continue
				}
				if errno != 0 {
					done++ // the kernel does not take it: lost, as any may be
					continue
				}
				done += int(r)
			}
			if counting {
				s.sent[side] += k
			}
		}
		n += k
	}
}

// listen takes what the other side sent to this one. It looks for packets now and
// then instead of waiting for them, since the kernel has stamped them: to wake
// somebody up costs whoever sends as much as sending does, and would be counted
// for the peer.
func (s *streams) listen(side int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var bufs [batch][2048]byte
	var oobs [batch][64]byte
	var msgs [batch]mmsghdr
	var iovs [batch]unix.Iovec
	for i := range batch {
		iovs[i].Base = &bufs[i][0]
		iovs[i].SetLen(len(bufs[i]))
		msgs[i].hdr.Iov = &iovs[i]
		msgs[i].hdr.SetIovlen(1)
	}
	for !s.over.Load() {
		for i := range batch {
			msgs[i].hdr.Control = &oobs[i][0]
			msgs[i].hdr.SetControllen(len(oobs[i]))
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.socks[side].fd), uintptr(unsafe.Pointer(&msgs[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN {
			time.Sleep(pause)
			continue
		}
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("receiving media: %w", errno)
		}
		for i := range int(n) {
			b := bufs[i][:msgs[i].len]
			if len(b) < packetSize {
				continue // RTCP, comfort noise
			}
			mark := b[len(b)-markSize:]
			if mark[12] != 0xA5 || int(mark[13]) == side || mark[14] == 0 {
				continue
			}
			s.received[side]++
			at := stamp(oobs[i][:msgs[i].hdr.Controllen])
			s.delays[side] = append(s.delays[side], int32(min(max(at-int64(binary.BigEndian.Uint64(mark)), 0)/1000, 1<<30)))
		}
	}
	return nil
}

// delay is a quantile over both ways, microseconds.
func (s *streams) delay(q ...float64) []float64 {
	all := append(slices.Clone(s.delays[0]), s.delays[1]...)
	slices.Sort(all)
	var out []float64
	for _, q := range q {
		v := 0.0
		if len(all) > 0 {
			v = float64(all[min(int(q*float64(len(all))), len(all)-1)])
		}
		out = append(out, v)
	}
	return out
}
