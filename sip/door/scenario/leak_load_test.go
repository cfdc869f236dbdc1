package scenario_test

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/door/scenario"
	"github.com/portero/portero/sip/transaction"
)

// leakConfig and leakTimers have calls that go nowhere end soon, but not while a
// busy machine is merely slow.
const leakConfig = `
sip:
  max_calls: 5000
  answer_timeout: 2s
  ring_timeout: 2s
  try_for: 2s
`

var leakTimers = transaction.Timers{T1: 100 * time.Millisecond, T2: 400 * time.Millisecond, T4: 400 * time.Millisecond, D: time.Second}

// what is what a process holds.
type what struct {
	goroutines, sockets int
	heap, objects       uint64
}

func holds(t *testing.T, d *testDoor) what {
	t.Helper()
	runtime.GC()
	runtime.GC() // what finalizers and pools let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	sockets := len(fds) - 2*d.relay.Load().Kept // which belong to no call
	return what{runtime.NumGoroutine(), sockets, m.HeapAlloc, m.HeapObjects}
}

// TestLeak places 20,000 calls of all fates (2,000 under the race detector) while
// the PBX crashes now and then; a while after the last the door holds no more than
// it did after the first quarter as many: goroutines, sockets, ports, books, memory.
func TestLeak(t *testing.T) {
	n := scenario.NewNetwork()
	n.Mute()
	d := open(t, n, leakConfig, func(d *door.Deps) { d.Timers = leakTimers })
	defer d.close(t)
	p := &pbx{station: station{network: n, name: "pbx"}}
	p.take = p.receive
	c := &caller{station: station{network: n, name: "caller"}}
	c.take = c.receive
	for _, s := range []*station{&p.station, &c.station} {
		if err := s.open(); err != nil {
			t.Fatal(err)
		}
		defer s.close()
	}
	finals := map[string]map[int]int{}
	next := 0
	place := func(calls, crashes int) {
		t.Helper()
		slots := make(chan struct{}, inFlight)
		placed := make([]*callerCall, 0, calls)
		for i := range calls {
			slots <- struct{}{}
			k := c.place(next, fates[next%len(fates)])
			next++
			placed = append(placed, k)
			go func() {
				select {
				case <-k.ended:
				case <-time.After(time.Minute):
				}
				<-slots
			}()
			if crashes > 0 && i%(calls/crashes) == calls/crashes/2 {
				p.close() // with all its calls
				p.calls.Clear()
				time.Sleep(50 * time.Millisecond)
				if err := p.open(); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range inFlight {
			slots <- struct{}{}
		}
		hung := map[string]int{}
		for _, k := range placed {
			select {
			case <-k.ended:
			default:
				hung[k.fate.name]++
			}
			if finals[k.fate.name] == nil {
				finals[k.fate.name] = map[int]int{}
			}
			finals[k.fate.name][int(k.final.Load())]++
		}
		if len(hung) > 0 {
			t.Errorf("calls that did not end: %v", hung)
		}
		empty(t, d)
		d.forget()
		c.calls.Clear()
		p.calls.Clear()
	}

	place(leakCalls/4, 0) // what is made once, is made for them, and the maps as large as they get
	before := holds(t, d)
	place(leakCalls, max(1, leakCalls/5000))
	after := holds(t, d)

	t.Logf("before %+v, after %d more calls %+v", before, leakCalls, after)
	if after.goroutines > before.goroutines+5 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left over:\n%s", after.goroutines-before.goroutines, buf[:runtime.Stack(buf, true)])
	}
	if after.sockets > before.sockets {
		t.Errorf("%d sockets or files are left over", after.sockets-before.sockets)
	}
	// Of 20,000 calls a single object kept of each would be seen, or 300 bytes; of
	// 2,000 three, or 2 KB. The runtime, pools and maps keep some room of their own.
	if grown := int64(after.objects) - int64(before.objects); grown > leakCalls/2+5000 {
		t.Errorf("%d heap objects are left over", grown)
	}
	if grown := int64(after.heap) - int64(before.heap); grown > 100*leakCalls+4<<20 {
		t.Errorf("%d bytes of heap are left over", grown)
	}
	told(t, finals)
}

// empty waits until the door has nothing of any call any more. Transactions and
// the names of ended dialogs stay for 64*T1, and are swept every 2 s.
func empty(t *testing.T, d *testDoor) {
	t.Helper()
	var left map[string]int
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		left = d.Books()
		load := d.relay.Load()
		left["media sessions"], left["pairs of ports"] = load.Sessions, load.Pairs
		maps.DeleteFunc(left, func(_ string, n int) bool { return n == 0 })
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("a minute after the last call the door still holds %v", left)
}

// told holds the fates to what their names say: a test whose calls all fail in
// the same way would show nothing. Calls that met a crash end as they can.
func told(t *testing.T, finals map[string]map[int]int) {
	t.Helper()
	for _, f := range fates {
		all, as := 0, 0
		for code, n := range finals[f.name] {
			all += n
			if slices.Contains(f.want, code) {
				as += n
			}
		}
		t.Logf("%-20s %v", f.name, finals[f.name])
		if as*10 < all*8 {
			t.Errorf("%s: only %d of %d calls ended with %v: %v", f.name, as, all, f.want, finals[f.name])
		}
	}
}
