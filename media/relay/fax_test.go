package relay

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// A gateway behind NAT switches to fax at another port: its UDPTL is learnt like
// RTP, but from no host that has not spoken before.
func TestFaxFromBehindNAT(t *testing.T) {
	const (
		fax      = "198.51.100.7:2001"
		stranger = "203.0.113.66:6666"
	)
	for _, c := range []struct {
		name  string
		mode  string
		steps []step // seq is UDPTL's
	}{
		{"learnt after three", LatchAny, []step{{src: fax, seq: 0, want: "k"}, {src: fax, seq: 1, want: "k"}, {src: fax, seq: 2, want: "l2"}, {src: fax, seq: 3, want: "p"}}},
		{"a repeat neither counts nor harms", LatchAny, []step{{src: fax, seq: 0, want: "k"}, {src: fax, seq: 0, want: "r"}, {src: fax, seq: 1, want: "k"}, {src: fax, seq: 2, want: "l2"}}},
		{"keep-alives are never learnt", LatchAny, []step{{src: fax, seq: 1, want: "k"}, {src: fax, seq: 1, want: "r"}, {src: fax, seq: 1, want: "r"}, {src: fax, seq: 1, want: "r"}}},
		{"a jump begins anew", LatchAny, []step{{src: fax, seq: 0, want: "k"}, {src: fax, seq: 1, want: "k"}, {src: fax, seq: 900, want: "k"}, {src: fax, seq: 901, want: "k"}, {src: fax, seq: 902, want: "l2"}}},
		{"a host that never spoke", LatchAny, []step{{src: stranger, seq: 0, want: "r"}, {src: stranger, seq: 1, want: "r"}, {src: stranger, seq: 2, want: "r"}}},
		{"none once learnt", LatchAny, []step{{src: fax, seq: 0, want: "k"}, {src: fax, seq: 1, want: "k"}, {src: fax, seq: 2, want: "l2"}, {src: nat2, seq: 3, want: "r"}}},
		{"mode address", LatchAddress, []step{{src: fax, seq: 0, want: "r"}, {src: fax, seq: 1, want: "r"}}},
	} {
		l := newLatch(c.mode, 3)
		l.aim(netip.MustParseAddrPort(sdpSrc), 0)
		for i := range 3 {
			try(&l, step{src: nat, ssrc: 1, seq: uint16(i)}, 0)
		}
		l.aim(netip.MustParseAddrPort("192.0.2.1:4100"), int64(time.Second))
		for i, s := range c.steps {
			b := make([]byte, 20)
			binary.BigEndian.PutUint16(b, s.seq)
			verdict, cand := l.admit(b, nil, netip.MustParseAddrPort(s.src), int64(time.Second)+int64(i)*int64(30*time.Millisecond))
			got := map[admission]string{refuse: "r", pass: "p", keep: "k", latched: "l2"}[verdict]
			if verdict == latched && cand.kept != 2 {
				t.Errorf("%s: %d packets were kept", c.name, cand.kept)
			}
			if got != s.want {
				t.Errorf("%s, packet %d: %s, want %s", c.name, i+1, got, s.want)
				break
			}
		}
	}
}
