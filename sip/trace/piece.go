package trace

import (
	"net/netip"
	"time"
)

// Piece is one SIP message or RTP packet of a call, as captured. RTP that was
// captured ahead of the description that announces it comes once that is
// known, so pieces are not strictly in the order of time; of a stream that had
// to wait too long or grew too large meanwhile (see README.md) they are left out.
type Piece struct {
	CallID              string
	At                  time.Time // of capture
	Source, Destination netip.AddrPort
	Transport           string // of a message, "udp" or "tcp"
	RTP                 bool   // else it is a message
	// Data is valid until the function that is given the piece returns.
	Data []byte
}

// piece hands one on to who asked for them.
func (t *reader) piece(c *call, src, dst netip.AddrPort, at time.Time, transport string, b []byte) {
	if t.options.Pieces == nil {
		return
	}
	t.options.Pieces(Piece{CallID: c.id, At: at, Source: src, Destination: dst, Transport: transport, RTP: transport == "", Data: b})
}
