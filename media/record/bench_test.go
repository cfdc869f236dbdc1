package record

import (
	"io"
	"net/netip"
	"testing"
	"time"
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
