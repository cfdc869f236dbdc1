package door

import (
	"net/netip"
	"testing"
)

// A token leads where it was made for, and no other text leads anywhere.
func TestFlowToken(t *testing.T) {
	d := &Door{flowSign: Config{FlowSecret: "a"}.flowKey(), trunks: []trunk{{Trunk: Trunk{Name: "phones"},
		nets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}}}
	for _, f := range []flow{
		{"UDP", netip.MustParseAddrPort("192.0.2.1:5060"), 0},
		{"TCP", netip.MustParseAddrPort("[2001:db8::1]:49152"), 1<<63 + 5},
		{"TLS", netip.MustParseAddrPort("192.0.2.1:49152"), 7},
	} {
		token := d.token(f)
		if got, trunk, ok := d.flowOf(token); !ok || got != f || trunk.Name != "phones" {
			t.Errorf("the token of %v leads to %v of trunk %q, %v", f, got, trunk.Name, ok)
		}
		for i := range token {
			for _, c := range []byte("ABz09-_") {
				forged := token[:i] + string(c) + token[i+1:]
				if _, _, ok := d.flowOf(forged); ok && forged != token {
					t.Errorf("%s is taken for %s", forged, token)
				}
			}
		}
		other := &Door{flowSign: Config{FlowSecret: "b"}.flowKey(), trunks: d.trunks}
		if _, _, ok := other.flowOf(token); ok {
			t.Error("a door with another secret takes the token")
		}
	}
	if _, _, ok := d.flowOf(d.token(flow{"UDP", netip.MustParseAddrPort("203.0.113.1:5060"), 0})); ok {
		t.Error("a token leads to an address that is no trunk's any more")
	}
	for _, s := range []string{"", "x", "alice", "AAAA"} {
		if _, _, ok := d.flowOf(s); ok {
			t.Errorf("%q is taken for a token", s)
		}
	}
}
