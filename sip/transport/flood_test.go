package transport

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A flood of connections that stop before, within or after the handshake, wave
// upon wave and from several addresses: never more of an address are held than it
// may have, who behaves is served meanwhile, and nothing is left afterwards.
func TestFloodOfConnections(t *testing.T) {
	const (
		addresses, each  = 4, 20
		perPeer          = 8
		waves            = 6
		hello            = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" // of a ClientHello whose rest never comes
		upgrade, request = "GET /sip HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n", "INVITE sip:a SIP/2.0\r\nVia: "
	)
	for _, over := range streams {
		t.Run(over, func(t *testing.T) {
			d, at, cfg := open(t, over, func(l *Limits) {
				l.First, l.Whole = 600*time.Millisecond, 600*time.Millisecond
				l.PerPeer, l.PerWebSocketPeer = perPeer, perPeer
			})
			wave := func() {
				var flood []net.Conn
				var mu sync.Mutex
				var wg sync.WaitGroup
				for a := range addresses {
					from := net.IPv4(127, 0, 88, byte(100+a))
					for i := range each {
						wg.Go(func() {
							nd := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 5 * time.Second}
							c, err := nd.Dial("tcp", at)
							if err != nil {
								t.Error(err)
								return
							}
							_, _ = io.WriteString(c, []string{"", hello, upgrade, request, "\x00"}[i%5])
							mu.Lock()
							flood = append(flood, c)
							mu.Unlock()
						})
					}
				}
				wg.Wait()
				d.layer.mu.RLock()
				for who, n := range d.layer.came {
					if who.peer.IsValid() && n > perPeer {
						t.Errorf("%s has %d connections, %d are allowed", who.peer, n, perPeer)
					}
				}
				d.layer.mu.RUnlock()
				p := connect(t, over, at, cfg)
				if err := p.ask(10 * time.Second); err != nil {
					t.Fatalf("who behaves is not served: %v", err)
				}
				p.close()
				for i, c := range flood { // each is given up, and most at once
					_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
					var ne net.Error
					if _, err := io.Copy(io.Discard, c); errors.As(err, &ne) && ne.Timeout() {
						t.Errorf("connection %d was not given up", i)
					}
					c.Close()
				}
				until(t, "the wave to be over", func() bool {
					d.layer.mu.RLock()
					defer d.layer.mu.RUnlock()
					return len(d.layer.all) == 0 && len(d.layer.came) == 0
				})
			}
			held := func() (heap int64, goroutines int) {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc), runtime.NumGoroutine()
			}
			wave()
			before, n := held()
			for range waves {
				wave()
			}
			until(t, "the goroutines to end", func() bool { _, now := held(); return now <= n })
			if after, _ := held(); after-before > 512<<10 {
				t.Errorf("the heap grew by %d bytes over %d connections", after-before, waves*addresses*each)
			}
			if d.count("too_many_connections") == 0 {
				t.Error("no connection was refused for its address's number")
			}
		})
	}
}
