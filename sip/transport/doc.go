// Package transport carries SIP messages: datagrams over UDP, and streams over
// TCP, TLS and WebSocket (RFC 3261 section 18, RFC 7118). It cuts streams into
// messages, answers keep-alives (RFC 5626 section 4.4.1), keeps connections for
// reuse and bounds what a slow, silent or greedy peer may hold.
//
// Messages are bytes here; it refuses to parse them, and to know of
// transactions. What it receives it hands to one function, in the order of
// arrival of each peer.
package transport

import (
	"errors"
	"net/netip"
	"time"
)

// The transports, as a Via names them.
const (
	UDP = "UDP"
	TCP = "TCP"
	TLS = "TLS"
	WS  = "WS"
	WSS = "WSS"
)

// Reliable says whether a transport delivers by itself (RFC 3261 section 17).
func Reliable(transport string) bool { return transport != UDP }

// IsWebSocket says whether a transport is WS or WSS: its peers connect, and cannot
// be connected to.
func IsWebSocket(transport string) bool { return transport == WS || transport == WSS }

// Secure says whether a transport is TLS or on top of it, as a sips URI wants of
// every hop (RFC 5630 section 3.1.1).
func Secure(transport string) bool { return transport == TLS || transport == WSS }

// Flow is where a message came from, and the way back to its sender.
type Flow struct {
	Transport string
	Local     netip.AddrPort // the door's socket
	Remote    netip.AddrPort
	conn      *stream // of a stream transport
	socket    *socket // of UDP
}

// Connection tells the connection of a flow from every other, also from a later
// one of the same address and port: behind a reverse proxy on this machine that
// may be somebody else's. 0: there is none.
func (f Flow) Connection() uint64 {
	if f.conn == nil {
		return 0
	}
	return f.conn.id
}

// Received is one message as it came.
type Received struct {
	Flow Flow
	// Data is the message. It is the reader's buffer: whoever keeps it copies it.
	Data []byte
	// At is when it arrived: by the kernel's clock where that is to be had.
	At time.Time
}

// Target is where a request is to be sent.
type Target struct {
	Transport string
	Addr      netip.AddrPort
	// Local is the listener to send from, for UDP; the zero value is any of the
	// address family.
	Local netip.AddrPort
	// Connection is the one it must go by, see Flow.Connection; 0: any to Addr.
	Connection uint64
	// Name is what the certificate of a TLS peer must be for; empty leaves it to
	// ClientTLS, or takes the address.
	Name string
}

// Handler gets what arrives. Its methods run on readers' goroutines and must
// not block.
type Handler interface {
	// Admit says whether a peer may connect at all, before a byte of its is read.
	Admit(transport string, local, remote netip.AddrPort) bool
	Receive(Received)
	// Refused counts what this package itself turns away, by reason.
	Refused(reason string)
}

// Tap sees every message in and out, as a mirror does. It must not block, and
// must copy what it keeps.
type Tap func(in bool, f Flow, data []byte, at time.Time)

// Errors of sending.
var (
	ErrNoSocket = errors.New("transport: no listener of that transport and address family")
	ErrNoRoute  = errors.New("transport: not connected")
	ErrSlow     = errors.New("transport: the peer does not take what it is sent")
	ErrClosed   = errors.New("transport: closed")
)
