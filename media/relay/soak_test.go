package relay

import (
	"encoding/binary"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// Calls come and go under media for as long as SOAK says (3s; SOAK=30m for long):
// every packet sent while a call is up comes out, by the ports of that call, what
// is sent after its end never does, and nothing is left over.
func TestSoak(t *testing.T) {
	d := 3 * time.Second
	if s := os.Getenv("SOAK"); s != "" {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			t.Fatalf("SOAK: %v", err)
		}
	}
	cfg := config()
	cfg.CallerAddress, cfg.FarAddress = "127.0.0.8", "127.0.0.9"
	cfg.Ports.Rest = 100 * time.Millisecond
	r, err := New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // says nothing
	caller, far := newPhone(t, "127.0.0.11"), newPhone(t, "127.0.0.12")

	// Whose packets may come out of a port.
	var owner [2][65536]atomic.Uint32 // number of the call, 0 for none
	var received, wrong atomic.Uint64
	var listening sync.WaitGroup
	var over atomic.Bool
	for side, p := range []*phone{caller, far} {
		_ = p.rtp.SetReadBuffer(4 << 20)
		listening.Go(func() {
			buf := make([]byte, maxPacket)
			for {
				_ = p.rtp.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				n, src, err := p.rtp.ReadFromUDPAddrPort(buf)
				if err != nil {
					if over.Load() {
						return
					}
					continue
				}
				if n < 20 {
					continue
				}
				received.Add(1)
				if call := binary.BigEndian.Uint32(buf[12:]); owner[side][src.Port()].Load() != call {
					wrong.Add(1)
				}
			}
		})
	}
	type up struct {
		s      *Session
		number uint32
		ends   int    // tick
		said   uint64 // packets each way
		to     [2]netip.AddrPort
		tap    []byte
	}
	number, sent := uint32(0), uint64(0)
	begin := func(tick int) *up {
		s, err := r.Open("soak@call", Options{})
		if err != nil {
			t.Fatal(err)
		}
		number++
		u := &up{s: s, number: number, ends: tick + 20 + int(number)%60, tap: make([]byte, maxPacket)}
		u.to = [2]netip.AddrPort{s.Addr(CallerSide), s.Addr(FarSide)}
		for side, a := range u.to {
			owner[side][a.Port()].Store(number)
		}
		s.SetRemote(CallerSide, caller.addr(), caller.rtcpAddr())
		s.SetRemote(FarSide, far.addr(), far.rtcpAddr())
		return u
	}
	speak := func(u *up) {
		for side, p := range []*phone{caller, far} {
			b := p.next()
			binary.BigEndian.PutUint32(b[12:], u.number)
			_, _ = p.rtp.WriteToUDPAddrPort(b, u.to[side])
		}
	}
	const calls = 40
	held := make([]*up, calls)
	for i := range held {
		held[i] = begin(-i)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	ticks := int(d / (20 * time.Millisecond))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	lost := uint64(0) // of calls that have ended
	for n := range ticks {
		if n == ticks/4 {
			before = heap()
		}
		for i, u := range held {
			if n < u.ends {
				speak(u)
				u.said++
				sent += 2
				for ok := true; ok; {
					_, _, ok = u.s.Tap().Next(u.tap)
				}
				continue
			}
			eventually(t, "what was sent has passed", func() bool {
				st := u.s.Stats()
				return st.Caller.Packets == u.said && st.Far.Packets == u.said && st.Caller.Sent == u.said && st.Far.Sent == u.said
			})
			st := u.s.Stats()
			lost += st.Caller.Unsent + st.Far.Unsent
			u.s.Close()
			speak(u) // late
			held[i] = begin(n)
		}
		<-tick.C
	}
	after := heap()
	eventually(t, "everything sent has come", func() bool { return received.Load() >= sent })
	for _, u := range held {
		u.s.Close()
	}
	over.Store(true)
	listening.Wait()
	t.Logf("%d calls, %d packets sent, %d received, heap %d then %d KiB, %+v", number, sent, received.Load(), before>>10, after>>10, r.Load())
	if wrong.Load() > 0 {
		t.Errorf("%d packets came out of another call's ports", wrong.Load())
	}
	if received.Load() > sent {
		t.Errorf("%d packets came out of %d", received.Load(), sent)
	}
	if lost > 0 {
		t.Errorf("%d packets were not sent on", lost)
	}
	if l := r.Load(); l.Sessions != 0 || l.Pairs != 0 || l.Kept > 2*(2*enough+calls+10) {
		t.Errorf("left over: %+v", l)
	}
	if after > before+before/4+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}
