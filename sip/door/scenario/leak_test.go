package scenario_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/portero/portero/sip/door/scenario"
)

// After calls have ended, however they ended, an open door holds nothing of
// them: no call, no media port, no goroutine.
func TestNothingIsLeftOfCalls(t *testing.T) {
	n := scenario.NewNetwork()
	d := open(t, n, "")
	defer d.close(t)
	var before int
	for i, name := range []string{"basic-caller-hangs-up", "cancel-while-ringing", "cancel-crosses-200", "far-busy", "forked-2xx", "hold-by-caller"} {
		s, err := scenario.Read(scenarios + "/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if s.Config != "" {
			t.Fatalf("%s has a configuration of its own", name)
		}
		d.forget()
		// The agents of every script begin with the same branches: their
		// transactions of before must be over.
		time.Sleep(70 * timers.T1)
		if err := scenario.Run(s, n, d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if i == 0 { // what is made once is there now
			before = settled(t, d, 0)
		}
	}
	time.Sleep(70 * timers.T1)
	if after := settled(t, d, before); after > before {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left of %d calls' worth:\n%s", after-before, 5, buf[:runtime.Stack(buf, true)])
	}
}

// settled waits until no call and no media is left and the number of goroutines
// is down to want, or has stopped falling, and returns it.
func settled(t *testing.T, d *testDoor, want int) int {
	t.Helper()
	var n int
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		n = runtime.NumGoroutine()
		if d.CallsNow() == 0 && d.relay.Load().Sessions == 0 && n <= want {
			return n
		}
		if want == 0 && time.Until(end) < 3*time.Second {
			break
		}
	}
	if calls, media := d.CallsNow(), d.relay.Load().Sessions; calls+media > 0 {
		t.Fatalf("%d calls and %d media sessions are left", calls, media)
	}
	return n
}

// forget empties the records, so that the next scenario sees its own only.
func (d *testDoor) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = nil
}
