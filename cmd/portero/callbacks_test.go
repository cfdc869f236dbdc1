package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"

	"github.com/portero/portero/cmd/portero/console"
	"github.com/portero/portero/policy/callback"
	"github.com/portero/portero/policy/store"
)

// callbackConfig writes a configuration whose store and console are the test's.
func callbackConfig(t *testing.T, storePath, listen string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "portero.yaml")
	text := fmt.Sprintf(`
sip:
  trunks:
    - name: carrier
      addresses: [192.0.2.1]
  destinations:
    agents: {uri: "sip:192.0.2.10"}
media: {caller_address: 192.0.2.2}
store: {path: %q}
console: {listen: %q}
`, storePath, listen)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func callbackStore(t *testing.T) (*store.Store, string) {
	t.Helper()
	c := store.Defaults()
	c.Path = filepath.Join(t.TempDir(), "portero.db")
	s, err := store.Open(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, c.Path
}

// callbacks runs `portero callbacks ARGS`.
func callbacks(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var c struct {
		Callbacks callbacksCmd `cmd:""`
	}
	var out bytes.Buffer
	parser, err := kong.New(&c, kong.BindTo(output{&out, &out}, (*printer)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := parser.Parse(append([]string{"callbacks"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	err = ctx.Run()
	return out.String(), err
}

// list and cancel beside a store that a door holds open.
func TestCallbacksListAndCancel(t *testing.T) {
	s, path := callbackStore(t)
	conf := callbackConfig(t, path, "127.0.0.1:1")
	ctx := context.Background()
	if out, err := callbacks(t, "list", "--config", conf); err != nil || out != "no callbacks\n" {
		t.Errorf("none: %q, %v", out, err)
	}
	now := time.Now()
	for _, n := range []string{"+15550101", "+15550102", "+15550103"} {
		if _, _, err := s.Promise(ctx, n, "call", "agents", now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Millisecond)
	}
	pr, _, err := s.Claim(ctx, now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reschedule(ctx, pr, now, store.Attempt{At: store.At(now), Outcome: "busy", Detail: "486 Busy\x1b[2J\r\nHere"}); err != nil {
		t.Fatal(err)
	}
	out, err := callbacks(t, "list", "--config", conf)
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) != 4 ||
		!strings.HasPrefix(lines[0], "ID  NUMBER") || !strings.Contains(lines[1], "+15550101") || !strings.HasSuffix(lines[1], "busy 486 Busy[2JHere") {
		t.Errorf("list: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		what string // an id or a number
		out  string
		err  string
	}{
		{"+15550101", "callback 1 to +15550101: cancelled\n", ""},
		{"+15550101", "", "ended already"},
		{"2", "callback 2 to +15550102: cancelled\n", ""},
		{"77", "", "not found"},
	} {
		out, err := callbacks(t, "cancel", "--config", conf, tt.what)
		if out != tt.out || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("cancel %s: %q, %v; want %q, %q", tt.what, out, err, tt.out, tt.err)
		}
	}
	out, err = callbacks(t, "list", "--json", "--state", "open", "--config", conf)
	var left store.Promise
	if jerr := json.Unmarshal([]byte(out), &left); err != nil || jerr != nil || left.Number != "+15550103" {
		t.Errorf("open ones: %v, %v in %q", err, jerr, out)
	}
	if _, err := callbacks(t, "list", "--config", conf, "--state", "done"); err == nil || !strings.Contains(err.Error(), "allowed") {
		t.Errorf("unknown state: %v", err)
	}
	none := callbackConfig(t, filepath.Join(t.TempDir(), "none.db"), "127.0.0.1:1")
	if _, err := callbacks(t, "list", "--config", none); err == nil || !strings.Contains(err.Error(), "portero serve") {
		t.Errorf("no store: %v", err)
	}
}

func TestCallbacksRunAsksTheDoor(t *testing.T) {
	s, path := callbackStore(t)
	var asked []bool
	srv := console.New(console.Defaults(), console.Deps{
		Log: zap.NewNop(), Store: s, Metrics: console.NewMetrics(), Status: func() console.Status { return console.Status{} },
		Run: func(_ context.Context, now bool) (callback.Ran, error) {
			asked = append(asked, now)
			return callback.Ran{
				Attempted: []callback.Attempted{{Promise: store.Promise{ID: 4, Number: "+15550101"}, Result: callback.Result{Outcome: callback.Busy, Detail: "486"}}},
				Stopped:   callback.WhyNoneDue,
			}, nil
		},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.ServeListener(ctx, l) }()
	conf := callbackConfig(t, path, l.Addr().String())
	for _, args := range [][]string{{"run", "--config", conf}, {"run", "--now", "--config", conf}} {
		out, err := callbacks(t, args...)
		if want := "callback 4 to +15550101: busy 486\n1 dialled; no promise is due\n"; err != nil || out != want {
			t.Errorf("%v: %v\n%swant\n%s", args, err, out, want)
		}
	}
	if fmt.Sprint(asked) != "[false true]" {
		t.Errorf("the door was asked with now %v", asked)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := callbacks(t, "run", "--config", conf); err == nil || !strings.Contains(err.Error(), "portero serve") {
		t.Errorf("no door: %v", err)
	}
	if _, err := callbacks(t, "run", "--config", callbackConfig(t, path, "off")); err == nil || !strings.Contains(err.Error(), "console.listen") {
		t.Errorf("console off: %v", err)
	}
}

func TestReachable(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080",
		"0.0.0.0:8080":   "127.0.0.1:8080",
		":8080":          "127.0.0.1:8080",
		"[::]:8080":      "[::1]:8080",
		"192.0.2.1:80":   "192.0.2.1:80",
		"localhost:8080": "localhost:8080",
	} {
		if got := reachable(listen); got != want {
			t.Errorf("reachable(%q) = %q, want %q", listen, got, want)
		}
	}
}
