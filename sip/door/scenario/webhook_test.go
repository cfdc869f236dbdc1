package scenario_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/webhook"
	"github.com/portero/portero/sip/door"
	"github.com/portero/portero/sip/door/scenario"
)

// Of all calls, if that is wanted, a receiver is told each decision and the record;
// of recording sessions alone, nothing of this one. The receiver hangs meanwhile,
// and the call goes its way.
func TestEvents(t *testing.T) {
	const script = `
caller -> INVITE sip:100@portero sdp
pbx <- INVITE
pbx -> 200 sdp
caller <- 200 INVITE
pbx <- ACK
caller -> ACK
caller -> BYE
caller <- 200 BYE
pbx <- BYE
pbx -> 200
`
	for _, of := range []string{webhook.OfAll, webhook.OfRecorded} {
		t.Run(of, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var events []webhook.Event
			hang := make(chan struct{})
			receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				<-hang
				var e webhook.Event
				if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				events = append(events, e)
			}))
			defer receiver.Close()
			cfg := webhook.Defaults()
			cfg.URLs, cfg.Of = []string{receiver.URL}, of
			cfg.Timeout = cfg.Timeout * 10
			sender, err := webhook.New(cfg, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			s, err := scenario.Parse("events", script)
			if err != nil {
				t.Fatal(err)
			}
			n := scenario.NewNetwork()
			d := open(t, n, "", func(deps *door.Deps) { deps.Events = sender })
			err = scenario.Run(s, n, d)
			d.close(t)
			close(hang)
			sender.Close()
			if err != nil {
				t.Fatal(err)
			}
			if of == webhook.OfRecorded {
				if len(events) > 0 {
					t.Errorf("told %+v", events)
				}
				return
			}
			i := slices.IndexFunc(events, func(e webhook.Event) bool { return e.Kind == webhook.Decision })
			if i < 0 || events[i].Decision.Stage != policy.Arrival || events[i].From != "caller" || events[i].To != "100" {
				t.Fatalf("told %+v", events)
			}
			if last := events[len(events)-1]; last.Kind != webhook.Ended || last.Record == nil || last.Record.Outcome != "answered" || last.Record.ID != last.Call {
				t.Errorf("at the end %+v", last)
			}
		})
	}
}
