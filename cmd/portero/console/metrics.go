package console

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/hep"
)

// Metrics counts what happens at a door. Its methods, except Handler and Watch,
// are the interface that sip/door asks for; they are safe for concurrent use,
// never block, and allocate nothing worth the name.
//
// No label takes a value from the network: a rule, a class, a reason of
// Portero's own, but never a number, an address or a header.
type Metrics struct {
	registry *prometheus.Registry

	calls         *prometheus.CounterVec
	callsNow      prometheus.Gauge
	seconds       prometheus.Histogram
	decisions     *prometheus.CounterVec
	sipDropped    *prometheus.CounterVec
	sipRefused    *prometheus.CounterVec
	framesDropped prometheus.Counter
	rtpPackets    *prometheus.CounterVec
	rtpLost       *prometheus.CounterVec
	rtpDropped    *prometheus.CounterVec
	srtpDropped   *prometheus.CounterVec
	dials         *prometheus.CounterVec
	attempts      *prometheus.CounterVec
	registered    *prometheus.GaugeVec
	panics        prometheus.Counter
}

// NewMetrics is a set of metrics with a registry of its own, at zero.
func NewMetrics() *Metrics {
	r := prometheus.NewRegistry()
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	m := &Metrics{
		registry:      r,
		calls:         counters("portero_calls_total", "Calls that ended, by outcome, final class and last action.", "outcome", "class", "action"),
		callsNow:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "portero_calls_now", Help: "Calls in the door."}),
		seconds:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "portero_call_seconds", Help: "From the INVITE to the end of a call, s.", Buckets: []float64{1, 5, 15, 60, 300, 900, 3600}}),
		decisions:     counters("portero_decisions_total", "Decisions, by stage, action, rule and whether they were acted on.", "stage", "action", "rule", "enforced"),
		sipDropped:    counters("portero_sip_dropped_total", "SIP messages dropped without an answer, by reason.", "reason"),
		sipRefused:    counters("portero_sip_refused_total", "SIP requests answered with a refusal before any judgement, by reason code.", "code"),
		framesDropped: counter("portero_analysis_frames_dropped_total", "Frames of callers the analysis was too late for."),
		rtpPackets:    counters("portero_rtp_packets_total", "RTP packets received in calls that ended, by side.", "side"),
		rtpLost:       counters("portero_rtp_lost_total", "RTP packets missing by sequence number in calls that ended, by side.", "side"),
		rtpDropped:    counters("portero_rtp_dropped_total", "RTP packets refused in calls that ended, by side.", "side"),
		srtpDropped:   counters("portero_srtp_dropped_total", "Packets of encrypted sides that were dropped, by side and why.", "side", "why"),
		dials:         counters("portero_callback_dials_total", "Callbacks dialled, by outcome.", "outcome"),
		attempts:      counters("portero_upstream_attempts_total", "INVITEs sent to targets, by what they came to.", "destination", "target", "result"),
		registered: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "portero_trunk_registered",
			Help: "Whether the door is registered at a trunk that wants it: 1 or 0."}, []string{"trunk"}),
		panics: counter("portero_panics_total", "Handlers that panicked; each cost its call only."),
	}
	r.MustRegister(m.callsNow, m.registered, m.seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, side := range []string{"caller", "far"} { // so that rates start at 0
		m.rtpPackets.WithLabelValues(side)
		m.rtpLost.WithLabelValues(side)
		m.rtpDropped.WithLabelValues(side)
	}
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, Timeout: 10 * time.Second})
}

// CallStarted counts a call that came in.
func (m *Metrics) CallStarted() { m.callsNow.Inc() }

// CallEnded counts a call that ended.
func (m *Metrics) CallEnded(r store.Record) {
	m.callsNow.Dec()
	m.calls.WithLabelValues(string(r.Outcome), string(r.Class()), string(r.Action())).Inc()
	if !r.InviteAt.IsZero() && !r.EndedAt.IsZero() {
		m.seconds.Observe(r.EndedAt.Sub(r.InviteAt.Time).Seconds())
	}
	for side, media := range map[string]store.Media{"caller": r.CallerMedia, "far": r.FarMedia} {
		m.rtpPackets.WithLabelValues(side).Add(float64(media.Packets))
		m.rtpLost.WithLabelValues(side).Add(float64(media.Lost))
		m.rtpDropped.WithLabelValues(side).Add(float64(media.Dropped))
		m.srtpDropped.WithLabelValues(side, "forged").Add(float64(media.Forged))
		m.srtpDropped.WithLabelValues(side, "replayed").Add(float64(media.Replayed))
	}
}

