package console

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/portero/portero/sip/upstream"
)

// UpstreamHealth is how many targets there are and can be sent calls to. None is
// no reason to take the door out of service: it tries them all the same.
type UpstreamHealth struct {
	Targets   int `json:"targets"`
	Available int `json:"available"` // an address is up, and the cap is not reached
}

func (s *Server) upstreamHealth() UpstreamHealth {
	var h UpstreamHealth
	for _, t := range s.targets() {
		h.Targets++
		if t.Available() {
			h.Available++
		}
	}
	return h
}

func (s *Server) targets() []upstream.TargetStatus {
	if s.deps.Upstream == nil {
		return nil
	}
	return s.deps.Upstream()
}

// upstream lists the targets with their addresses and how they fare.
func (s *Server) upstream(w http.ResponseWriter, _ *http.Request) {
	list := s.targets()
	if list == nil {
		list = []upstream.TargetStatus{}
	}
	s.answer(w, http.StatusOK, list)
}

// WatchUpstream adds what is asked at each scrape: how the targets fare.
func (m *Metrics) WatchUpstream(targets func() []upstream.TargetStatus) {
	m.registry.MustRegister(targetWatcher(targets))
}

// targetWatcher asks while Prometheus scrapes.
type targetWatcher func() []upstream.TargetStatus

var (
	targetAvailable = prometheus.NewDesc("portero_upstream_available", "1 while an address of the target is up and its cap is not reached.", []string{"destination", "target"}, nil)
	targetServers   = prometheus.NewDesc("portero_upstream_servers", "Addresses of the target, by state.", []string{"destination", "target", "state"}, nil)
	targetCalls     = prometheus.NewDesc("portero_upstream_calls", "Calls at the target.", []string{"destination", "target"}, nil)
)

func (w targetWatcher) Describe(ch chan<- *prometheus.Desc) {
	ch <- targetAvailable
	ch <- targetServers
	ch <- targetCalls
}

func (w targetWatcher) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, t := range w() {
		available := 0
		if t.Available() {
			available = 1
		}
		gauge(targetAvailable, available, t.Destination, t.URI)
		gauge(targetCalls, t.Calls, t.Destination, t.URI)
		count := map[string]int{}
		for _, s := range t.Servers {
			count[s.State]++
		}
		for state := upstream.Up; state <= upstream.Down; state++ {
			gauge(targetServers, count[state.String()], t.Destination, t.URI, state.String())
		}
	}
}
