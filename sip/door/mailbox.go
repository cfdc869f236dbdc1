package door

import "sync"

// maxMail bounds what may wait for a call. A peer that sends more is flooding
// its own dialog.
const maxMail = 2048

// mailbox hands events to a call's goroutine in order. Posting never blocks:
// events come from the readers of the network.
type mailbox struct {
	mu     sync.Mutex
	events []event
	closed bool
	signal chan struct{}
}

// event is what the call's goroutine runs; late is run instead, by whoever finds
// out, if the call ended before.
type event struct{ run, late func() }

func newMailbox() *mailbox { return &mailbox{signal: make(chan struct{}, 1)} }

// post adds an event; it returns false when the call has ended or its mailbox
// is full, and the event will never run.
func (m *mailbox) post(f func()) bool { return m.add(event{run: f}) }

// postOr adds an event and has late run if the event never will.
func (m *mailbox) postOr(f, late func()) {
	if !m.add(event{f, late}) {
		late()
	}
}

func (m *mailbox) add(e event) bool {
	m.mu.Lock()
	if m.closed || len(m.events) >= maxMail {
		m.mu.Unlock()
		return false
	}
	m.events = append(m.events, e)
	m.mu.Unlock()
	select {
	case m.signal <- struct{}{}:
	default:
	}
	return true
}

// take returns all waiting events, in order. into is used for them.
func (m *mailbox) take(into []event) []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	ev := m.events
	m.events = into[:0]
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
