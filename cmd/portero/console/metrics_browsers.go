package console

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/portero/portero/media/webrtc"
)

// WatchBrowsers adds the figures of browsers' media.
func (m *Metrics) WatchBrowsers(counts func() webrtc.Counts) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "portero_browsers_now", Help: "Browsers in calls."},
			func() float64 { return float64(counts().Now) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "portero_browsers_total", Help: "Browsers that called or were called."},
			func() float64 { return float64(counts().Opened) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "portero_browsers_secured_total", Help: "Browsers that ICE and DTLS reached."},
			func() float64 { return float64(counts().Secured) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "portero_browsers_failed_total", Help: "DTLS handshakes with browsers that failed."},
			func() float64 { return float64(counts().Failed) }),
	)
}
