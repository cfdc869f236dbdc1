package console

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/portero/portero/sip/identity/verifier"
)

// WatchIdentity adds what the verification of Identity headers counts.
func (m *Metrics) WatchIdentity(counts func() verifier.Counts) {
	m.registry.MustRegister(identityWatcher(counts))
}

type identityWatcher func() verifier.Counts

var (
	identityVerified = prometheus.NewDesc("portero_identity_verified_total", "Identity headers verified, by outcome (verstat).", []string{"verstat"}, nil)
	identityFetches  = prometheus.NewDesc("portero_identity_certificates_total", "Certificates looked for by x5u: found in the cache, fetched, failed to be fetched, not fetched as too many were under way.", []string{"how"}, nil)
	identityLate     = prometheus.NewDesc("portero_identity_late_total", "Certificates that did not come within a call's budget.", nil, nil)
	identityCached   = prometheus.NewDesc("portero_identity_cached", "x5u in the cache.", nil, nil)
)

// Describe implements prometheus.Collector.
func (w identityWatcher) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{identityVerified, identityFetches, identityLate, identityCached} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (w identityWatcher) Collect(ch chan<- prometheus.Metric) {
	c := w()
	for verstat, n := range map[string]uint64{"passed": c.Passed, "failed": c.Failed, "none": c.None} {
		ch <- prometheus.MustNewConstMetric(identityVerified, prometheus.CounterValue, float64(n), verstat)
	}
	for how, n := range map[string]uint64{"cached": c.Hits, "fetched": c.Fetched, "failed": c.FetchFailed, "crowded": c.Crowded} {
		ch <- prometheus.MustNewConstMetric(identityFetches, prometheus.CounterValue, float64(n), how)
	}
	ch <- prometheus.MustNewConstMetric(identityLate, prometheus.CounterValue, float64(c.Late))
	ch <- prometheus.MustNewConstMetric(identityCached, prometheus.GaugeValue, float64(c.Cached))
}
