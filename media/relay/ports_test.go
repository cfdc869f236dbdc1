package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPorts(t *testing.T) {
	p := newPorts(netip.MustParseAddr("127.0.0.3"), Ports{Min: 21001, Max: 21008, Rest: time.Minute}, 0, &plainSockets{})
	if p.first != 21002 || p.pairs != 3 {
		t.Fatalf("first %d, %d pairs", p.first, p.pairs)
	}
	// Another program holds one of the six ports, and so one of the pairs.
	busy, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 3), Port: 21005})
	if err != nil {
		t.Skipf("port 21005 of 127.0.0.3: %v", err)
	}
	defer busy.Close()
	now := time.Now()
	take := func() pair {
		t.Helper()
		got, err := p.take(now)
		if err != nil {
			t.Fatal(err)
		}
		rtp, rtcp := local(got.rtp.(*plain).c).Port(), local(got.rtcp.(*plain).c).Port()
		if int(rtp) != got.port || rtp%2 != 0 || rtcp != rtp+1 {
			t.Fatalf("pair %d and %d", rtp, rtcp)
		}
		return got
	}
	drop := func(got pair) {
		got.rtp.close()
		got.rtcp.close()
		p.release(got, now)
	}
	a, b := take(), take()
	if a.port+b.port != 21002+21006 {
		t.Errorf("took %d and %d", a.port, b.port)
	}
	_, err = p.take(now)
	if !errors.Is(err, ErrNoPorts) {
		t.Fatalf("a third pair: %v", err)
	}
	for _, want := range []string{"127.0.0.3", "21002", "21007", "2 pairs in use", "1 held by other programs", "widen ports"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
	if used, kept := p.load(); used != 2 || kept != 0 {
		t.Errorf("%d in use, %d kept", used, kept)
	}
	// A pair that rests is taken only when there is no other, the longest-resting first.
	drop(a)
	now = now.Add(time.Second)
	drop(b)
	c := take()
	defer drop(c)
	if c.port != a.port {
		t.Errorf("took %d, which rested for less than %d", c.port, a.port)
	}
	d := take()
	defer drop(d)
	if d.port != b.port {
		t.Errorf("took %d, not %d, which alone was left", d.port, b.port)
	}
}

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"defaults lack the address", func(c *Config) { c.CallerAddress = "" }, []string{"caller_address is missing"}},
		{"good", func(c *Config) {}, nil},
		{"wildcard with an advertised address", func(c *Config) { c.CallerAddress, c.CallerAdvertise = "0.0.0.0", "192.0.2.1" }, nil},
		{"IPv6", func(c *Config) { c.CallerAddress, c.FarAddress = "2001:db8::1", "" }, nil},
		{"everything wrong", func(c *Config) {
			*c = Config{CallerAddress: "pbx.example", FarAddress: "0.0.0.0", CallerAdvertise: "x", Latch: "yes", TapBytes: 1}
		}, []string{"caller_address is \"pbx.example\"", "far_address is 0.0.0.0", "ports.min is 0", "ports.max is 0", "timeout.initial is 0s", "timeout.running is 0s", "latch is \"yes\"", "latch_packets is 0", "tap_bytes is 1"}},
		{"mixed versions", func(c *Config) { c.CallerAdvertise = "2001:db8::1" }, []string{"caller_advertise is 2001:db8::1, not of the same IP version"}},
		{"advertised wildcard", func(c *Config) { c.FarAdvertise = "::" }, []string{"far_advertise is ::, which no peer"}},
		{"two versions", func(c *Config) { c.CallerAddress6, c.CallerAdvertise6 = "fd00::1", "2001:db8::1" }, nil},
		{"IPv6 twice", func(c *Config) { c.CallerAddress, c.CallerAddress6 = "fd00::1", "fd00::2" }, []string{"caller_address6 is fd00::2, but caller_address is fd00::1"}},
		{"no IPv6", func(c *Config) { c.FarAddress6 = "192.0.2.1" }, []string{"far_address6 is \"192.0.2.1\": an IPv6"}},
		{"advertised, not there", func(c *Config) { c.FarAdvertise6 = "2001:db8::1" }, []string{"far_advertise6 is 2001:db8::1, but there is no far_address6"}},
		{"advertised version", func(c *Config) { c.CallerAddress6, c.CallerAdvertise6 = "fd00::1", "192.0.2.1" }, []string{"caller_advertise6 is 192.0.2.1, not of the same"}},
		{"too few ports", func(c *Config) { c.Ports = Ports{Min: 20001, Max: 20004} }, []string{"ports.max leaves 1 pairs"}},
		{"port too high", func(c *Config) { c.Ports.Max = 70000 }, []string{"ports.max is 70000"}},
		{"rest too long", func(c *Config) { c.Ports.Rest = time.Hour }, []string{"ports.rest is 1h0m0s: allowed are 0s to 10m0s"}},
	} {
		cfg := config()
		c.change(&cfg)
		var got []string
		cfg.Check(func(path, format string, args ...any) { got = append(got, path+" "+fmt.Sprintf(format, args...)) })
		if len(got) != len(c.want) {
			t.Errorf("%s: faults %q, want %q", c.name, got, c.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s: fault %q, want %q", c.name, got[i], c.want[i])
			}
		}
		if _, err := New(cfg, nil); (err != nil) != (len(got) > 0) {
			t.Errorf("%s: New says %v", c.name, err)
		}
	}
}

func TestFacing(t *testing.T) {
	for _, c := range []struct{ caller, far, callerAdv, farAdv, wantCaller, wantFar string }{
		{"10.0.0.1", "", "", "", "10.0.0.1/10.0.0.1", "10.0.0.1/10.0.0.1"},
		{"10.0.0.1", "10.0.0.2", "", "", "10.0.0.1/10.0.0.1", "10.0.0.2/10.0.0.2"},
		{"10.0.0.1", "10.0.0.2", "192.0.2.1", "", "10.0.0.1/192.0.2.1", "10.0.0.2/10.0.0.2"},
		{"10.0.0.1", "", "192.0.2.1", "", "10.0.0.1/192.0.2.1", "10.0.0.1/192.0.2.1"},
		{"10.0.0.1", "", "192.0.2.1", "10.0.0.1", "10.0.0.1/192.0.2.1", "10.0.0.1/10.0.0.1"},
	} {
		cfg := Config{CallerAddress: c.caller, FarAddress: c.far, CallerAdvertise: c.callerAdv, FarAdvertise: c.farAdv}
		for side, want := range []string{c.wantCaller, c.wantFar} {
			bind, adv, err := cfg.facing(Side(side))
			if got := bind.String() + "/" + adv.String(); err != nil || got != want {
				t.Errorf("%+v: %s side %s, %v, want %s", c, Side(side), got, err, want)
			}
		}
	}
}
