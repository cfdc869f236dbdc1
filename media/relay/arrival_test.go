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
	socket, err := with.open(netip.MustParseAddrPort("127.0.0.4:20998"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer with.close()
	defer socket.shut()
	c := socket.lend()
	time.Sleep(50 * time.Millisecond) // the kernel begins to stamp a moment after the first who asks
	out, err := net.Dial("udp4", "127.0.0.4:20998")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := &Session{start: time.Now()}
	const wait = 50 * time.Millisecond
	came := make(chan int64, 2)
	c.watch(func(b []byte, _ netip.AddrPort, wall int64) {
		came <- s.arrival(wall)
		time.Sleep(wait) // the next packet waits
	})
	send := func() (sent int64) {
		if _, err := out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		return s.now()
	}
	send()
	<-came
	sent := send()
	at := <-came
	if late := time.Duration(at - sent); late > wait/2 || late < -wait/2 {
		t.Errorf("a packet that waited %v arrived %v after it was sent", wait, late)
	}
}
