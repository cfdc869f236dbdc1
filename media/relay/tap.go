package relay

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// Tap is a copy of the RTP packets of one side, on its way from the packet loop
// to the analysis: a bounded ring of bytes with one writer and one reader, and no
// lock. What does not fit is dropped and counted; the packet loop never waits.
type Tap struct {
	size    uint64 // of the ring, bytes
	ring    []byte // made with the first packet; read only after head has moved
	start   time.Time
	ready   chan struct{}
	dropped atomic.Uint64

	_    [64]byte      // the writer's and the reader's counters on cache lines of their own
	head atomic.Uint64 // bytes ever written
	_    [64]byte
	tail atomic.Uint64 // bytes ever read
}

// A record is its packet's length (4 bytes), its arrival (8) and the packet, and
// wraps around the end of the ring.
const tapHeader = 12

func newTap(size int, start time.Time) *Tap {
	return &Tap{size: uint64(size), start: start, ready: make(chan struct{}, 1)}
}

// put copies a packet that arrived at ns after the tap's start.
func (t *Tap) put(b []byte, at int64) {
	head, tail := t.head.Load(), t.tail.Load()
	if t.size-(head-tail) < uint64(tapHeader+len(b)) {
		t.dropped.Add(1)
		return
	}
	if t.ring == nil { // many calls end before anybody speaks
		t.ring = make([]byte, t.size)
	}
	var h [tapHeader]byte
	binary.LittleEndian.PutUint32(h[:], uint32(len(b)))
	binary.LittleEndian.PutUint64(h[4:], uint64(at))
	t.copyIn(head, h[:])
	t.copyIn(head+tapHeader, b)
	t.head.Store(head + tapHeader + uint64(len(b)))
	// Whoever found the ring empty must be woken. The reader stores its tail
	// before it looks at the head again, so one of both sees the other.
	if t.tail.Load() == head {
		select {
		case t.ready <- struct{}{}:
		default:
		}
	}
}

// Next is the oldest packet that was not read yet, copied into buf, and its
// arrival; ok is false when there is none. A packet longer than buf is cut to
// it; 2048 bytes hold every packet that is relayed. Only one goroutine at a time
// may call it.
func (t *Tap) Next(buf []byte) (packet []byte, at time.Time, ok bool) {
	tail := t.tail.Load()
	if tail == t.head.Load() {
		return nil, time.Time{}, false
	}
	var h [tapHeader]byte
	t.copyOut(h[:], tail)
	n := uint64(binary.LittleEndian.Uint32(h[:]))
	ns := int64(binary.LittleEndian.Uint64(h[4:]))
	packet = buf[:min(n, uint64(len(buf)))]
	t.copyOut(packet, tail+tapHeader)
	t.tail.Store(tail + tapHeader + n)
	return packet, t.start.Add(time.Duration(ns)), true
}

// Empty says whether every packet was read.
func (t *Tap) Empty() bool { return t.tail.Load() == t.head.Load() }

// Ready receives after a packet came into an empty ring; read with Next until
// there is none, then wait again. It is never closed.
func (t *Tap) Ready() <-chan struct{} { return t.ready }

// Dropped is how many packets did not fit.
func (t *Tap) Dropped() uint64 { return t.dropped.Load() }

func (t *Tap) copyIn(at uint64, b []byte) {
	i := int(at % uint64(len(t.ring)))
	n := copy(t.ring[i:], b)
	copy(t.ring, b[n:])
}

func (t *Tap) copyOut(b []byte, at uint64) {
	i := int(at % uint64(len(t.ring)))
	n := copy(b, t.ring[i:])
	copy(b[n:], t.ring)
}
