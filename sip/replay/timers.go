package replay

import (
	"container/heap"
	"time"
)

// timers are what a call has to do later, in order of time.
type timers struct{ queue timerQueue }

type timer struct {
	at   time.Time
	do   func()
	dead bool
}

func (t *timer) stop() {
	if t != nil {
		t.dead = true
	}
}

func (t *timers) at(when time.Time, do func()) *timer {
	one := &timer{at: when, do: do}
	heap.Push(&t.queue, one)
	return one
}

// next is when the first is due; false: there is none.
func (t *timers) next() (time.Time, bool) {
	for len(t.queue) > 0 && t.queue[0].dead {
		heap.Pop(&t.queue)
	}
	if len(t.queue) == 0 {
		return time.Time{}, false
	}
	return t.queue[0].at, true
}

// run does what is due.
func (t *timers) run(now time.Time) {
	for {
		at, ok := t.next()
		if !ok || at.After(now) {
			return
		}
		one := heap.Pop(&t.queue).(*timer)
		one.dead = true
		one.do()
	}
}

type timerQueue []*timer

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q timerQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *timerQueue) Push(x any)        { *q = append(*q, x.(*timer)) }
func (q *timerQueue) Pop() any {
	old := *q
	one := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return one
}
