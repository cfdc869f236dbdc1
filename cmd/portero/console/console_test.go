package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2100, 1, 1, 12, 0, 0, 0, time.UTC)

// bench is a console with a store and a door that is not there.
type bench struct {
	*Server
	store  *store.Store
	status Status
	hasten []bool // of each run
	runErr error
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	sc := store.Defaults()
	sc.Path = filepath.Join(t.TempDir(), "portero.db")
	s, err := store.Open(sc, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &bench{store: s, status: Status{Mode: "observe", CallsNow: 3}}
	m := NewMetrics()
	m.Watch(s.Health, s.Counts)
	b.Server = New(cfg, Deps{
		Log: zap.NewNop(), Version: "v1", Store: s, Metrics: m, Now: func() time.Time { return noon },
		Status: func() Status { return b.status },
		Run: func(_ context.Context, hasten bool) (callback.Ran, error) {
			b.hasten = append(b.hasten, hasten)
			return callback.Ran{Attempted: []callback.Attempted{{Promise: store.Promise{ID: 7}, Result: callback.Result{Outcome: callback.Joined}}}, Stopped: callback.WhyNoneDue}, b.runErr
		},
	})
	return b
}

func (b *bench) put(t *testing.T, records ...store.Record) {
	t.Helper()
	for _, r := range records {
		b.store.Put(r)
	}
	for range 500 {
		if b.store.Health().Written >= uint64(len(records)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("records were not written")
}

// ask sends a request as a friend on this machine would, unless headers say
// otherwise ("Name: value"; an empty value takes it away).
func (b *bench) ask(method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8080"
	if method != http.MethodGet {
		r.Header.Set(AdminHeader, "1")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, r)
	return w
}

func record(i int, class policy.Class) store.Record {
	at := store.At(noon.Add(time.Duration(i) * time.Minute))
	return store.Record{ID: fmt.Sprint("p", i), CallID: fmt.Sprintf("call/%d@host", i), From: "+1555010", InviteAt: at, EndedAt: at, Outcome: store.Answered,
		Verdicts: []policy.Verdict{{At: at.Time, Class: class}}}
}

func TestCalls(t *testing.T) {
	b := newBench(t, Defaults())
	b.put(t, record(1, policy.Human), record(2, policy.Assistant), record(3, policy.Human))
	for _, tt := range []struct {
		query string
		code  int
		want  string // ids, or a part of the error
	}{
		{"", 200, "p3 p2 p1"},
		{"?limit=1", 200, "p3"},
		{"?class=human", 200, "p3 p1"},
		{"?since=2100-01-01T12:02:00Z", 200, "p3 p2"},
		{"?until=2100-01-01T13:02:00%2B01:00", 200, "p1"},
		{"?from=%2B1555010&limit=1000", 200, "p3 p2 p1"},
		{"?from=nobody", 200, ""},
		{"?limit=0", 400, "1 to 1000"},
		{"?limit=1001", 400, "1 to 1000"},
		{"?limit=x", 400, "1 to 1000"},
		{"?class=robot", 400, "human, assistant, recording, unknown"},
		{"?since=yesterday", 400, "RFC 3339"},
		{"?since=2100-01-01T13:02:00+01:00", 400, "%2B"},
		{"?until=9999-01-01T00:00:00Z", 400, "1970 to 2200"},
		{"?since=0001-01-01T00:00:00Z", 400, "1970 to 2200"},
		{"?form=1", 400, "since, until, from, class, limit"},
		{"?limit=1&limit=2", 400, "give it once"},
		{"?limit=%zz", 400, "cannot be read"},
		{"?a;b", 400, "cannot be read"},
	} {
		w := b.ask("GET", "/api/calls"+tt.query)
		if w.Code != tt.code || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", tt.query, w.Code, w.Body)
			continue
		}
		if tt.code != 200 {
			if e := failure(t, w); !strings.Contains(e, tt.want) {
				t.Errorf("%s: error %q lacks %q", tt.query, e, tt.want)
			}
			continue
		}
		var list []store.Record
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || list == nil {
			t.Fatalf("%s: %v in %s", tt.query, err, w.Body)
		}
		var ids []string
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.query, got, tt.want)
		}
	}
}

