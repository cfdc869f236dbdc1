package transaction

import (
	"sync"
	"time"
)

// endings are the transactions that wait for nothing but their last timer (D, I,
// J, K, L, M), looked after together: nobody minds if one is kept a moment
// longer, and a timer of its own would wake the process for each.
type endings struct {
	every time.Duration // how often they are looked at

	mu     sync.Mutex
	queues []ending // one a duration: what begins to wait later ends later
	ticks  bool
	closed bool
}

type ending struct {
	after   time.Duration
	waiting []waiting
	head    int // of waiting; what is before has ended
}

type waiting struct {
	until time.Time
	t     interface{ expired(now time.Time) }
}

// endingsFor looks often enough for the timers to be what they say, half a round
// trip more or less.
func endingsFor(t Timers) *endings {
	return &endings{every: max(t.T1/2, time.Millisecond)}
}

// add has t told that so long has passed, and returns when that will be.
func (e *endings) add(after time.Duration, t interface{ expired(now time.Time) }) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	until := time.Now().Add(after)
	if e.closed {
		return until
	}
	q := e.queue(after)
	q.waiting = append(q.waiting, waiting{until, t})
	if !e.ticks {
		e.ticks = true
		time.AfterFunc(e.every, e.tick)
	}
	return until
}

func (e *endings) queue(after time.Duration) *ending {
	for i := range e.queues {
		if e.queues[i].after == after {
			return &e.queues[i]
		}
	}
	e.queues = append(e.queues, ending{after: after})
	return &e.queues[len(e.queues)-1]
}

func (e *endings) tick() {
	now := time.Now()
	var over []waiting
	e.mu.Lock()
	e.ticks = false
	for i := range e.queues {
		q := &e.queues[i]
		for q.head < len(q.waiting) && !q.waiting[q.head].until.After(now) {
			over = append(over, q.waiting[q.head])
			q.waiting[q.head] = waiting{}
			q.head++
		}
		switch {
		case q.head == len(q.waiting): // a burst's room is not kept
			q.waiting, q.head = nil, 0
		case q.head > len(q.waiting)/2:
			n := copy(q.waiting, q.waiting[q.head:])
			clear(q.waiting[n:])
			q.waiting, q.head = q.waiting[:n], 0
		}
		e.ticks = e.ticks || len(q.waiting) > q.head
	}
	if e.ticks {
		time.AfterFunc(e.every, e.tick)
	}
	e.mu.Unlock()
	for _, w := range over {
		w.t.expired(now)
	}
}

// close forgets everything.
func (e *endings) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.queues = nil
}
