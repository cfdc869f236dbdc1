//go:build linux && (amd64 || arm64)

package main

import (
	"container/heap"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Timers of RFC 3261 section 17, and when a call that goes nowhere is given up:
// a caller would long have hung up.
const (
	t1       = 500 * time.Millisecond
	t2       = 4 * time.Second
	patience = 10 * time.Second
)

// order is what a load is made of.
type order struct {
	peer, caller, answerer netip.AddrPort
	run                    int // tells this load's messages from an earlier one's
	rate                   int // calls a second
	calls                  int
	hold                   time.Duration // from the answer to the caller's BYE
	// full is called once all calls are up and before the first hangs up; only
	// with a hold that is longer than the calls take to be set up.
	full func(l *load)
}

// callState is one call as both of its ends see it. Times are ns since 1970, 0
// for what has not happened.
type callState struct {
	sent, arrived          int64 // INVITE: left the caller, reached the answerer
	ringSent, rang         int64 // 180, likewise
	answered               int64 // 200 reached the caller
	acked                  int64 // ACK reached the answerer
	byeSent, byeGot, ended int64 // BYE left the caller, reached the answerer; its 200 reached the caller

	toPeer [2]netip.AddrPort // where the caller's media and the answerer's go, by what they were told

	refused int // the final status, when it is not 200
	over    bool

	contact, routes, to []byte // the caller's dialog
	ok                  []byte // the answerer's 200, to be sent again until the ACK
	okTo                unix.Sockaddr
}

// load is one load under way: caller and answerer on one thread, so that
// neither waits for the other and all times are of one clock.
type load struct {
	order
	peerAddr unix.Sockaddr
	uac, uas *socket
	state    []callState
	offer    []byte
	answer   []byte
	out      []byte // scratch

	begun   int // calls whose INVITE was sent
	left    int // calls not over
	timers  timers
	holding int // the next call to be hung up
	isFull  bool

	resent, repeated, reordered int
}

// timer is something to do about a call that is not there yet.
type timer struct {
	at   int64
	call int
	what func(l *load, call int) bool // sends again; false when it need not
	next time.Duration
}

type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}

// place runs a load to its end.
func place(o order) (*load, error) {
	l := &load{order: o, peerAddr: sockaddr(o.peer), state: make([]callState, o.calls), left: o.calls,
		offer: description(o.caller, callerMedia), answer: description(o.answerer, answererMedia)}
	var err error
	if l.uac, err = listen(o.caller); err != nil {
		return nil, err
	}
	defer l.uac.close()
	if l.uas, err = listen(o.answerer); err != nil {
		return nil, err
	}
	defer l.uas.close()
	begin := time.Now()
	// Whatever happens, the load ends.
	latest := begin.Add(time.Duration(o.calls)*time.Second/time.Duration(o.rate)*2 + o.hold + 3*patience)
	for l.left > 0 {
		now := time.Now()
		if now.After(latest) {
			return nil, errors.New("the load did not end in time")
		}
		due := begin.Add(time.Duration(l.begun) * time.Second / time.Duration(o.rate))
		if l.begun < o.calls && !now.Before(due) {
			l.invite(l.begun)
			l.begun++
		}
		l.turn(now)
		latest = latest.Add(time.Since(now)) // with all calls up, media may go to and fro for as long as was asked
		if err := l.rest(due, now); err != nil {
			return nil, err
		}
		// A few at a time: the next INVITE must not wait for a queue.
		l.drain(16)
	}
	// Stragglers count too: repeats, and what was overtaken.
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		if err := wait(time.Millisecond, l.uac, l.uas); err != nil {
			return nil, err
		}
		l.drain(64)
	}
	return l, nil
}

// rest waits for packets, or for the next thing to do.
func (l *load) rest(due, now time.Time) error {
	d := 10 * time.Millisecond
	if l.begun < l.calls {
		d = min(d, due.Sub(now))
	}
	if len(l.timers) > 0 {
		d = min(d, time.Duration(l.timers[0].at-now.UnixNano()))
	}
	return wait(d, l.uac, l.uas)
}

func (l *load) drain(most int) {
	for range most {
		m, _, at, ok := l.uac.receive()
		if !ok {
			break
		}
		l.atCaller(m, at)
	}
	for range most {
		m, from, at, ok := l.uas.receive()
		if !ok {
			break
		}
		l.atAnswerer(m, from, at)
	}
}

// turn does what is due: repeats, and the hanging up of held calls.
func (l *load) turn(now time.Time) {
	ns := now.UnixNano()
	for len(l.timers) > 0 && l.timers[0].at <= ns {
		t := heap.Pop(&l.timers).(timer)
		if c := &l.state[t.call]; c.over || !t.what(l, t.call) {
			continue
		} else if since := max(c.sent, c.byeSent); ns-since > int64(patience) {
			l.finish(t.call)
			continue
		}
		l.resent++
		t.next = min(2*t.next, t2)
		t.at = ns + int64(t.next)
		heap.Push(&l.timers, t)
	}
	if l.hold == 0 {
		return // each hangs up as soon as it is answered
	}
	for l.holding < l.begun {
		c := &l.state[l.holding]
		switch {
		case c.over:
		case c.answered == 0 && ns-c.sent < int64(patience), c.answered != 0 && ns-c.answered < int64(l.hold):
			return
		case c.answered != 0:
			if l.full != nil && !l.isFull && l.begun == l.calls {
				l.isFull = true
				l.full(l)
			}
			l.bye(l.holding)
		}
		l.holding++
	}
}

func (l *load) again(call int, what func(*load, int) bool) {
	heap.Push(&l.timers, timer{at: time.Now().UnixNano() + int64(t1), call: call, what: what, next: t1})
}

// finish takes a call off the list, whether it went well or not.
func (l *load) finish(call int) {
	if c := &l.state[call]; !c.over {
		c.over = true
		l.left--
	}
}

// well says whether a call went through all its steps. The 180 may be lost.
func (c *callState) well() bool {
	return c.arrived != 0 && c.answered != 0 && c.acked != 0 && c.byeGot != 0 && c.ended != 0
}

// failures counts the calls that did not, by what became of them.
func (l *load) failures() map[string]int {
	why := map[string]int{}
	for i := range l.state {
		switch c := &l.state[i]; {
		case c.refused != 0:
			why[fmt.Sprint("refused with ", c.refused)]++
		case c.well():
		case c.arrived == 0:
			why["the INVITE never arrived"]++
		case c.answered == 0:
			why["no answer"]++
		case c.byeGot == 0:
			why["the BYE never arrived"]++
		case c.acked == 0:
			why["no ACK"]++
		default:
			why["no answer to the BYE"]++
		}
	}
	return why
}
