package record

import (
	"bytes"
	"io"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
)

// BenchmarkSecond is a second of a call, both sides speaking, as each format
// writes it; the disk is left out.
func BenchmarkSecond(b *testing.B) {
	caller, door := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("198.51.100.1:16384")
	for _, format := range []string{WAV, PCAPNG} {
		b.Run(format, func(b *testing.B) {
			start := time.Now()
			w, p := newWAV(start), newPCAPNG(start, "c", false)
			packet := rtp(0, 0, 1, 1000)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				for range 50 {
					at := start.Add(time.Duration(20*n) * time.Millisecond)
					packet[2], packet[3] = byte(n>>8), byte(n)
					ts := 160 * n
					packet[4], packet[5], packet[6], packet[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
					n++
					if format == WAV {
						w.packet(Caller, packet, at)
						w.packet(Heard, packet, at)
					} else {
						p.rtp(packet, at, caller, door, true)
						p.rtp(packet, at, door, caller, false)
					}
				}
				now := start.Add(time.Duration(20*n) * time.Millisecond)
				if format == WAV {
					_ = w.flush(io.Discard, now)
				} else {
					_ = p.flush(io.Discard, now)
				}
			}
		})
	}
}

// What keeping a call's signalling costs: seven messages, written to a file.
func BenchmarkSpool(b *testing.B) {
	cfg := DefaultCaptures()
	cfg.Directory = b.TempDir()
	s, err := newSpool(cfg, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	message := bytes.Repeat([]byte("x"), 600)
	at := time.Now()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := s.Keep("abcdefgh12345678")
		for range 7 {
			k.Message(true, doorAt, callerAt, "0123456789abcdef0123456789abcdef@192.0.2.20", bytes.Clone(message), at)
		}
		if i%250 == 0 {
			s.take(at)
		}
	}
}