// Decided counts a decision; enforced tells whether it is acted on.
func (m *Metrics) Decided(d policy.Decision, enforced bool) {
	acted := "false"
	if enforced {
		acted = "true"
	}
	m.decisions.WithLabelValues(string(d.Stage), string(d.Action), d.Rule, acted).Inc()
}

// SIPDropped counts a message that got no answer. The reason is one of the
// program's own words.
func (m *Metrics) SIPDropped(reason string) { m.sipDropped.WithLabelValues(reason).Inc() }

// SIPRefused counts a request that was answered and not served, whatever anybody
// thinks of its sender, by reason code.
func (m *Metrics) SIPRefused(code string) { m.sipRefused.WithLabelValues(code).Inc() }

// FramesDropped counts frames that the analysis was too late for.
func (m *Metrics) FramesDropped(n uint64) { m.framesDropped.Add(float64(n)) }

// Panicked counts a handler that panicked.
func (m *Metrics) Panicked() { m.panics.Inc() }

// Dialed counts a callback's attempt.
func (m *Metrics) Dialed(outcome string) { m.dials.WithLabelValues(outcome).Inc() }

// Registered notes whether the door is registered at a trunk.
func (m *Metrics) Registered(trunk string, is bool) {
	v := 0.0
	if is {
		v = 1
	}
	m.registered.WithLabelValues(trunk).Set(v)
}

// Attempted counts an INVITE to a target, both named as in the configuration.
func (m *Metrics) Attempted(destination, target, result string) {
	m.attempts.WithLabelValues(destination, target, result).Inc()
}

// Watch adds what is asked at each scrape: the store's health and the promises.
func (m *Metrics) Watch(health func() store.Health, counts func(context.Context) (map[store.State]int, error)) {
	m.registry.MustRegister(&watcher{health, counts})
}

// Mirror adds the figures of the mirror to Homer.
func (m *Metrics) Mirror(counts func() hep.Counts) {
	for _, c := range []struct {
		name, help string
		value      func(hep.Counts) uint64
	}{
		{"portero_hep_sent_total", "Messages mirrored to Homer.", func(c hep.Counts) uint64 { return c.Sent }},
		{"portero_hep_dropped_total", "Messages not mirrored, as the queue was full.", func(c hep.Counts) uint64 { return c.Dropped }},
		{"portero_hep_failed_total", "Messages not mirrored, as Homer could not be reached.", func(c hep.Counts) uint64 { return c.Failed }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help},
			func() float64 { return float64(c.value(counts())) }))
	}
}

// watcher asks the store while Prometheus scrapes.
type watcher struct {
	health func() store.Health
	counts func(context.Context) (map[store.State]int, error)
}

var (
	storeUp       = prometheus.NewDesc("portero_store_up", "1 while the last write succeeded.", nil, nil)
	storeErrors   = prometheus.NewDesc("portero_store_errors_total", "Writes to the store that failed, lost records included.", nil, nil)
	storeWritten  = prometheus.NewDesc("portero_store_records_written_total", "Call records written.", nil, nil)
	storeDropped  = prometheus.NewDesc("portero_store_records_dropped_total", "Call records lost.", nil, nil)
	storeQueued   = prometheus.NewDesc("portero_store_records_queued", "Call records that wait for the writer.", nil, nil)
	promisesState = prometheus.NewDesc("portero_promises", "Callbacks promised, by state, as far as retention reaches.", []string{"state"}, nil)
)

func (w *watcher) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storeUp, storeErrors, storeWritten, storeDropped, storeQueued, promisesState} {
		ch <- d
	}
}

func (w *watcher) Collect(ch chan<- prometheus.Metric) {
	h := w.health()
	up := 0.0
	if h.OK {
		up = 1
	}
	ch <- prometheus.MustNewConstMetric(storeUp, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(storeErrors, prometheus.CounterValue, float64(h.Errors))
	ch <- prometheus.MustNewConstMetric(storeWritten, prometheus.CounterValue, float64(h.Written))
	ch <- prometheus.MustNewConstMetric(storeDropped, prometheus.CounterValue, float64(h.Dropped))
	ch <- prometheus.MustNewConstMetric(storeQueued, prometheus.GaugeValue, float64(h.Queued))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := w.counts(ctx)
	if err != nil {
		return // a metric that is absent says so better than a zero
	}
	for s, n := range counts {
		ch <- prometheus.MustNewConstMetric(promisesState, prometheus.GaugeValue, float64(n), string(s))
	}
}
