package trace

import (
	"bytes"
	"testing"
	"time"
)

// Every message and packet of a call is handed on, with its bytes, also the RTP that was captured ahead of the answer that announces it.
func TestPieces(t *testing.T) {
	f := newFilm(t)
	s := newScript(f, "pieces@192.0.2.1")
	s.aSDP = "" // nobody announced what alice sends until bob answers
	s.say("INVITE", "180")
	f.rtp(aRTP, bRTP, 9, 0, 1, 12)
	s.say("200+sdp", "ACK").wait(time.Second)
	f.rtp(aRTP, bRTP, 9, 0, 13, 3)
	s.say("!BYE", "200")

	var from, to, rtp []string
	_, err := Read(bytes.NewReader(f.buf.Bytes()), Options{Pieces: func(p Piece) {
		if p.CallID != "pieces@192.0.2.1" {
			t.Errorf("a piece of %q", p.CallID)
		}
		switch {
		case p.RTP && p.Source == aRTP && p.Destination == bRTP:
			rtp = append(rtp, string(p.Data))
		case !p.RTP && p.Source == alice:
			from = append(from, string(bytes.Fields(p.Data)[0]))
		case !p.RTP && p.Source == bob:
			to = append(to, string(bytes.Fields(p.Data)[0]))
		default:
			t.Errorf("%+v", p)
		}
	}}, func(*Call) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(from) != 3 || len(to) != 3 || from[0] != "INVITE" || len(rtp) != 15 {
		t.Fatalf("from the caller %q, to it %q, %d packets", from, to, len(rtp))
	}
	for i, b := range rtp {
		if want := string(rtpPacket(9, 0, uint16(1+i), uint32(160*(1+i)))); b != want {
			t.Errorf("packet %d is % x", i, b[:12])
		}
	}
}
