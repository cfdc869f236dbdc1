//go:build linux && (amd64 || arm64)

package relay

import (
	"net"
	"testing"
	"time"
)

// A packet that waits in the socket arrived when the kernel got it.
func TestArrivalIsTheKernels(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantStamps(c)
	out, err := net.Dial("udp4", c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := &Session{start: time.Now()}
	e := &endpoint{s: s}
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	sent := s.now()
	const wait = 50 * time.Millisecond
	time.Sleep(wait)
	buf, oob := make([]byte, 16), make([]byte, stampSpace)
	n, _, at, ok := e.readAt(c, buf, oob)
	if n != 1 || !ok {
		t.Fatalf("read %d, %v", n, ok)
	}
	if late := time.Duration(at - sent); late > wait/2 || late < -wait/2 {
		t.Errorf("a packet that waited %v arrived %v after it was sent", wait, late)
	}
}