// failure is the error of an answer.
func failure(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var e struct{ Error string }
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error == "" {
		t.Errorf("no JSON error in %q: %v", w.Body, err)
	}
	return e.Error
}

func TestCall(t *testing.T) {
	b := newBench(t, Defaults())
	b.put(t, record(1, policy.Human))
	for target, code := range map[string]int{
		"/api/calls/p1":                           200,
		"/api/calls/call%2F1%40host":              200, // a Call-ID may hold a slash
		"/api/calls/p2":                           404,
		"/api/calls/%27%20OR%201=1":               404,
		"/api/calls/" + strings.Repeat("x", 5000): 404,
	} {
		w := b.ask("GET", target)
		if w.Code != code || code == 200 && !strings.Contains(w.Body.String(), `"id":"p1"`) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestCallbacks(t *testing.T) {
	b := newBench(t, Defaults())
	ctx := t.Context()
	if w := b.ask("GET", "/api/callbacks"); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("none: %d %s", w.Code, w.Body)
	}
	for _, n := range []string{"+15550101", "+15550102"} {
		if _, _, err := b.store.Promise(ctx, n, "call", "agents", noon); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		method, target string
		code           int
		want           string
	}{
		{"GET", "/api/callbacks", 200, `"number":"+15550102"`},
		{"GET", "/api/callbacks?state=joined", 200, "[]"},
		{"GET", "/api/callbacks?state=done", 400, "allowed"},
		{"GET", "/api/callbacks?x=1", 400, "state"},
		{"DELETE", "/api/callbacks/%2B15550101", 200, `"state":"cancelled"`},
		{"DELETE", "/api/callbacks/%2B15550101", 409, "ended already"},
		{"DELETE", "/api/callbacks/2", 200, `"ended_at":"2100-01-01T12:00:00.000000000Z"`},
		{"DELETE", "/api/callbacks/99", 404, "no promise"},
		{"DELETE", "/api/callbacks/99999999999999999999999", 404, "no promise"},
		{"POST", "/api/callbacks/run", 200, `"outcome":"joined"`},
		{"POST", "/api/callbacks/run?now=true", 200, `"stopped":"no promise is due"`},
		{"POST", "/api/callbacks/run?now=maybe", 400, "true, false"},
		{"POST", "/api/callbacks/run?soon=true", 400, "now"},
	} {
		w := b.ask(tt.method, tt.target)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s %s: %d %s, want %d with %s", tt.method, tt.target, w.Code, w.Body, tt.code, tt.want)
		}
	}
	if fmt.Sprint(b.hasten) != "[false true]" {
		t.Errorf("runs were asked for with now %v", b.hasten)
	}
	b.runErr = errors.New("/var/lib/secret.db: disk full")
	if w := b.ask("POST", "/api/callbacks/run"); w.Code != 503 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("a failed run: %d %s", w.Code, w.Body)
	}
	b.deps.Run = nil
	if w := b.ask("POST", "/api/callbacks/run"); w.Code != 409 || !strings.Contains(failure(t, w), "callback.enabled") {
		t.Errorf("callbacks off: %d", w.Code)
	}
}

func TestHealth(t *testing.T) {
	b := newBench(t, Defaults())
	w := b.ask("GET", "/healthz")
	var h Health
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
		t.Fatal(err)
	}
	if w.Code != 200 || !h.OK || h.Draining || h.Mode != "observe" || h.CallsNow != 3 || !h.Store.OK || h.Version != "v1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.status.Draining = true
	if w := b.ask("GET", "/healthz"); w.Code != 503 || !strings.Contains(w.Body.String(), `"ok":false`) {
		t.Errorf("draining: %d %s", w.Code, w.Body)
	}
}

