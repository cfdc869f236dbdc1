package console

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/portero/portero/policy/webhook"
)

// WatchEvents adds the figures of what is posted about calls.
func (m *Metrics) WatchEvents(counts func() webhook.Counts) {
	for _, c := range []struct {
		name, help string
		value      func(webhook.Counts) uint64
	}{
		{"portero_webhook_sent_total", "Events that a receiver took.", func(c webhook.Counts) uint64 { return c.Sent }},
		{"portero_webhook_failed_total", "Events that a receiver refused, or did not take in time.", func(c webhook.Counts) uint64 { return c.Failed }},
		{"portero_webhook_dropped_total", "Events that did not fit into a receiver's queue.", func(c webhook.Counts) uint64 { return c.Dropped }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help},
			func() float64 { return float64(c.value(counts())) }))
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "portero_webhook_queued", Help: "Events that wait for their receivers."},
		func() float64 { return float64(counts().Queued) }))
}
