package relay

import (
	"net/netip"
	"testing"
)

// TestSwitchCaller: somebody on the other side takes the caller's place, with ports
// of that side; the far side goes on with its own.
func TestSwitchCaller(t *testing.T) {
	c := newCall(t, Options{Outbound: true})
	c.caller.say(c.s.Addr(CallerSide))
	c.far.hear()
	f, err := c.s.PrepareFarToward(true, false)
	if err != nil {
		t.Fatal(err)
	}
	if f.Addr().Addr() != c.s.Addr(FarSide).Addr() || f.Addr().Addr() == c.s.Addr(CallerSide).Addr() {
		t.Fatalf("ports toward a trunk are at %s; the trunk before has %s, the PBX %s", f.Addr(), c.s.Addr(FarSide), c.s.Addr(CallerSide))
	}
	next := newPhone(t, "127.0.0.14")
	f.SetRemote(next.addr(), next.rtcpAddr())
	if err := c.s.SwitchCaller(f); err != nil {
		t.Fatal(err)
	}
	if c.s.Addr(CallerSide) != f.Addr() {
		t.Errorf("the caller's side is at %s, not %s", c.s.Addr(CallerSide), f.Addr())
	}
	next.say(f.Addr())
	c.far.hear()
	c.far.say(c.s.Addr(FarSide))
	next.hear()
	again := newPhone(t, "127.0.0.15")
	f2, err := c.s.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	f2.SetRemote(again.addr(), netip.AddrPort{})
	if err := c.s.Switch(f2); err != nil {
		t.Fatal(err)
	}
	next.say(f.Addr())
	again.hear()
	again.say(f2.Addr())
	next.hear()
	if err := c.s.SwitchCaller(f2); err == nil {
		t.Error("the far side in use became the caller's too")
	}
	if err := c.s.SwitchCaller(f); err == nil {
		t.Error("a side that is the caller's already was taken again")
	}
}
