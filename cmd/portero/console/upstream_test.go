package console

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/portero/portero/sip/upstream"
)

func TestUpstream(t *testing.T) {
	b := newBench(t, Defaults())
	if w := b.ask("GET", "/api/upstream"); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("without targets: %d %s", w.Code, w.Body)
	}
	targets := []upstream.TargetStatus{
		{Destination: "agents", URI: "sip:192.0.2.1", Calls: 2, MaxCalls: 2, Servers: []upstream.ServerStatus{{Address: "udp:192.0.2.1:5060", State: "up"}}},
		{Destination: "agents", URI: "sip:pbx.example", Servers: []upstream.ServerStatus{{Address: "udp:192.0.2.2:5060", State: "down"}, {Address: "udp:192.0.2.3:5060", State: "up"}}},
		{Destination: "bots", URI: "sip:bots.example", Servers: []upstream.ServerStatus{}},
	}
	b.deps.Upstream = func() []upstream.TargetStatus { return targets }
	b.deps.Metrics.WatchUpstream(b.deps.Upstream)
	var got []upstream.TargetStatus
	if err := json.Unmarshal(b.ask("GET", "/api/upstream").Body.Bytes(), &got); err != nil || len(got) != 3 || len(got[1].Servers) != 2 {
		t.Errorf("%v %+v", err, got)
	}
	if w := b.ask("GET", "/healthz"); w.Code != 200 || !strings.Contains(w.Body.String(), `"upstream":{"targets":3,"available":1}`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.deps.Metrics.Attempted("agents", "sip:192.0.2.1", "silent")
	metrics := b.ask("GET", "/metrics").Body.String()
	for _, want := range []string{
		`portero_upstream_available{destination="agents",target="sip:192.0.2.1"} 0`,
		`portero_upstream_available{destination="agents",target="sip:pbx.example"} 1`,
		`portero_upstream_available{destination="bots",target="sip:bots.example"} 0`,
		`portero_upstream_calls{destination="agents",target="sip:192.0.2.1"} 2`,
		`portero_upstream_servers{destination="agents",state="down",target="sip:pbx.example"} 1`,
		`portero_upstream_servers{destination="agents",state="failed",target="sip:pbx.example"} 0`,
		`portero_upstream_attempts_total{destination="agents",result="silent",target="sip:192.0.2.1"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("missing: %s", want)
		}
	}
}
