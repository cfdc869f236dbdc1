package console

import (
	"github.com/prometheus/client_golang/prometheus"

	recording "github.com/portero/portero/media/record"
)

// WatchCaptures adds the figures of the packets that are kept of the last calls.
func (m *Metrics) WatchCaptures(counts func() recording.SpoolCounts) {
	add := func(name, help string, value func(recording.SpoolCounts) uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(counts())) }))
	}
	add("portero_captures_packets_total", "Packets of calls kept for portero record.", func(c recording.SpoolCounts) uint64 { return c.Packets })
	add("portero_captures_dropped_total", "Packets of calls not kept, as the disk was too slow or refused.", func(c recording.SpoolCounts) uint64 { return c.Dropped })
	add("portero_captures_failed_total", "Times that the disk refused packets of calls.", func(c recording.SpoolCounts) uint64 { return c.Failed })
	add("portero_captures_written_bytes_total", "Written of packets of calls, bytes.", func(c recording.SpoolCounts) uint64 { return c.Bytes })
}
