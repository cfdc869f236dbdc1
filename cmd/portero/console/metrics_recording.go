package console

import (
	"github.com/prometheus/client_golang/prometheus"

	recording "github.com/portero/portero/media/record"
)

// WatchRecordings adds the figures of recording.
func (m *Metrics) WatchRecordings(counts func() recording.Counts) {
	add := func(name, help string, gauge bool, value func(recording.Counts) float64) {
		f := func() float64 { return value(counts()) }
		if gauge {
			m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
			return
		}
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
	}
	add("portero_recordings_now", "Recordings under way.", true, func(c recording.Counts) float64 { return float64(c.Now) })
	add("portero_recordings_finished_total", "Recordings finished, those that a limit ended included.", false, func(c recording.Counts) float64 { return float64(c.Finished) })
	add("portero_recordings_failed_total", "Recordings lost or cut off by an error of the disk.", false, func(c recording.Counts) float64 { return float64(c.Failed) })
	add("portero_recordings_refused_total", "Calls not recorded for want of room.", false, func(c recording.Counts) float64 { return float64(c.Refused) })
	add("portero_recordings_deleted_total", "Files deleted as they were older than recording.keep.", false, func(c recording.Counts) float64 { return float64(c.Deleted) })
	add("portero_recording_packets_dropped_total", "RTP packets missing in recordings, as the disk was too slow.", false, func(c recording.Counts) float64 { return float64(c.Dropped) })
	add("portero_recordings_bytes", "What all files of recordings hold, bytes.", true, func(c recording.Counts) float64 { return float64(c.Bytes) })
	add("portero_recordings_full", "1 while nothing is recorded for want of room.", true, func(c recording.Counts) float64 {
		if c.Full {
			return 1
		}
		return 0
	})
}
