package door

import "sync"

// maxMail bounds what may wait for a call. A peer that sends more is flooding
// its own dialog.
const maxMail = 2048

// mailbox hands events to a call's goroutine in order. Posting never blocks:
// sipgo's callbacks run under its locks, and a call that waited for one of them
// while it waited for the call would stand still for ever.
type mailbox struct {
	mu     sync.Mutex
	events []func()
	closed bool
	signal chan struct{}
}

func newMailbox() *mailbox { return &mailbox{signal: make(chan struct{}, 1)} }

// post adds an event; it returns false when the call has ended or its mailbox
// is full, and the event will never run.
func (m *mailbox) post(f func()) bool {
	m.mu.Lock()
	if m.closed || len(m.events) >= maxMail {
		m.mu.Unlock()
		return false
	}
	m.events = append(m.events, f)
	m.mu.Unlock()
	select {
	case m.signal <- struct{}{}:
	default:
	}
	return true
}

// take returns all waiting events, in order.
func (m *mailbox) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	ev := m.events
	m.events = nil
	return ev
}

// close refuses further events and returns those that never ran.
func (m *mailbox) close() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	ev := m.events
	m.events = nil
	return ev
}