func TestAClosedStoreIsSaid(t *testing.T) {
	b := newBench(t, Defaults())
	b.store.Close()
	for _, target := range []string{"/api/calls", "/api/calls/p1", "/api/callbacks"} {
		if w := b.ask("GET", target); w.Code != 503 || !strings.Contains(failure(t, w), "store") {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if w := b.ask("GET", "/metrics"); w.Code != 200 {
		t.Errorf("metrics: %d", w.Code)
	}
}

func TestGuard(t *testing.T) {
	local := newBench(t, Defaults())
	const token = "0123456789abcdef"
	open := newBench(t, Config{Listen: "0.0.0.0:8080", Token: token})
	for _, tt := range []struct {
		name           string
		b              *bench
		method, target string
		headers        []string
		code           int
	}{
		{"localhost", local, "GET", "/api/calls", []string{"Host: localhost:8080"}, 200},
		{"no port", local, "GET", "/api/calls", []string{"Host: localhost"}, 200},
		{"IPv6", local, "GET", "/api/calls", []string{"Host: [::1]:8080"}, 200},
		{"IPv6, no port", local, "GET", "/api/calls", []string{"Host: [::1]"}, 200},
		{"another name, which may resolve to 127.0.0.1", local, "GET", "/api/calls", []string{"Host: evil.example:8080"}, 403},
		{"a name that only begins well", local, "GET", "/healthz", []string{"Host: localhost.evil.example"}, 403},
		{"an address that only begins well", local, "GET", "/metrics", []string{"Host: 127.0.0.1.evil.example"}, 403},
		{"another address", local, "GET", "/api/calls", []string{"Host: 192.0.2.1:8080"}, 403},
		{"no host", local, "GET", "/api/calls", []string{"Host: "}, 403},
		{"a form of a foreign page", local, "POST", "/api/callbacks/run", []string{AdminHeader + ": "}, 403},
		{"another value", local, "POST", "/api/callbacks/run", []string{AdminHeader + ": yes"}, 403},
		{"deleting without the header", local, "DELETE", "/api/callbacks/1", []string{AdminHeader + ": "}, 403},
		{"a preflight", local, "OPTIONS", "/api/callbacks/run", []string{AdminHeader + ": "}, 403},
		{"wrong method", local, "POST", "/api/calls", nil, 405},
		{"wrong method", local, "PUT", "/api/callbacks/1", nil, 405},
		{"GET runs nothing", local, "GET", "/api/callbacks/run", nil, 405},
		{"HEAD", local, "HEAD", "/healthz", nil, 200},
		{"nothing there", local, "GET", "/", nil, 404},
		{"nothing there", local, "GET", "/api/", nil, 404},
		{"dots", local, "GET", "/api/../../etc/passwd", nil, 404},
		{"no token", open, "GET", "/api/calls", nil, 401},
		{"no token for nothing", open, "GET", "/api/nothing", nil, 401},
		{"no token to run", open, "POST", "/api/callbacks/run", nil, 401},
		{"wrong token", open, "GET", "/api/calls", []string{"Authorization: Bearer 0123456789abcdeF"}, 401},
		{"beginning of the token", open, "GET", "/api/calls", []string{"Authorization: Bearer 0123"}, 401},
		{"another scheme", open, "GET", "/api/calls", []string{"Authorization: Basic " + token}, 401},
		{"token", open, "GET", "/api/calls", []string{"Authorization: Bearer " + token, "Host: portero.example"}, 200},
		{"token without the header", open, "POST", "/api/callbacks/run", []string{"Authorization: Bearer " + token, AdminHeader + ": "}, 403},
		{"token to run", open, "POST", "/api/callbacks/run", []string{"Authorization: Bearer " + token}, 200},
		{"health is open", open, "GET", "/healthz", []string{"Host: portero.example"}, 200},
		{"metrics are open", open, "GET", "/metrics", []string{"Host: portero.example"}, 200},
	} {
		w := tt.b.ask(tt.method, tt.target, tt.headers...)
		if w.Code != tt.code {
			t.Errorf("%s: %s %s %v: %d, want %d: %s", tt.name, tt.method, tt.target, tt.headers, w.Code, tt.code, w.Body)
		}
		if w.Code >= 400 {
			failure(t, w)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", tt.name, w.Header())
		}
		if w.Code == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s: 405 without Allow", tt.name)
		}
	}
	if n := len(local.hasten); n != 0 {
		t.Errorf("%d refused requests dialled", n)
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	b := newBench(t, Defaults())
	b.deps.Status = func() Status { panic("boom") }
	if w := b.ask("GET", "/healthz"); w.Code != 500 || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.ask("GET", "/metrics"); !strings.Contains(w.Body.String(), "portero_panics_total 1") {
		t.Error("the panic was not counted")
	}
}

func TestMetrics(t *testing.T) {
	b := newBench(t, Defaults())
	m := b.deps.Metrics
	m.CallStarted()
	m.CallStarted()
	r := record(1, policy.Human)
	r.EndedAt = store.At(r.InviteAt.Add(4 * time.Second))
	r.Decisions = []store.RecordedDecision{{Decision: policy.Decision{Action: policy.ToAgents}}}
	r.CallerMedia.Packets, r.FarMedia.Lost = 500, 7
	m.CallEnded(r)
	m.Decided(policy.Decision{Stage: policy.Arrival, Action: policy.ToScreen, Rule: "screen"}, true)
	m.SIPDropped("unknown_source")
	m.FramesDropped(5)
	m.Dialed("busy")
	if _, _, err := b.store.Promise(t.Context(), "+15550101", "call", "agents", noon); err != nil {
		t.Fatal(err)
	}
	text := b.ask("GET", "/metrics").Body.String()
	for _, want := range []string{
		`portero_calls_total{action="agents",class="human",outcome="answered"} 1`,
		`portero_calls_now 1`,
		`portero_call_seconds_bucket{le="5"} 1`,
		`portero_decisions_total{action="screen",enforced="true",rule="screen",stage="arrival"} 1`,
		`portero_sip_dropped_total{reason="unknown_source"} 1`,
		`portero_analysis_frames_dropped_total 5`,
		`portero_rtp_packets_total{side="caller"} 500`,
		`portero_rtp_lost_total{side="far"} 7`,
		`portero_callback_dials_total{outcome="busy"} 1`,
		`portero_panics_total 0`,
		`portero_store_up 1`,
		`portero_store_errors_total 0`,
		`portero_promises{state="open"} 1`,
		`portero_promises{state="joined"} 0`,
		`go_goroutines`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestServe(t *testing.T) {
	b := newBench(t, Defaults())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.ServeListener(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), `"ok":true`) {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}

	// A header without end is cut off.
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	answer, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
		t.Errorf("64 KiB of header get %.60q, want 431", answer)
	}

	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("closing: %v", err)
	}
	if err := New(Config{Listen: Off}, b.deps).Serve(t.Context()); err != nil {
		t.Errorf("off: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := New(Config{Listen: taken.Addr().String()}, b.deps).Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "console.listen") {
		t.Errorf("a taken port: %v", err)
	}
}

func TestConfigCheck(t *testing.T) {
	long := strings.Repeat("x", 16)
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Defaults(), "[]"},
		{Config{Listen: "off"}, "[]"},
		{Config{Listen: "[::1]:0"}, "[]"},
		{Config{Listen: "localhost:8080"}, "[]"},
		{Config{Listen: "127.5.5.5:1"}, "[]"},
		{Config{Listen: "0.0.0.0:8080", Token: long}, "[]"},
		{Config{}, "[listen]"},
		{Config{Listen: "8080"}, "[listen]"},
		{Config{Listen: "127.0.0.1:http"}, "[listen]"},
		{Config{Listen: "127.0.0.1:65536"}, "[listen]"},
		{Config{Listen: "example.com:80"}, "[listen]"},
		{Config{Listen: ":8080"}, "[token]"},
		{Config{Listen: "0.0.0.0:8080"}, "[token]"},
		{Config{Listen: "[::]:8080"}, "[token]"},
		{Config{Listen: "192.0.2.1:8080", Token: "short"}, "[token]"},
		{Config{Listen: "nowhere", Token: "with a space in it"}, "[listen token]"},
	} {
		got := []string{}
		tt.c.Check(func(path, format string, args ...any) { got = append(got, path) })
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%+v: faults at %v, want %s", tt.c, got, tt.want)
		}
	}
}
