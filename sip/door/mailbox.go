package door

import "sync"

// maxMail bounds what may wait for a call. A peer that sends more is flooding
// its own dialog.
const maxMail = 2048

// mailbox keeps a call's events in order, and one goroutine at a time at them.
// Before the call has begun that is nobody: events wait.
type mailbox struct {
	mu     sync.Mutex
	events []event
	begun  bool
	busy   bool // somebody is at the events
	closed bool
}

// event is what the call does; late is run instead, by whoever finds out, if the
// call ended before.
type event struct{ run, late func() }

// add adds an event. It is not taken when the call has ended or its mailbox is
// full; mine says that nobody is at the events, and that the caller has to be.
func (m *mailbox) add(e event) (taken, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || len(m.events) >= maxMail {
		return false, false
	}
	m.events = append(m.events, e)
	mine = m.begun && !m.busy
	m.busy = m.begun
	return true, mine
}

// begin puts the first event before those that wait; the caller has to be at them.
func (m *mailbox) begin(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun, m.busy = true, true
	m.events = append([]event{{run: f}}, m.events...)
}

// take returns all waiting events, in order; into is used for them. With none
// left, whoever asks is no longer at them.
func (m *mailbox) take(into []event) []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	ev := m.events
	m.events = into[:0]
	m.busy = len(ev) > 0
	return ev
}

// close refuses further events and returns those that never ran.
func (m *mailbox) close() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	ev := m.events
	m.events = nil
	return ev
}
