package relay

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

func TestTap(t *testing.T) {
	start := time.Now()
	tap := newTap(4096, start)
	buf := make([]byte, maxPacket)
	if _, _, ok := tap.Next(buf); ok {
		t.Fatal("a packet out of an empty ring")
	}
	// Over the end of the ring many times, with every length.
	for n := range 3000 {
		b := bytes.Repeat([]byte{byte(n)}, n%1500)
		tap.put(b, int64(n))
		got, at, ok := tap.Next(buf)
		if !ok || !bytes.Equal(got, b) || at.Sub(start) != time.Duration(n) {
			t.Fatalf("packet %d: %d bytes of %d, at %s, %t", n, len(got), len(b), at.Sub(start), ok)
		}
	}
	// Full: the oldest stay, the newest is counted.
	for range 10 {
		tap.put(make([]byte, 1000), 0)
	}
	if tap.Dropped() != 6 {
		t.Errorf("%d dropped of 10 packets of 1012 bytes in 4096", tap.Dropped())
	}
	if got, _, ok := tap.Next(buf[:10]); !ok || len(got) != 10 {
		t.Errorf("cut to %d bytes", len(got))
	}
	if got, _, ok := tap.Next(buf); !ok || len(got) != 1000 {
		t.Errorf("after a cut packet: %d bytes", len(got))
	}
}

// TestTapConcurrent: one writer, one reader that waits on Ready; every packet
// that was not dropped arrives whole and in order, and no wake-up is lost.
func TestTapConcurrent(t *testing.T) {
	const packets = 20000
	tap := newTap(4096, time.Now())
	go func() {
		for n := range packets {
			tap.put(bytes.Repeat([]byte{byte(n)}, 20+n%300), int64(n))
			if n%16 == 0 {
				runtime.Gosched()
			}
		}
		for !tap.ended() {
			runtime.Gosched()
		}
		tap.put([]byte("end"), packets)
	}()
	buf := make([]byte, maxPacket)
	last, got := int64(-1), 0
	for {
		select {
		case <-tap.Ready():
		case <-time.After(5 * time.Second):
			t.Fatal("not woken")
		}
		for {
			b, at, ok := tap.Next(buf)
			if !ok {
				break
			}
			if string(b) == "end" {
				if uint64(got)+tap.Dropped() != packets {
					t.Errorf("%d read and %d dropped of %d", got, tap.Dropped(), packets)
				}
				return
			}
			n := at.Sub(tap.start).Nanoseconds()
			if n <= last || len(b) != 20+int(n)%300 || b[0] != byte(n) || b[len(b)-1] != byte(n) {
				t.Fatalf("packet %d after %d: %d bytes of %d", n, last, len(b), b[0])
			}
			last = n
			got++
		}
	}
}

// ended says whether everything was read.
func (t *Tap) ended() bool { return t.head.Load() == t.tail.Load() }
