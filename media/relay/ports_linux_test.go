//go:build amd64 || arm64

package relay

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// keeper is ports whose pairs stay open, from a range of n.
func keeper(t *testing.T, n, most int, rest time.Duration) *ports {
	t.Helper()
	with := newLoops()
	p := newPorts(netip.MustParseAddr("127.0.0.6"), Ports{Min: 24000, Max: 24000 + 2*n - 1, Rest: rest}, most, with)
	t.Cleanup(func() {
		p.close()
		with.close()
	})
	return p
}

func give(p *ports, got pair, now time.Time) {
	got.rtp.close()
	got.rtcp.close()
	p.release(got, now)
}

// What was sent to a call before it ended, and is still on its way through the
// socket, does not reach the next call on the same ports; nor can the old call
// send by them.
func TestPortsForgetTheCallBefore(t *testing.T) {
	p := keeper(t, 1, 1000, 0)
	out, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 6)})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var before pair
	for call := range byte(200) {
		got, err := p.take(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan byte, 64)
		hear := func(b []byte, _ netip.AddrPort, _ int64) { heard <- b[0] }
		got.rtp.watch(hear)
		got.rtcp.watch(hear)
		if before.rtp != nil {
			if err := before.rtp.send([]byte{1}, local(out)); !errors.Is(err, ErrClosed) {
				t.Fatalf("the call before sends: %v", err)
			}
		}
		rtp := netip.AddrPortFrom(p.addr, uint16(got.port))
		send(t, out, []byte{call}, rtp)
		send(t, out, []byte{call}, beside(rtp))
		for range 2 {
			if b := <-heard; b != call {
				t.Fatalf("call %d hears what was sent to call %d", call, b)
			}
		}
		for range 10 {
			send(t, out, []byte{call}, rtp)
			send(t, out, []byte{call}, beside(rtp))
		}
		give(p, got, time.Now())
		before = got
	}
}

// A port that somebody still sends to is not for the next call.
func TestPortsStrays(t *testing.T) {
	const rest = time.Hour
	p := keeper(t, 2, 1000, rest)
	now := time.Now()
	out := newPhone(t, "127.0.0.6")
	for name, to := range map[string]func(netip.AddrPort) netip.AddrPort{
		"RTP": func(a netip.AddrPort) netip.AddrPort { return a }, "RTCP": beside,
	} {
		got, err := p.take(now)
		if err != nil {
			t.Fatal(err)
		}
		give(p, got, now.Add(-rest))
		out.say(to(netip.AddrPortFrom(p.addr, uint16(got.port))))
		eventually(t, name+" was thrown away", func() bool {
			return !got.opened.rtp.stray().IsZero() || !got.opened.rtcp.stray().IsZero()
		})
		next, err := p.take(now)
		if err != nil {
			t.Fatal(err)
		}
		if next.port == got.port {
			t.Errorf("%s: the next call gets port %d, which is still sent to", name, got.port)
		}
		if len(p.resting) != 1 || p.resting[0].pair != nil || p.open != 1 {
			t.Errorf("%s: the port does not rest closed: %+v", name, p.resting)
		}
		give(p, next, now.Add(-2*rest))
		p.resting[0].until = now // both are free again
	}
}

// Which ports a call gets cannot be told from those before it, and what is kept
// open is bounded.
func TestPortsStayRandom(t *testing.T) {
	p := keeper(t, 1000, 1000, 0)
	now := time.Now()
	seen, last, again := map[int]int{}, 0, 0
	const calls = 4000
	for range calls {
		got, err := p.take(now)
		if err != nil {
			t.Fatal(err)
		}
		if seen[got.port]++; got.port == last {
			again++
		}
		last = got.port
		give(p, got, now)
	}
	if len(seen) < enough || again > calls/enough*3 {
		t.Errorf("%d calls had %d ports, %d times the one before", calls, len(seen), again)
	}
	for port, n := range seen {
		if n > calls/enough*3 {
			t.Errorf("port %d served %d of %d calls", port, n, calls)
		}
	}
	// A burst of calls leaves more open than is of use; the calls after it close them one by one.
	var burst []pair
	for range 500 {
		got, err := p.take(now)
		if err != nil {
			t.Fatal(err)
		}
		burst = append(burst, got)
	}
	for _, got := range burst {
		give(p, got, now)
	}
	for range 500 {
		now = now.Add(shedEvery)
		got, err := p.take(now)
		if err != nil {
			t.Fatal(err)
		}
		give(p, got, now)
	}
	if p.open > 2*enough+2 {
		t.Errorf("%d pairs are open after a burst", p.open)
	}
}

// No more are kept than the process may have.
func TestPortsKeptAreBounded(t *testing.T) {
	p := keeper(t, 100, 10, time.Hour)
	now := time.Now()
	var all []pair
	for range 50 {
		got, err := p.take(now)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got)
	}
	for _, got := range all {
		give(p, got, now)
	}
	if p.open != 10 {
		t.Errorf("%d pairs are open, 10 may be", p.open)
	}
}
