//go:build linux && (amd64 || arm64)

package relay

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// A packet that waits in the socket arrived when the kernel got it.
func TestArrivalIsTheKernels(t *testing.T) {
	for name, with := range map[string]sockets{"loop": newLoops(), "plain": &plainSockets{}} {
		t.Run(name, func(t *testing.T) { arrivalIsTheKernels(t, with) })
	}
}

func arrivalIsTheKernels(t *testing.T, with sockets) {
	c, err := with.open(netip.MustParseAddrPort("127.0.0.4:20998"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer with.close()
	defer c.close()
	time.Sleep(50 * time.Millisecond) // the kernel begins to stamp a moment after the first who asks
	out, err := net.Dial("udp4", "127.0.0.4:20998")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := &Session{start: time.Now()}
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	sent := s.now()
	const wait = 50 * time.Millisecond
	time.Sleep(wait)
	came := make(chan int64, 1)
	c.watch(func(b []byte, _ netip.AddrPort, wall int64) { came <- s.arrival(wall) })
	at := <-came
	if late := time.Duration(at - sent); late > wait/2 || late < -wait/2 {
		t.Errorf("a packet that waited %v arrived %v after it was sent", wait, late)
	}
}
