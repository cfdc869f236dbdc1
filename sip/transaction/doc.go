// Package transaction is the transaction layer of SIP (RFC 3261 section 17, as
// corrected by RFC 6026 and RFC 4320): retransmissions, their absorption, and
// time-outs. It works with the messages of sipgo and the flows of
// sip/transport.
//
// A transaction is a small state machine with one timer and no goroutine.
// Events come from the readers of the transport and from timers; users are
// called on the goroutine that brought the event, one event of a transaction
// after another, and must not block. What a finished transaction keeps until
// its last timer is a key and the bytes that it may have to send again.
//
// It refuses to know of dialogs: which response belongs to which fork, and what
// a CANCEL does to a call, is its user's business.
package transaction

import (
	"errors"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/transport"
)

// Timers are RFC 3261 section 17's basic times; all others follow from them.
type Timers struct {
	T1 time.Duration // round-trip time estimate
	T2 time.Duration // most between retransmissions
	T4 time.Duration // most that a message stays in the network
	D  time.Duration // how long a refused INVITE waits for repeats, unreliable transports
}

// DefaultTimers are those of RFC 3261 table 4.
func DefaultTimers() Timers {
	return Timers{T1: 500 * time.Millisecond, T2: 4 * time.Second, T4: 5 * time.Second, D: 32 * time.Second}
}

// Timeout is 64*T1: timers B, F, H, J, L and M.
func (t Timers) Timeout() time.Duration { return 64 * t.T1 }

// User gets what belongs to no transaction yet.
type User interface {
	// Request is called with each new request and its transaction, and with each
	// ACK for a 2xx, whose tx is nil (it is a transaction of its own).
	Request(in Incoming, tx *Server)
	// Stray is called with a response that belongs to no transaction.
	Stray(res *sipmsg.Response, flow transport.Flow)
}

// Incoming is a request as it came.
type Incoming struct {
	Req *sipmsg.Request
	// Raw are its bytes, good until Request returns.
	Raw  []byte
	Flow transport.Flow
	At   time.Time
}

// Errors of transactions.
var (
	// ErrTimeout: no final response came in time (timers B and F).
	ErrTimeout = errors.New("transaction: no response")
	// ErrTransport: the request could not be sent.
	ErrTransport = errors.New("transaction: cannot send")
	// ErrEnded: the transaction had its final response before, or the layer is closed.
	ErrEnded = errors.New("transaction: it has ended")
)
