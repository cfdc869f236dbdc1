package relay

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

func kinds() map[string]sockets {
	return map[string]sockets{"loop": newLoops(), "plain": &plainSockets{}}
}

// Sockets come and go, numbers of descriptors are used again, packets are sent
// all the while: none reaches a socket that it was not sent to.
func TestConnsComeAndGo(t *testing.T) {
	for name, with := range kinds() {
		t.Run(name, func(t *testing.T) {
			var workers sync.WaitGroup
			for w := range 4 {
				workers.Go(func() {
					addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.5"), uint16(20900+2*w))
					for i := range 200 {
						socket, err := with.open(addr, i%2 == 0)
						for end := time.Now().Add(soon); err != nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
							socket, err = with.open(addr, i%2 == 0) // the loop was about to look at the one before
						}
						if err != nil {
							t.Errorf("%s: %v", addr, err)
							return
						}
						other, err := with.open(netip.AddrPortFrom(addr.Addr(), addr.Port()+1), false)
						if err != nil {
							t.Errorf("%s: %v", addr, err)
							return
						}
						in, out := socket.lend(), other.lend()
						got := make(chan byte, 8)
						in.watch(func(b []byte, src netip.AddrPort, _ int64) {
							if src.Port() != addr.Port()+1 || len(b) != 1 {
								t.Errorf("%s got %x from %s", addr, b, src)
							}
							got <- b[0]
						})
						if err := out.send([]byte{byte(i)}, addr); err != nil {
							t.Errorf("send: %v", err)
						}
						if b := <-got; b != byte(i) {
							t.Errorf("%s got %d, want %d", addr, b, i)
						}
						in.close()
						out.close()
						socket.shut()
						other.shut()
						if err := out.send([]byte{1}, addr); err == nil {
							t.Error("a closed socket sent")
						}
					}
				})
			}
			workers.Wait()
			with.close()
		})
	}
}

// What every system has relays as well.
func TestPlainRelays(t *testing.T) {
	r, err := New(config(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, p := range r.ports {
		p.with = &plainSockets{}
	}
	s, err := r.Open("plain@call", Options{})
	if err != nil {
		t.Fatal(err)
	}
	caller, far := newPhone(t, "127.0.0.11"), newPhone(t, "127.0.0.12")
	s.SetRemote(CallerSide, caller.addr(), netip.AddrPort{})
	s.SetRemote(FarSide, far.addr(), netip.AddrPort{})
	for range 3 {
		caller.say(s.Addr(CallerSide))
		far.hear()
		far.say(s.Addr(FarSide))
		caller.hear()
	}
}

// A fault while a packet is looked at silences that socket and no other.
func TestPanicSilencesOneSocket(t *testing.T) {
	c := newCall(t, Options{})
	loops := newLoops()
	defer loops.close()
	socket, err := loops.open(netip.MustParseAddrPort("127.0.0.5:20990"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.shut()
	bad := socket.lend()
	seen := make(chan struct{}, 2)
	w := watcher{e: c.s.caller.Load(), name: "test", f: func([]byte, netip.AddrPort, int64) { seen <- struct{}{}; panic("of the test") }}
	w.watch(bad)
	send(t, c.caller.rtp, []byte("x"), netip.MustParseAddrPort("127.0.0.5:20990"))
	<-seen
	c.caller.say(c.s.Addr(CallerSide))
	c.far.hear()
}

// BenchmarkOpenClose is what the media of a call costs without its packets: four
// sockets of those that are kept open, or newly opened ones.
func BenchmarkOpenClose(b *testing.B) {
	for _, kept := range []bool{true, false} {
		name := map[bool]string{true: "kept", false: "new"}[kept]
		b.Run(name, func(b *testing.B) {
			cfg := config()
			cfg.Ports.Rest = 0
			r, err := New(cfg, zap.NewNop())
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			if !kept {
				for _, p := range r.ports {
					p.most = 0
				}
			}
			for range 2 * enough {
				s, err := r.Open("before@call", Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
			}
			for range enough {
				s, err := r.Open("before@call", Options{})
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
			b.ReportAllocs()
			for b.Loop() {
				s, err := r.Open("bench@call", Options{})
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}
